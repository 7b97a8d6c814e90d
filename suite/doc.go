// Package suite is one face for messaging at every security level, so that the
// same conversation, the same eavesdropper and the same thief can be put on each
// and the outcomes compared.
//
//	level0        a cloud chat: encrypted to the server, which stores the text
//	level1        X3DH and the Double Ratchet, classical throughout
//	level2        PQXDH and the Double Ratchet: post-quantum at the start only
//	level3        package pq3, suites PQ3 and PQ3A: post-quantum for ever
//	level3sparse  PQXDH, the Double Ratchet and a KEM ratchet in small pieces
//
// The levels are complete and work, and none but level3 is for use: they carry
// no padding, no repair, no transparency, and their device states can be read
// by design. No client and no server may import this package or one below it.
//
// A Party is a whole device, with its identity, its prekeys and its sessions
// with every peer, because a whole device is what a thief takes. A Server is
// what stands between the devices: at Level 0 it reads, at every other level it
// hands on. Both are immutable values, as sessions are in pq3: a call returns
// the next one, and a call that fails leaves nothing changed. Time and
// randomness are arguments. With entropy from package seeded, equal seeds give
// equal bytes.
//
// # What an attacker may use
//
// Each level exports ParseMessage and ParseState, which read recordings and
// seized states, and the derivations of its protocol as plain functions in
// schedule.go. They are public algorithms: anyone can compute them, and what
// they need from the attacker is the keys. Attack code that is written against
// these alone has no way into a simulation.
//
// # Where the face departs from a plain pair of parties
//
// Two devices of one person share nothing but an account, so a conversation of
// three devices is three Parties and two pairs; hence the peer's name in Seal
// and Open. A message may have to wait for another one of its chain
// (ErrWaiting): the caller keeps it and opens it again later, as the mailbox of
// the product does. Losses are the caller's to simulate: nothing here resends.
package suite

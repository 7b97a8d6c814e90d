// Package level3 puts package pq3 behind the face of package suite: Level 3,
// post-quantum at the start and in every rekey. New makes it for either suite
// of the protocol. It is specified in SPEC.md; the design that it follows is
// Apple's "iMessage with PQ3" (Apple Security Research, 21 February 2024).
//
// The sessions are those of the product. This package adds what the product's
// engine would keep beside them, in one state that can be stolen: the signing
// keys, the prekeys of every bundle whose retention has not ended, the record of
// accepted starts, and the sessions with each peer. What the engine does over
// the network it leaves out: heartbeats, repair, requests for missing objects,
// the transparency log.
//
// The files correspond to those of pq3 and of the other levels; handshake,
// symratchet and pkratchet have no counterpart here, since pq3 does that work.
// seized.go takes stored sessions and prekeys apart. schedule.go is
// the key schedule of SPEC §6 written a second time, in the open, so that code
// with a recording and a seized state can compute what anyone could; a test
// holds it against pq3.
package level3

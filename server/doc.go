// Package server is posthornd without its command line: a directory of
// accounts and prekey bundles, and one mailbox for each device, served over
// Connect RPC. It verifies what it can (rosters, device records, bundles, login
// proofs) and treats every payload as bytes. It imports neither package pq3
// nor content, so no code in it could read a message. SPEC §14.
//
// An envelope's way through it:
//
//	Send ──▶ token, limits ──▶ device record ──▶ store.Append (fsync) ──▶ answer
//	                                                  │
//	                                                 hub ──▶ Receive of the recipient
//	                                                            │
//	                          store forgets it ◀── store.Ack ◀── Ack
//
// Several servers may share one store. The hub of the node that accepted an
// envelope then hands it to the hub of the node that has the stream, over a
// bus that may lose it: cluster.go, and deliverer.go for what is done about it.
package server

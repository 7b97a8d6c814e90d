// Package verification lets two people find out whether a server stands
// between them. SPEC §13.4.
//
//	both online      Offer  ──▶         what each says it is, and a commitment
//	                        ◀── Offer   to a nonce that nobody knows yet
//	                 Opening ─▶         the nonces, in this order
//	                        ◀── Opening
//	                 8 digits           the same at both ends, or somebody is between
//
//	any other time   60 digits          of both accounts, compared or scanned
//	a web page       one public code    of one account, for everybody to compare
//
// What is compared is the name and the account id, which is the hash of the
// account's first statement: it stays the same while devices come and go, so
// two people compare once. The short code is Vaudenay's: because each side is
// bound to its nonce before it learns the other's, a man in the middle has one
// guess in 10^8 for each run.
//
// The package is pure: randomness and time come in as arguments, and nothing
// is sent from here. Values are immutable and safe for concurrent use.
package verification

// Package recovery is the printed phrase from which an account's recovery key
// comes: 32 words that stand for 256 random bits, and one that catches slips.
// Whoever has the phrase can take the account back when every device is lost or
// stolen, so it belongs on paper and on no device. SPEC §4.8.
//
// The package is pure: randomness is an argument. It knows no roster and no
// server; what the key may do is package account's.
package recovery

// Package refmodel is a second implementation of SPEC §3 to §10, written from
// the text of SPEC alone to be compared with package pq3. It is for tests: slow,
// literal, careless about memory. It shares no code with pq3 and imports none
// of this module, so an error has to be made twice, or stand in SPEC, to stay
// unseen.
//
// How it differs on purpose:
//
//   - Every operation works on a deep copy of plain structs and hands that back.
//   - No message key and no stepped chain key is stored. The model keeps the
//     first key of each chain and derives the key of a position from there each
//     time; what it stores of the skipped keys is the set of their positions.
//   - The rules are written as in SPEC: require(condition, "V-nn"). A require
//     that fails ends the whole operation, which returns the id as a Refusal.
//   - Curve points are lifted, and signatures halved, with math/big; HKDF is RFC
//     5869 over crypto/hmac; every length prefix is made here.
//
// A Flaw makes the model deviate at one place. That is how the tests prove that
// a deviation would be seen, and how they make peers that break the rules.
package refmodel

// Refusal is the id of the rule in SPEC §15 that refused.
type Refusal string

// Error is the id.
func (r Refusal) Error() string { return string(r) }

// require ends the operation with a refusal unless the rule holds.
func require(holds bool, id Refusal) {
	if !holds {
		panic(id)
	}
}

// caught turns the refusal that ended an operation into its error.
func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case Refusal:
		*err = r
	default:
		panic(r)
	}
}

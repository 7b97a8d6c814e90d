// Package explorer walks breadth first through every state that two people with
// one or two devices each can reach in a bounded scene, over the real code of
// package pq3, and asks in each state whether the protocol still keeps what it
// promises. It is imported by tests only.
//
// A state is what the devices have stored, the mail on its way, what has leaked,
// and what the checks must remember. The real calls are pure functions of a
// device's own state and one input, and the randomness of a call is derived from
// exactly these, so equal histories of one device give equal bytes whatever
// happened elsewhere in between: the hash over stored bytes is a hash over terms,
// and each real call is made once, however many states contain it.
//
// Beside the real sessions runs a second account of them, a shade, written from
// SPEC §7 and §8. It says which secrets a device may still hold. The recorder
// ties each secret to its bytes: it recomputes every root, chain and message key
// with the standard library from the recorded seeds and opens each message with
// them. On top of that stand three judges that know nothing of each other:
//
//   - closure.go, what an attacker can derive from the wire and from leaks;
//   - duty.go, what the published analysis allows to become known;
//   - attacker.go, a thief with real bytes, who decrypts or does not.
package explorer

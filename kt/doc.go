// Package kt is key transparency without input and output: what the log says
// about a name, and how a device proves it. SPEC §13.3.
//
// The log has three parts. U holds one [Update] for each change of a name, R one
// [Root] for each epoch, and between them stands the [Map] from the index of a
// name to the end of the hash chain of its updates. Names are hidden: the index
// is the output of a verifiable random function, the update a commitment.
//
// [Policy.Verify] is the whole check of an [Answer], in one order, with an error
// of its own for each step. [Head] is what devices tell each other about the
// log, [Evidence] what is left when two heads contradict each other, [Replay]
// an auditor's way to the same roots.
//
// Time is an argument, and nothing here draws randomness, waits or logs.
package kt

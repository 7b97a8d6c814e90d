// Package bench measures the protocol core against its floor: for each
// operation a second function runs only the primitives that the operation
// needs, with plain calls of the standard library, on inputs of the same
// sizes. Both are run in turn, in one process, and the ratio of their CPU time
// is what the README quotes: it says what the protocol's own work (parsing,
// state, checks, copies) adds to the cryptography, on any machine.
//
//	make bench                        the table, and Go's own benchmarks
//	go test ./bench -run Ratios -ratios -v
//
// The package is for tests only.
package bench

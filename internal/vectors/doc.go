// Package vectors holds published test vectors of other projects, and counts
// what becomes of them.
//
// Each file under testdata is a gzipped copy of what its project publishes,
// byte for byte; SHA256SUMS is over the unpacked contents. The tests that run
// the vectors stand in the packages whose entry points they exercise. A table
// (Rows) says for every file and package how many tests the file holds, how
// many are run with which outcome, and how many are left out for which reason.
// A test that comes to other numbers fails, so no vector is lost silently:
//
//	tally := vectors.Count(t, "account", file)
//	for each test of the file: tally.Ran(outcome) or tally.Skipped(reason)
//
// The package is for tests only.
package vectors

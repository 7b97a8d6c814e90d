// Package liar lies to real clients, as a malicious operator would: an operator
// who has the server, its store and the keys of its log, and who may change any
// answer on its way.
//
// The server and its log are real and run in the test's process. Each client is
// a posthorn program that talks to a front of its own: a proxy that reads the
// server's answers with the generated code and rewrites them, and notes every
// envelope that a client hands over. A second log with the same keys makes
// forks; what no log of ours would ever sign is made by hand in forger_test.go.
//
// Each lie has a test, named after the attack and the rule that notices it.
// TestControl shows that the same people, fronts and logs work without one.
package liar

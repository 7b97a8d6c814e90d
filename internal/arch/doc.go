// Package arch holds the rules of this repository as tests: which package may
// import which, what the pure packages may not touch, how long a file or a
// function may be, and which documents must agree with the code.
//
// A rule is a function from a parsed source tree to a list of broken places.
// Every rule runs twice: on this repository, where it must find nothing, and
// in TestRulesBite on a planted mistake, where it must find something. The
// tables (layers.go) carry one reason a line: to change a rule, argue with its
// reason.
//
// The package has no importers and nothing here ships in a binary.
package arch

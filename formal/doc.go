// Package formal holds models of the protocol and the tests that tie them to
// the code. mailbox.pml is checked by Spin, the .pv files are written for
// ProVerif; README.md says what each model leaves out and who has run what.
//
// The package has no importers and nothing here ships in a binary.
package formal

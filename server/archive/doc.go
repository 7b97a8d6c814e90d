// Package archive is the form of a backup: one stream that holds the files of
// some folders, each with its SHA-256, and at the end one over everything, so
// that no byte of it can be missing or altered unnoticed. It knows nothing of
// what is in the files.
//
//	backup = "posthorn backup 1\n" ‖ file… ‖ "E" ‖ u64 number of files ‖ SHA-256 of all before
//	file   = "F" ‖ v16(path) ‖ u64 size ‖ content ‖ SHA-256(content)
//
// A path is relative, with "/" between its parts. Whoever can write a backup can
// also write its checksums: they are against accidents.
package archive

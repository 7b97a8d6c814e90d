//go:build !unix

package main

// privateFiles does nothing where files have no modes; the folder's access
// list counts there.
func privateFiles() {}

//go:build unix

package main

import "syscall"

// privateFiles keeps every file that the process makes from other users, as
// the storage engine leaves their modes to the umask.
func privateFiles() { syscall.Umask(0o077) }

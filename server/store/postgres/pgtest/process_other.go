//go:build unix && !linux

package pgtest

import "syscall"

// process says as whom to run.
func process(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who}
}

func hold() {}

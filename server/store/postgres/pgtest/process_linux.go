package pgtest

import (
	"runtime"
	"syscall"
)

// process says as whom to run, and that the process ends when we do, even if
// the test binary dies: SIGQUIT is PostgreSQL's immediate shutdown.
func process(who *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGQUIT}
}

// hold keeps the thread that starts a process, for Pdeathsig follows threads.
func hold() { runtime.LockOSThread() }

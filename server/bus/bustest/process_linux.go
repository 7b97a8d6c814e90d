package bustest

import (
	"runtime"
	"syscall"
)

// attributes make the process end when we do, even if the test binary dies.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// hold keeps the thread that starts a process, for Pdeathsig follows threads.
func hold() { runtime.LockOSThread() }

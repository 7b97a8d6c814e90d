//go:build unix && !linux

package bustest

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }

func hold() {}

//go:build !(linux && amd64)

package faults

import (
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

func TestFaults(t *testing.T) {
	machine.Lacks(t, "faults are made with ptrace and ext4, and only on Linux for amd64")
}

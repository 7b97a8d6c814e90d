package formal

import (
	"os/exec"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

// TestMailboxModel runs Spin on mailbox.pml and its mutants in CI.
func TestMailboxModel(t *testing.T) {
	if testing.Short() || !machine.Strict() {
		t.Skip("about a minute of CPU time; run 'make spin', or with POSTHORN_CI=1 as CI does")
	}
	machine.Tool(t, "bash", "bash")
	machine.Tool(t, "spin", "spin")
	machine.Tool(t, "cc", "gcc")
	out, err := exec.Command("bash", "run-spin").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("run-spin: %v", err)
	}
}

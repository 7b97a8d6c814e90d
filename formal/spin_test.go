package formal

import (
	"os/exec"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

// TestMailboxModel runs Spin on mailbox.pml and its mutants. Without the tools
// it is skipped, and fails where POSTHORN_CI=1 says that nothing may be.
func TestMailboxModel(t *testing.T) {
	if testing.Short() {
		t.Skip("about a minute of CPU; run without -short")
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

package formal

import (
	"os"
	"os/exec"
	"testing"
)

// TestMailboxModel runs Spin on mailbox.pml and its mutants. Without the tools
// it is skipped, and fails where POSTHORN_CI=1 says that nothing may be.
func TestMailboxModel(t *testing.T) {
	if testing.Short() {
		t.Skip("about a minute of CPU; run without -short")
	}
	for _, tool := range []string{"bash", "spin", "cc"} {
		if _, err := exec.LookPath(tool); err != nil {
			absent(t, tool)
		}
	}
	out, err := exec.Command("bash", "run-spin").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("run-spin: %v", err)
	}
}

// absent ends a test that needs a tool.
func absent(t *testing.T, tool string) {
	t.Helper()
	if os.Getenv("POSTHORN_CI") == "1" {
		t.Fatalf("no %s here, and CI skips nothing", tool)
	}
	t.Skipf("no %s here; Debian has the packages spin and gcc", tool)
}

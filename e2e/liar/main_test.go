package liar

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/posthorn/posthorn/internal/machine"
)

// program is the posthorn under test. It goes by a clock that a test can move.
var program string

func TestMain(m *testing.M) {
	machine.Wide(6)
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "posthorn-liar-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "posthorn")
	build := exec.Command("go", "build", "-tags", "testhooks", "-o", program, "../../cmd/posthorn")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building posthorn: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

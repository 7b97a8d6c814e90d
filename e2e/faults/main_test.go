//go:build linux && amd64

package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

// whole runs every point and every cut. Without it a test takes an even share
// of them, moved on each minute, so that CI gets round.
var whole = flag.Bool("whole", false, "every fault, not a share of them")

// program is the posthornd under test.
var program string

// TestMain builds the program. The test binary is also the launcher of traced
// processes.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == launchArgument {
		launch(os.Args[2:])
	}
	machine.Wide(6)
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "posthorn-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "posthornd")
	build := exec.Command("go", "build", "-o", program, "../../cmd/posthornd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building posthornd: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// share is how many points a test passes over for each one it takes, and
// which one it begins with. CI takes one in part, and others one in three times
// that.
func share(part int) (step, first int) {
	if *whole {
		return 1, 1
	}
	part *= machine.Count(8, 3, 1)
	return part, 1 + int(time.Now().Unix()/60)%part
}

// lateStart is for kinds with fewer operations than the share passes over first:
// after the next step there is one point, and none behind it.
func lateStart(first, step, operations int) (k, far int) {
	far = step + operations
	return first%operations + 1 - far, far
}

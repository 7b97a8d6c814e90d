// Package machine tells tests what the machine under them can do. A test that
// needs more is skipped with one line that says what is missing. Where
// POSTHORN_CI=1 says that nothing may be skipped, it fails instead.
//
// The package is for tests alone.
package machine

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// Strict reports whether a skipped test is a failure here, as in CI.
func Strict() bool { return os.Getenv("POSTHORN_CI") == "1" }

// Lacks ends a test that this machine cannot run. The words say what is
// missing and where it comes from.
func Lacks(t testing.TB, format string, args ...any) {
	t.Helper()
	why := fmt.Sprintf(format, args...)
	if Strict() {
		t.Fatalf("%s; CI skips nothing", why)
	}
	t.Skip(why)
}

// Tool finds a program, or ends a test that cannot do without it. The package
// is the name under which Debian has it.
func Tool(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Lacks(t, "no %s here; Debian has it in the package %s", name, debian)
	}
	return path
}

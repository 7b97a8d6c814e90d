// Package machine tells tests what the machine under them can do. A test that
// needs more is skipped with one line that says what is missing. Where
// POSTHORN_CI=1 says that nothing may be skipped, it fails instead; and there
// tests that repeat something do so as often as the documents say.
//
// The package is for tests alone.
package machine

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
)

// Strict reports whether a skipped test is a failure here, as in CI.
func Strict() bool { return os.Getenv("POSTHORN_CI") == "1" }

// Count is how often a test does something that it could do for ever: whole in
// CI, as the documents say, and few elsewhere, so that go test ./... is done
// before one turns to something else. With -short it is the least, in CI too.
func Count(least, few, whole int) int {
	switch {
	case testing.Short():
		return least
	case Strict():
		return whole
	}
	return few
}

// Wide lets n tests of a package run at a time, unless -parallel says otherwise.
// It is for tests that wait for other processes more than they work. Call it
// from TestMain.
func Wide(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(n))
	}
}

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

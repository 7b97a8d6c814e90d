package machine

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Leakless runs the tests of a package, ends the program with what they gave,
// and fails when they left goroutines behind. One that is about to end gets
// minutes for it, which on a busy machine may be needed. Call it from TestMain.
func Leakless(m *testing.M) {
	code := m.Run()
	if code == 0 {
		if err := left(2 * time.Minute); err != nil {
			fmt.Fprintln(os.Stderr, "the tests passed, but:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// left is nil as soon as no goroutine of ours is left, else what there is.
func left(patience time.Duration) (err error) {
	for end := time.Now().Add(patience); ; {
		if err = goleak.Find(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

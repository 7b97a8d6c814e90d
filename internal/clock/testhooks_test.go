//go:build testhooks

package clock

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func wantOffset(t *testing.T, want time.Duration) {
	t.Helper()
	if got := time.Until(Now()); (got - want).Abs() > time.Minute {
		t.Errorf("the clock is off by %v, want %v", got, want)
	}
}

func TestOffset(t *testing.T) {
	t.Setenv(offsetVariable, "")
	wantOffset(t, 0)
	t.Setenv(offsetVariable, "26h")
	wantOffset(t, 26*time.Hour)
	t.Setenv(offsetVariable, "-1h30m")
	wantOffset(t, -90*time.Minute)
}

func TestOffsetFileIsReadAtEveryUse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "offset")
	t.Setenv(offsetVariable, "@"+file)
	for _, hours := range []int{0, 26, -3} {
		if err := os.WriteFile(file, fmt.Appendf(nil, "%dh\n", hours), 0o600); err != nil {
			t.Fatal(err)
		}
		wantOffset(t, time.Duration(hours)*time.Hour)
	}
}

func TestEmptyFileIsReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "offset")
	t.Setenv(offsetVariable, "@"+file)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, func() { _ = os.WriteFile(file, []byte("5h"), 0o600) })
	wantOffset(t, 5*time.Hour)
}

func TestBadOffsetPanics(t *testing.T) {
	missing := "@" + filepath.Join(t.TempDir(), "none")
	for _, bad := range []string{"tomorrow", "26", missing} {
		t.Run(bad[:2], func(t *testing.T) {
			t.Setenv(offsetVariable, bad)
			defer func() {
				if text := fmt.Sprint(recover()); !strings.Contains(text, offsetVariable) {
					t.Errorf("panic says %q", text)
				}
			}()
			Now()
		})
	}
}

func TestNapIsShort(t *testing.T) {
	if Nap(time.Hour) > 2*time.Second || Nap(time.Millisecond) != time.Millisecond {
		t.Error("a jump would be noticed late, or a short wait was made longer")
	}
}

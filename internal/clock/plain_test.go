//go:build !testhooks

package clock

import (
	"testing"
	"time"
)

func TestOrdinaryBuildsIgnoreTheOffset(t *testing.T) {
	t.Setenv("POSTHORN_TEST_CLOCK_OFFSET", "nonsense")
	if d := time.Until(Now()).Abs(); d > time.Minute {
		t.Errorf("off by %v", d)
	}
	if Nap(time.Hour) != time.Hour {
		t.Error("an ordinary build wakes up early")
	}
}

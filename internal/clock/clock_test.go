package clock

import (
	"testing"
	"time"
)

func TestSinceFollowsNow(t *testing.T) {
	then := Now().Add(-time.Hour)
	if d := Since(then); d < time.Hour || d > time.Hour+time.Minute {
		t.Errorf("an hour ago was %v ago", d)
	}
}

//go:build testhooks

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// TestClockRotateAfterSuspicion: Bob suspects something and rotates, while a text
// of Alice's that begins a session under his earlier bundle is on its way. It
// comes after that bundle's keys are erased, is refused, asked for again, and
// read once.
func TestClockRotateAfterSuspicion(t *testing.T) {
	t.Parallel()
	s := newShifted(t)
	const away = 8 * 24 * time.Hour // the old session is over
	s.move(away)
	s.bob.must("read")
	s.wire.refuses.Store(true)
	if r := s.alice.run("send", "@bob", "on its way for long"); r.code != 3 {
		t.Fatalf("a text that does not get through: exit %d\n%s", r.code, r.stderr)
	}
	rotated := s.bob.must("device", "rotate", "--json")
	var view struct {
		Schema  string
		EraseAt time.Time `json:"erase_at"`
	}
	if err := json.Unmarshal([]byte(rotated), &view); err != nil || view.Schema != "posthorn.device-rotate/1" || !near(view.EraseAt, away+time.Hour) {
		t.Fatalf("%s: %v", rotated, err)
	}
	s.move(away + 2*time.Hour)
	s.bob.must("read") // the hour is over
	s.wire.refuses.Store(false)
	s.alice.must("read") // what waits goes out
	if r := s.bob.run("read"); r.code != 0 || strings.Contains(r.stdout, "on its way") || !strings.Contains(r.stderr, "given up") {
		t.Fatalf("bob: exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	if r := s.alice.run("read"); r.code != 0 || !strings.Contains(r.stderr, "went out again") {
		t.Fatalf("alice: exit %d\n%s", r.code, r.stderr)
	}
	if got := s.bob.texts(s.alice); got["on its way for long"] != 1 {
		t.Errorf("texts %v", got)
	}
	s.alice.must("read")
	if waits := s.alice.must("status", "--json"); !strings.Contains(waits, `"outbox":0`) {
		t.Errorf("at Alice's: %s", waits)
	}
}

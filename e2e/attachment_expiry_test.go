//go:build testhooks

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestClockExpiresAttachments: after 29 days an attachment is there, after 31
// it is not, on the disk either, and its receiver is told so.
func TestClockExpiresAttachments(t *testing.T) {
	t.Parallel()
	s := newShifted(t)
	path, _ := randomFile(t, "plan.pdf", 3000)
	s.alice.must("send", "@bob", "-a", path)
	s.bob.must("read")
	id := idsIn(s.bob.must("attachment", "list", "--json"))[0]
	for _, row := range []struct{ days, files int }{{29, 1}, {31, 0}} {
		s.server.kill() // it looks for what has expired when it starts
		s.move(time.Duration(row.days) * 24 * time.Hour)
		s.server.start()
		time.Sleep(time.Second)
		if finished, _ := s.server.kept(); len(finished) != row.files {
			t.Errorf("after %d days %d files are on the disk", row.days, len(finished))
		}
		folder := t.TempDir()
		r := s.bob.run("attachment", "save", id, folder)
		if (r.code == 0) != (row.files == 1) {
			t.Errorf("after %d days: exit %d, %s", row.days, r.code, r.stderr)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != row.files {
			t.Errorf("after %d days the folder has %v, %v", row.days, entries, err)
		}
		if row.files == 0 && (r.code != 6 || !strings.Contains(r.stderr, "no longer has this attachment, nothing was saved")) {
			t.Errorf("exit %d, %s", r.code, r.stderr)
		}
	}
}

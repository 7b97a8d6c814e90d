//go:build testhooks

package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
)

// keeps waits until so many finished attachments are on the disk.
func (d *daemon) keeps(files int) {
	d.t.Helper()
	finished, _ := d.kept()
	for end := time.Now().Add(patience); len(finished) != files; finished, _ = d.kept() {
		if time.Now().After(end) {
			d.t.Fatalf("%d files are on the disk, want %d", len(finished), files)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

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
		if row.files > 0 {
			time.Sleep(time.Second) // no event says that nothing has expired
		}
		s.server.keeps(row.files)
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

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/posthorn/posthorn/account"
)

// backup takes a backup of a server, running or not.
func (d *daemon) backup(name string) (file string) {
	d.t.Helper()
	file = filepath.Join(filepath.Dir(d.data), name)
	if out, code := d.operate("backup", file); code != 0 || out != file+"\n" {
		d.t.Fatalf("backup: exit %d, %q", code, out)
	}
	return file
}

// goBack replaces a server's folder by a backup and starts it again under the
// same address.
func (d *daemon) goBack(file string) {
	d.t.Helper()
	d.kill()
	if err := os.Rename(d.data, d.data+".old"); err != nil {
		d.t.Fatal(err)
	}
	if out, code := d.operate("restore", file); code != 0 {
		d.t.Fatalf("restore: exit %d, %q", code, out)
	}
	d.start()
}

// The server loses its disk and goes back to a backup. Devices that have read
// on since then connect again by themselves: nothing is shown to them twice,
// and nothing that is sent from then on is lost, though the server gives out
// numbers that it has given out before.
func TestClientsAfterARestore(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	alice, bob := register(t, "alice", server.url()), register(t, "bob", server.url())
	for _, text := range []string{"one", "two", "three"} {
		alice.must("send", "@bob", text)
	}
	file := server.backup("backup")
	alice.must("send", "@bob", "four")
	alice.must("send", "@bob", "five")
	if got := bob.must("read"); strings.Count(got, "\n") < 5 {
		t.Fatalf("before: %q", got)
	}
	bob.must("send", "@alice", "read them all")
	server.goBack(file)
	if got := bob.run("read"); got.code != 0 || strings.Contains(got.stdout, "one") || strings.Contains(got.stdout, "three") {
		t.Errorf("what bob has read comes again: %+v", got)
	}
	want := []string{"six", "seven", "eight", "nine"}
	for _, text := range want {
		alice.must("send", "@bob", text)
		if got := bob.must("read"); !strings.Contains(got, text) {
			t.Errorf("%s is not there: %q", text, got)
		}
	}
	bob.must("send", "@alice", "still here")
	if got := alice.must("read"); !strings.Contains(got, "still here") {
		t.Errorf("alice reads %q", got)
	}
	got := bob.texts(alice)
	for _, text := range append([]string{"one", "two", "three", "four", "five"}, want...) {
		if got[text] != 1 {
			t.Errorf("bob has %q %d times", text, got[text])
		}
	}
}

// A backup that is taken while devices send has everything that the server had
// accepted before the command began.
func TestBackupUnderLoadHasAllThatWasAccepted(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	bob := register(t, "bob", server.url())
	const senders = 3
	writers := make([]*engine, senders)
	ctx, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range senders {
		writers[i] = enlist(t, senderName(i), server.url())
		load.Go(func() { writers[i].writeUntil(ctx, "bob") })
	}
	acceptedByNow := func() map[string]bool {
		all := map[string]bool{}
		for _, e := range writers {
			maps.Copy(all, e.acceptedByNow())
		}
		return all
	}
	for _, e := range writers {
		e.moreAccepted(t, leastLoad)
	}
	// A backup of so little takes no time; of some, one falls among sends.
	file, before, during := "", map[string]bool{}, 0
	for n := 0; during == len(before); n++ {
		if n == 100 {
			t.Fatalf("%d accepted, none of them during any of %d backups: there was no load", during, n)
		}
		before = acceptedByNow()
		file = server.backup(fmt.Sprint("backup", n))
		during = len(acceptedByNow())
	}
	end()
	load.Wait()
	server.goBack(file)
	bob.must("read")
	got := map[string]int{}
	for i := range senders {
		for text, n := range bob.texts(&person{name: string(senderName(i))}) {
			got[text] += n
		}
	}
	for text := range before {
		if got[text] != 1 {
			t.Errorf("%q, accepted before the backup, is there %d times", text, got[text])
		}
	}
	t.Logf("%d accepted before the backup began, %d when it had ended, %d in it", len(before), during, len(got))
}

func senderName(i int) account.Name { return account.Name(fmt.Sprintf("sender%d", i)) }

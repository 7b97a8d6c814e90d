package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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
	var mu sync.Mutex
	accepted := map[string]bool{}
	ctx, end := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for i := range senders {
		e := enlist(t, senderName(i), server.url())
		load.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				text := fmt.Sprintf("%d-%d", i, n)
				sent, err := e.Send(ctx, "bob", text)
				if err == nil && sent.Accepted {
					mu.Lock()
					accepted[text] = true
					mu.Unlock()
				}
			}
		})
	}
	time.Sleep(2 * time.Second)
	mu.Lock()
	before := map[string]bool{}
	for text := range accepted {
		before[text] = true
	}
	mu.Unlock()
	file := server.backup("backup")
	mu.Lock()
	during := len(accepted)
	mu.Unlock()
	end()
	load.Wait()
	if len(before) == 0 || during == len(before) {
		t.Fatalf("%d accepted before, %d at the end of the backup: there was no load", len(before), during)
	}
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

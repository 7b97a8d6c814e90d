package client

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
)

func agreed(Newcomer) (bool, error) { return true, nil }

func silent(HistoryProgress) {}

// linking is one pairing of a new profile with a device that is there.
type linking struct {
	made     *Client
	linkErr  error
	approved Newcomer
	oldErr   error
}

// link pairs a new profile with old, and waits for both.
func (w *world) link(cfg Config, old *Client, agree func(Newcomer) (bool, error)) linking {
	w.t.Helper()
	return w.linkAt(w.office.url, cfg, old, agree)
}

// linkAt is link for a new device that meets the server at an address.
func (w *world) linkAt(url string, cfg Config, old *Client, agree func(Newcomer) (bool, error)) (l linking) {
	w.t.Helper()
	codes := make(chan string, 1)
	var both sync.WaitGroup
	both.Go(func() {
		defer close(codes)
		l.made, l.linkErr = Link(w.ctx, cfg, url, "a laptop", func(code string, _ time.Time) error {
			codes <- code
			return nil
		})
	})
	code, shown := <-codes
	if shown {
		l.approved, l.oldErr = old.Approve(w.ctx, code, agree)
	}
	both.Wait()
	if l.made != nil {
		w.adopt(l.made, cfg)
	}
	return l
}

// linked is link where nothing may fail.
func (w *world) linked(name string, old *Client) *Client {
	w.t.Helper()
	l := w.link(testConfig(filepath.Join(w.t.TempDir(), name)), old, agreed)
	if l.linkErr != nil || l.oldErr != nil {
		w.t.Fatalf("link: %v; approve: %v", l.linkErr, l.oldErr)
	}
	return l.made
}

// handOver moves the whole history to a device that was let in.
func (w *world) handOver(old, made *Client) {
	w.t.Helper()
	if err := old.ExportHistory(w.ctx, made.profile.Device, silent); err != nil {
		w.t.Fatal(err)
	}
	p, err := made.ImportHistory(w.ctx, 5*time.Minute, silent)
	if err != nil || !p.Finished || p.Done != p.Total {
		w.t.Fatalf("history: %+v, %v", p, err)
	}
}

// texts are all texts of a conversation as this device has them.
func (w *world) texts(c *Client, with account.Name) (texts []string) {
	w.t.Helper()
	messages, err := c.Inbox(w.ctx, Filter{All: true, From: with})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range messages {
		texts = append(texts, m.Text)
	}
	return texts
}

// onRoster is how many devices the directory has for the account of c.
func (w *world) onRoster(c *Client) int {
	w.t.Helper()
	roster, err := c.ownRoster(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(roster.Devices())
}

func TestLinkBringsContactsAndHistory(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.say(bob, alice, "remember this")
	w.sync(alice)
	if err := alice.BlockContact(w.ctx, "bob", true); err != nil {
		t.Fatal(err)
	}
	laptop := w.linked("laptop", alice)
	w.handOver(alice, laptop)
	if laptop.Name() != "alice" || laptop.profile.Account != alice.profile.Account || laptop.profile.Device == alice.profile.Device {
		t.Fatal("not another device of the same account")
	}
	if want, got := w.texts(alice, "bob"), w.texts(laptop, "bob"); len(want) < 3 || !slices.Equal(want, got) {
		t.Fatalf("history: %q, want %q", got, want)
	}
	w.read(laptop, func(tx *localdb.Tx) error {
		contact, err := tx.ContactByName("bob")
		if err != nil || contact.State != localdb.Blocked {
			t.Errorf("bob is %v there, %v", contact.State, err)
		}
		return nil
	})
}

func TestTenDevicesLinkedFromOneAnother(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	devices := []*Client{alice}
	for i := range 9 {
		made := w.linked(fmt.Sprint("device", i), devices[i])
		w.handOver(devices[i], made)
		devices = append(devices, made)
	}
	want := w.texts(alice, "bob")
	for i, d := range devices {
		if w.onRoster(d) != 10 {
			t.Fatalf("device %d sees %d devices", i, w.onRoster(d))
		}
		if got := w.texts(d, "bob"); !slices.Equal(got, want) {
			t.Fatalf("device %d has %q, want %q", i, got, want)
		}
	}
	bob.rosters.doubt(alice.profile.Account)
	w.say(devices[9], bob, "from the tenth")
	w.sync(bob)
	if got := w.unread(bob); !slices.Contains(got, "from the tenth") {
		t.Fatalf("bob has %q", got)
	}
}

func TestDeclinedDeviceLeavesNothing(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	cfg := testConfig(filepath.Join(t.TempDir(), "laptop"))
	l := w.link(cfg, alice, func(n Newcomer) (bool, error) { return n.Label != "a laptop", nil })
	if !errors.Is(l.linkErr, ErrDeclined) || !errors.Is(l.oldErr, ErrDeclined) || w.onRoster(alice) != 1 {
		t.Fatalf("link: %v; approve: %v", l.linkErr, l.oldErr)
	}
	if _, err := Open(cfg); !errors.Is(err, ErrNoProfile) {
		t.Fatalf("half a profile opens: %v", err)
	}
	// The same folder may try again.
	if l := w.link(cfg, alice, agreed); l.linkErr != nil || l.oldErr != nil || w.onRoster(alice) != 2 {
		t.Fatalf("again: link: %v; approve: %v", l.linkErr, l.oldErr)
	}
}

func TestCodesThatAreNoGood(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	l := w.link(testConfig(filepath.Join(t.TempDir(), "laptop")), alice, func(Newcomer) (bool, error) { return true, nil })
	if l.linkErr != nil {
		t.Fatal(l.linkErr)
	}
	if _, err := alice.Approve(w.ctx, "not a code", agreed); err == nil {
		t.Error("nonsense was taken for a code")
	}
	if _, err := alice.Approve(w.ctx, "00000-00000-00000-00000-00000-00000", agreed); err == nil {
		t.Error("a code without its check was taken")
	}
	if w.onRoster(alice) != 2 {
		t.Error("a device came in")
	}
}

// A code works once: who comes second is told, and changes nothing.
func TestCodeWorksOnce(t *testing.T) {
	w := newWorld(t)
	alice, mallory := w.person("alice"), w.person("mallory")
	codes := make(chan string, 1)
	var both sync.WaitGroup
	var made *Client
	var linkErr error
	cfg := testConfig(filepath.Join(t.TempDir(), "laptop"))
	both.Go(func() {
		made, linkErr = Link(w.ctx, cfg, w.office.url, "a laptop", func(code string, _ time.Time) error { codes <- code; return nil })
	})
	code := <-codes
	if _, err := alice.Approve(w.ctx, code, func(Newcomer) (bool, error) {
		_, err := mallory.Approve(w.ctx, code, agreed)
		if !errors.Is(err, ErrPairing) {
			t.Errorf("the second: %v", err)
		}
		return true, nil
	}); err != nil {
		t.Fatal(err)
	}
	both.Wait()
	if linkErr != nil {
		t.Fatal(linkErr)
	}
	w.adopt(made, cfg)
	if made.Name() != "alice" || w.onRoster(mallory) != 1 {
		t.Error("the device is not alice's alone")
	}
}

// Whatever call is the last that gets through, in either direction, the device
// is on the account and works, or it is not and nothing is left behind; and the
// next try succeeds.
func TestLinkCutOffAnywhere(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	for i := range 12 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			before := w.onRoster(alice)
			cfg := testConfig(filepath.Join(t.TempDir(), "laptop"))
			w.linkCutOff(cfg, alice, i)
			made, err := Open(cfg)
			if err != nil {
				l := w.link(cfg, alice, agreed)
				if l.linkErr != nil || l.oldErr != nil && l.approved == (Newcomer{}) {
					t.Fatalf("link: %v; approve: %v", l.linkErr, l.oldErr)
				}
				made = l.made
			} else {
				w.adopt(made, cfg)
			}
			w.eventually("one device more", func() bool { return w.onRoster(made) == before+1 })
			w.handOver(alice, made)
		})
	}
}

// linkCutOff runs a linking whose two ends both stop after so many steps.
func (w *world) linkCutOff(cfg Config, old *Client, steps int) {
	ctx, cut := context.WithCancel(w.ctx)
	defer cut()
	time.AfterFunc(time.Duration(steps)*40*time.Millisecond, cut)
	var both sync.WaitGroup
	codes := make(chan string, 1)
	both.Go(func() {
		defer close(codes)
		made, err := Link(ctx, cfg, w.office.url, "a laptop", func(code string, _ time.Time) error { codes <- code; return nil })
		if err == nil {
			_ = made.Close()
		}
	})
	if code, shown := <-codes; shown {
		_, _ = old.Approve(ctx, code, agreed)
	}
	both.Wait()
}

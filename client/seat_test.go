package client

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/posthorn/posthorn/client/localdb"
)

// copied is a copy of a closed profile in another folder.
func (w *world) copied(c *Client) Config {
	w.t.Helper()
	cfg := testConfig(filepath.Join(w.t.TempDir(), "copy"))
	if err := os.CopyFS(cfg.Home, os.DirFS(w.homes[c].Home)); err != nil {
		w.t.Fatal(err)
	}
	return cfg
}

// wantNoSessions fails if a profile could still send on an old session.
func (w *world) wantNoSessions(c *Client) {
	w.t.Helper()
	w.read(c, func(tx *localdb.Tx) error {
		rows, err := tx.AllSessions()
		if len(rows) != 0 {
			w.t.Errorf("%d sessions are left", len(rows))
		}
		return err
	})
}

// A copy that is behind erases its sessions and sends nothing, now and after a
// restart; its texts wait. Renewed, it sends them as another device, and
// whoever held the old one is out.
func TestV241ProfileThatIsBehind(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	alice = w.restart(alice)
	cfg := w.copied(alice)
	w.say(alice, bob, "the original goes on")
	behind, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(behind, cfg)
	for range 2 {
		if _, err := behind.Send(w.ctx, "bob", "from the copy"); err != nil && !errors.Is(err, ErrCloned) {
			t.Fatal(err)
		}
		if err := behind.Sync(w.ctx); !errors.Is(err, ErrCloned) {
			t.Fatalf("the copy is let in: %v", err)
		}
		w.wantNoSessions(behind)
		behind = w.restart(behind)
	}
	w.notices(behind)
	w.sync(bob)
	w.wantUnread(bob, "the original goes on")
	if err := alice.Sync(w.ctx); err != nil { // its token has ended: it logs in anew
		t.Fatal(err)
	}
	w.notices(alice)
	delete(w.homes, behind)
	if err := behind.Close(); err != nil {
		t.Fatal(err)
	}
	renewed, err := Renew(w.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(renewed, cfg)
	if renewed.profile.Device == alice.profile.Device {
		t.Error("the same device")
	}
	bob.rosters.doubt(alice.profile.Account)
	if _, err := renewed.Send(w.ctx, "bob", "as a new device"); err != nil {
		t.Fatal(err)
	}
	w.sync(bob)
	if got := w.unread(bob); len(got) == 0 || got[len(got)-1] != "as a new device" {
		t.Errorf("bob has %q", got)
	}
	if err := alice.Sync(w.ctx); err == nil {
		t.Error("the replaced device is still let in")
	}
}

// Renew goes on after it was cut off, before and after the server has heard.
func TestRenewIsRepeatable(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	cfg := w.homes[alice]
	delete(w.homes, alice)
	if err := alice.Close(); err != nil {
		t.Fatal(err)
	}
	w.office.close()
	if _, err := Renew(w.ctx, cfg); !errors.Is(err, ErrOffline) {
		t.Fatalf("without a server: %v", err)
	}
	w.office.open()
	db, err := localdb.Open(cfg.Home, cfg.unlock())
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(w.ctx, func(tx *localdb.Tx) error { // the server hears, and the answer is lost
		row, err := tx.Profile()
		if err != nil {
			return err
		}
		next, err := tx.Renewal()
		if err != nil {
			return err
		}
		return publishRenewal(w.ctx, row, next)
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	renewed, err := Renew(w.ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(renewed, cfg)
	if err := renewed.Sync(w.ctx); err != nil {
		t.Fatal(err)
	}
}

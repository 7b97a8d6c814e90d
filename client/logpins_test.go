package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/pairing"
	"github.com/posthorn/posthorn/server/store/memory"
)

// linkVia links a new profile whose way to the server is a liar's.
func (tn *town) linkVia(l *liar, cfg Config, old *Client) linking {
	tn.t.Helper()
	made := tn.linkAt(l.url, cfg, old, agreed)
	if made.oldErr != nil {
		tn.t.Fatalf("approve: %v", made.oldErr)
	}
	if made.made != nil {
		tn.liars[made.made] = l
	}
	return made
}

// relinked links again, and wants it to find that the device is on its account.
func (tn *town) relinked(l *liar, cfg Config) *Client {
	tn.t.Helper()
	made, err := Link(tn.ctx, cfg, l.url, "a laptop", nil)
	if err != nil {
		tn.t.Fatalf("an honest server: %v", err)
	}
	tn.adopt(made, cfg)
	return made
}

// TestLinkHandsOverTheLog: a new device knows from the start which log there is,
// how far it has come, and the versions of names, with no word of the server.
func TestLinkHandsOverTheLog(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	tn.person("bob")
	if _, err := alice.CheckName(tn.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	laptop := tn.linkVia(openLiar(t, tn.office.url), testConfig(filepath.Join(t.TempDir(), "laptop")), alice).made
	if laptop == nil {
		t.Fatal("not linked")
	}
	tn.read(laptop, func(tx *localdb.Tx) error {
		log, err := tx.Log()
		if err != nil {
			return err
		}
		if _, err := headOf(log); err != nil {
			t.Errorf("the checkpoint: %v", err)
		}
		i, err := tx.Import()
		if len(i.Pins) > 0 {
			t.Error("what was handed over is kept after it has served")
		}
		return err
	})
	for _, name := range []account.Name{"alice", "bob"} {
		row := func(c *Client) (n localdb.LogName) {
			tn.read(c, func(tx *localdb.Tx) (err error) { n, err = tx.LogName(name); return err })
			return n
		}
		if old, made := row(alice), row(laptop); old.Version != made.Version || old.Value != made.Value {
			t.Errorf("%s: %+v, and the old device has %+v", name, made, old)
		}
	}
}

// TestV186SplitViewToANewDevice: the server shows the new device alone another
// log with the same keys, of the same size, and a longer one. The first look-up
// refuses, with evidence; the device is on its account once the server is honest.
func TestV186SplitViewToANewDevice(t *testing.T) {
	for name, more := range map[string]int{"of one size": 0, "longer": 3} {
		t.Run(name, func(t *testing.T) {
			tn := newTown(t)
			alice := tn.person("alice")
			other := memory.New()
			t.Cleanup(func() { _ = other.Close() })
			evil := tn.serve(tn.office.store, other)
			for i := range more {
				tn.register(evil, account.Name(fmt.Sprintf("friend%d", i)))
			}
			cfg, l := testConfig(filepath.Join(t.TempDir(), "laptop")), openLiar(t, tn.office.url)
			l.shows(evil)
			tn.wantEvidence(wantCheck(t, tn.linkVia(l, cfg, alice).linkErr, "V-186"), "V-186")
			if _, err := Open(cfg); !errors.Is(err, ErrNoProfile) {
				t.Fatalf("the profile opens: %v", err)
			}
			_, err := Link(tn.ctx, cfg, l.url, "a laptop", nil)
			wantCheck(t, err, "V-186") // and again: what was handed over stays
			l.honestAgain()
			laptop := tn.relinked(l, cfg)
			if view, err := laptop.Log(tn.ctx); err != nil || !view.Known() || view.Alarm != "" {
				t.Errorf("%+v, %v", view, err)
			}
		})
	}
}

// register makes an account at an address, and leaves it alone.
func (tn *town) register(url string, name account.Name) {
	tn.t.Helper()
	cfg := testConfig(filepath.Join(tn.t.TempDir(), string(name)))
	c, err := Register(tn.ctx, cfg, name, url)
	if err != nil {
		tn.t.Fatal(err)
	}
	tn.adopt(c, cfg)
}

// TestV281AnotherLogToANewDevice: one with other keys, and none at all.
func TestV281AnotherLogToANewDevice(t *testing.T) {
	for name, show := range map[string]func(*town) string{
		"other keys": func(tn *town) string {
			stranger := newTown(t)
			return stranger.serve(tn.office.store, memory.New())
		},
		"none": func(tn *town) string { return openOffice(t).url },
	} {
		t.Run(name, func(t *testing.T) {
			tn := newTown(t)
			alice := tn.person("alice")
			cfg, l := testConfig(filepath.Join(t.TempDir(), "laptop")), openLiar(t, tn.office.url)
			l.shows(show(tn))
			failed := wantCheck(t, tn.linkVia(l, cfg, alice).linkErr, "V-281")
			if !errors.Is(failed, ErrOtherLog) {
				t.Error(failed)
			}
			l.honestAgain()
			tn.relinked(l, cfg)
		})
	}
}

// TestV280PinsThatAreNone: what the other side of a pairing calls pins is read
// strictly before anything is done with it.
func TestV280PinsThatAreNone(t *testing.T) {
	w := newWorld(t)
	n := &newcomer{}
	_, err := n.apply(w.ctx, &pairing.Invitation{Extra: []byte("not pins")})
	if !errors.Is(err, ErrPairing) || !errors.Is(err, kt.ErrEncoding) {
		t.Fatal(err)
	}
}

// TestPinsThatDoNotFitAreLeftOut: the newest names go first, and the own marker
// never goes.
func TestPinsThatDoNotFitAreLeftOut(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	var row localdb.Log
	tn.read(alice, func(tx *localdb.Tx) (err error) { row, err = tx.Log(); return err })
	names := []localdb.LogName{{Name: ownLabel}}
	for i := range maxPinned {
		names = append(names, localdb.LogName{Name: account.Name(fmt.Sprintf("%032d", maxPinned-i)), Version: uint32(i)})
	}
	handed, err := packPins(row, names, pairing.MaxExtra)
	if err != nil || len(handed) > pairing.MaxExtra {
		t.Fatalf("%d bytes, %v", len(handed), err)
	}
	pins, err := kt.ParsePins(handed)
	if err != nil || len(pins.Names) < 100 || len(pins.Names) == maxPinned {
		t.Fatalf("%d names, %v", len(pins.Names), err)
	}
	for _, n := range pins.Names {
		if int(n.Label.Version) >= len(pins.Names) {
			t.Fatalf("%s went, and newer ones did not", n.Name)
		}
	}
}

// TestRenewKeepsTheLog: a profile that was put back goes on with the log that it
// had, and is not led to another.
func TestRenewKeepsTheLog(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	l := tn.liars[alice]
	evil := tn.serve(tn.office.store, memory.New())
	cfg := tn.homes[alice]
	if err := alice.CheckOwnName(tn.ctx); err != nil {
		t.Fatal(err)
	}
	before, err := alice.Log(tn.ctx)
	if err != nil {
		t.Fatal(err)
	}
	delete(tn.homes, alice)
	if err := alice.Close(); err != nil {
		t.Fatal(err)
	}
	copied := testConfig(filepath.Join(t.TempDir(), "copy"))
	if err := os.CopyFS(copied.Home, os.DirFS(cfg.Home)); err != nil {
		t.Fatal(err)
	}
	l.shows(evil)
	renewed, err := Renew(tn.ctx, copied)
	if err != nil {
		t.Fatal(err)
	}
	tn.adopt(renewed, copied)
	if after, err := renewed.Log(tn.ctx); err != nil || after.Root != before.Root || after.Size != before.Size {
		t.Fatalf("%+v, was %+v: %v", after, before, err)
	}
	tn.wantEvidence(wantCheck(t, renewed.CheckOwnName(tn.ctx), "V-186"), "V-186")
	l.honestAgain()
}

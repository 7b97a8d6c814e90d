package client

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
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

// seatOf is what a profile knows of its logins.
func (w *world) seatOf(c *Client) (seat localdb.Seat) {
	w.t.Helper()
	w.read(c, func(tx *localdb.Tx) (err error) {
		seat, err = tx.Seat()
		return err
	})
	return seat
}

// signedLogin is what a device signs about its seat at a login.
func signedLogin(t *testing.T, key *account.SigningKey, id account.ID, device account.DeviceID, number uint64, value, next [16]byte) *transport.Login {
	t.Helper()
	signature, err := key.SignECDSA(nil, api.SeatBytes(id, device, number, value, next))
	if err != nil {
		t.Fatal(err)
	}
	return &transport.Login{Number: number, Value: value, Next: next, Signature: signature}
}

func onTheWire(l *transport.Login) *posthornv1.Seat {
	if l == nil {
		return nil
	}
	return &posthornv1.Seat{Number: l.Number, Value: l.Value[:], Next: l.Next[:], Signature: l.Signature[:]}
}

// A server that says that another copy has gone on, and shows nothing that only
// another copy can have signed, is not believed: nothing is erased, also over a
// restart, and the profile goes on once it is let in.
func TestV295CopiedByAWord(t *testing.T) {
	w := newWorld(t)
	l := openLiar(t, w.office.url)
	bob, cfg := w.person("bob"), testConfig(filepath.Join(t.TempDir(), "alice"))
	alice, err := Register(w.ctx, cfg, "alice", l.url)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(alice, cfg)
	w.introduce(alice, bob)
	w.say(bob, alice, "for both of you")
	w.settleAll(alice, bob)
	for range 2 { // logins, so that there are earlier ones to show
		alice = w.restart(alice)
		w.sync(alice)
	}
	me, key, device := alice.profile.Account, alice.key, alice.profile.Device
	for what, show := range map[string]func(localdb.Seat) *transport.Login{
		"nothing": func(localdb.Seat) *transport.Login { return nil },
		"its own last login": func(s localdb.Seat) *transport.Login {
			return signedLogin(t, key, me, device, s.Number-1, [16]byte{7}, s.Value)
		},
		"an earlier one": func(s localdb.Seat) *transport.Login {
			return signedLogin(t, key, me, device, s.Number-2, [16]byte{7}, [16]byte{8})
		},
		"the login that it is making": func(s localdb.Seat) *transport.Login {
			return signedLogin(t, key, me, device, s.Number, s.Value, s.Next)
		},
		"what somebody else has signed": func(s localdb.Seat) *transport.Login {
			return signedLogin(t, bob.key, me, device, s.Number+1, [16]byte{7}, [16]byte{8})
		},
		"a login of another device": func(s localdb.Seat) *transport.Login {
			return signedLogin(t, key, me, account.DeviceID{9}, s.Number+1, [16]byte{7}, [16]byte{8})
		},
		"a login with another number than was signed": func(s localdb.Seat) *transport.Login {
			l := signedLogin(t, key, me, device, s.Number-1, [16]byte{7}, s.Value)
			l.Number += 5
			return l
		},
	} {
		alice = w.restart(alice)
		before := w.sessionRows(alice)
		l.word(api.ReasonDeviceCloned, "/Authenticate")
		if err := alice.Sync(w.ctx); !errors.Is(err, ErrCopyUnproven) { // with this the next value is drawn
			t.Fatalf("%s: %v", what, err)
		}
		l.showsLogin(onTheWire(show(w.seatOf(alice))))
		if err := alice.Sync(w.ctx); !errors.Is(err, ErrCopyUnproven) || errors.Is(err, ErrCloned) || !slices.Contains(checksIn(err), "V-295") {
			t.Errorf("%s: %v", what, err)
		}
		w.wantIntact(alice, before)
		l.honestAgain()
		w.sync(alice)
	}
	alice = w.restart(alice)
	l.word(api.ReasonDeviceCloned, "/Authenticate")
	_, sent := alice.Send(w.ctx, "bob", "while it lies")
	_, rotated := alice.RotatePrekeys(w.ctx)
	for call, err := range map[string]error{"run": alice.Run(w.ctx), "send": sent, "rotate": rotated} {
		if !errors.Is(err, ErrCopyUnproven) || errors.Is(err, ErrCloned) {
			t.Errorf("%s: %v", call, err)
		}
	}
	l.honestAgain()
	w.say(alice, bob, "the server lets it in again")
	w.sync(bob)
	if got := w.said(bob, "alice"); !slices.Contains(got, "the server lets it in again") {
		t.Errorf("bob has %q", got)
	}
	if told, err := alice.Notices(w.ctx); err != nil || len(told) != 0 {
		t.Errorf("an alarm that nothing proves: %q, %v", told, err)
	}
}

// What only another copy can have signed is believed; then nothing that could be
// sent on is left, and what was received is.
func TestV241WhatProvesACopy(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.say(bob, alice, "for both of you")
	w.sync(alice)
	alice = w.restart(alice)
	w.sync(alice)
	me, key, device := alice.profile.Account, alice.key, alice.profile.Device
	mine := w.seatOf(alice)
	mine.Next = [16]byte{5}
	seats := seating{alice.db, alice.entropy, me, device, key.Public()}
	for what, l := range map[string]*transport.Login{
		"a later number":          signedLogin(t, key, me, device, mine.Number+1, [16]byte{7}, [16]byte{8}),
		"another value drawn":     signedLogin(t, key, me, device, mine.Number, mine.Value, [16]byte{8}),
		"after another login":     signedLogin(t, key, me, device, mine.Number, [16]byte{7}, mine.Next),
		"another one before this": signedLogin(t, key, me, device, mine.Number-1, [16]byte{7}, [16]byte{8}),
	} {
		if !seats.overtakes(mine, l) {
			t.Errorf("%s is not believed", what)
		}
	}
	if err := seats.Behind(w.ctx, signedLogin(t, key, me, device, mine.Number+3, [16]byte{7}, [16]byte{8})); !errors.Is(err, ErrCloned) {
		t.Fatal(err)
	}
	w.wantNoSessions(alice)
	alice = w.restart(alice)
	if err := alice.Sync(w.ctx); !errors.Is(err, ErrCloned) {
		t.Errorf("after a restart: %v", err)
	}
	if got := w.said(alice, "bob"); !slices.Contains(got, "for both of you") {
		t.Errorf("it can read %q", got)
	}
	if all, err := alice.Contacts(w.ctx); err != nil || len(all) != 1 {
		t.Errorf("contacts: %v, %v", all, err)
	}
	if all, err := alice.Devices(w.ctx); err != nil || len(all) != 1 {
		t.Errorf("devices: %v, %v", all, err)
	}
	if _, err := alice.Status(w.ctx); err != nil {
		t.Error(err)
	}
}

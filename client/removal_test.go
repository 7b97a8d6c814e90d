package client

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/reject"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

// family is a town with alice, her laptop, which a liar stands before, and bob,
// who has written to both and got answers.
func family(t *testing.T) (tn *town, alice, laptop, bob *Client, l *liar) {
	t.Helper()
	tn = newTown(t)
	alice, bob = tn.person("alice"), tn.person("bob")
	tn.introduce(alice, bob)
	l = openLiar(t, tn.office.url)
	laptop = tn.linkVia(l, testConfig(filepath.Join(t.TempDir(), "laptop")), alice).made
	if laptop == nil {
		t.Fatal("not linked")
	}
	tn.liars[laptop] = l
	tn.settleAll(alice, laptop, bob)
	tn.say(laptop, bob, "from the laptop")
	tn.say(bob, alice, "for both of you")
	tn.settleAll(alice, laptop, bob)
	return tn, alice, laptop, bob, l
}

// wantIntact fails unless a device has all it had and can be read.
func (w *world) wantIntact(c *Client, sessions []byte) {
	w.t.Helper()
	if after := w.sessionRows(c); !bytes.Equal(sessions, after) {
		w.t.Error("a word has changed the sessions")
	}
	if removed, err := c.Removed(w.ctx); err != nil || removed {
		w.t.Errorf("removed: %v, %v", removed, err)
	}
	if got := w.said(c, "bob"); !slices.Contains(got, "for both of you") {
		w.t.Errorf("it can read %q", got)
	}
}

// wantUnproven fails unless an error says that a removal was not shown, for the
// reason of a numbered check.
func wantUnproven(t *testing.T, err error, check string) {
	t.Helper()
	if !errors.Is(err, ErrRemovalUnproven) || errors.Is(err, ErrRemoved) || errors.Is(err, ErrOffline) || passing(err) {
		t.Fatalf("not the error of an unproven removal: %v", err)
	}
	if !slices.Contains(checksIn(err), check) {
		t.Errorf("refused by %v, want %s: %v", checksIn(err), check, err)
	}
}

// checksIn lists the numbered checks in a tree of errors.
func checksIn(err error) (ids []string) {
	if refused, ok := err.(*reject.Error); ok {
		ids = append(ids, refused.Check)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			ids = append(ids, checksIn(inner)...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			if inner != nil {
				ids = append(ids, checksIn(inner)...)
			}
		}
	}
	return ids
}

// A server that says "removed", to a login or to any other call, and shows
// nothing, is not believed: nothing is erased, also over a restart, every call says
// so, and once the server answers rightly the device goes on where it was.
func TestV291RemovedByAWord(t *testing.T) {
	tn, _, laptop, bob, l := family(t)
	before := tn.sessionRows(laptop)
	for _, call := range []string{"/Authenticate", "/GetAccount", "/Send", "/PublishBundle", "/Ack", "/GetHistory"} {
		if call == "/Authenticate" {
			laptop = tn.restart(laptop)
		}
		l.word(api.ReasonDeviceRemoved, call)
		laptop.rosters.doubt(bob.profile.Account)
		laptop.rosters.doubt(laptop.profile.Account)
		if err := laptop.Sync(tn.ctx); call == "/Authenticate" {
			wantUnproven(t, err, "V-291")
			wantUnproven(t, laptop.Run(tn.ctx), "V-291")
			if _, err := laptop.Send(tn.ctx, "bob", "while it lies"); true {
				wantUnproven(t, err, "V-291")
			}
			if _, err := laptop.RotatePrekeys(tn.ctx); true {
				wantUnproven(t, err, "V-291")
			}
			wantUnproven(t, laptop.RemoveDevices(tn.ctx, account.DeviceID{1}), "V-291")
			tn.write(laptop, (*localdb.Tx).ClearWorn) // what the call above has asked for
		} else if err != nil || call == "/GetAccount" { // the others are not called each time
			wantUnproven(t, err, "V-291")
		}
		tn.wantIntact(laptop, before)
		l.honestAgain()
		tn.sync(laptop)
		before = tn.sessionRows(laptop)
	}
	laptop = tn.restart(laptop)
	tn.say(laptop, bob, "the server answers again")
	tn.settleAll(laptop, bob)
	if got := tn.said(bob, "alice"); !slices.Contains(got, "the server answers again") {
		t.Errorf("bob has %q", got)
	}
}

// What a lying server can show in the place of a removal proves none: the roster
// on which the device still is, that of another account, one that goes another
// way than the known one, and a genuine removal that the log does not hold.
func TestV292RosterThatProvesNoRemoval(t *testing.T) {
	tn, alice, laptop, bob, l := family(t)
	present, other := tn.known(alice, alice), tn.known(bob, bob)
	removal := tn.proposed(alice, account.RemoveDevice{ID: laptop.profile.Device})
	unlogged := append(slices.Clone(present.row.Statements), removal)
	proof := func() []byte { // of what the log holds, for who knows of it what the laptop does
		var known localdb.Log
		var name localdb.LogName
		tn.read(laptop, func(tx *localdb.Tx) (err error) {
			if known, err = tx.Log(); err == nil {
				name, err = tx.LogName("alice")
			}
			return err
		})
		reply, err := tn.log.Answer(tn.ctx, "alice", ktlog.Asked{Size: known.Size, Known: true, Version: name.Version})
		if err != nil {
			t.Fatal(err)
		}
		return reply.Answer.Marshal()
	}
	if err := laptop.CheckOwnName(tn.ctx); err != nil {
		t.Fatal(err)
	}
	for _, lie := range []struct {
		what       string
		statements [][]byte
		proved     bool
		check      string
	}{
		{"nothing", nil, false, "V-195"},
		{"a removal without a proof", unlogged, false, "V-195"},
		{"a removal that the log does not hold", unlogged, true, "V-190"},
		{"another account", other.row.Statements, true, "V-190"},
		{"the roster that it is on", present.row.Statements, true, "V-292"},
	} {
		laptop = tn.restart(laptop)
		before := tn.sessionRows(laptop)
		l.word(api.ReasonDeviceRemoved, "/Authenticate")
		l.showsRemoval(lie.statements, nil)
		if lie.proved {
			l.showsRemoval(lie.statements, proof())
		}
		t.Log(lie.what)
		wantUnproven(t, laptop.Sync(tn.ctx), lie.check)
		tn.wantIntact(laptop, before)
		l.honestAgain()
		tn.sync(laptop)
	}
}

// The same lies by a server that never had a log.
func TestV292RosterThatProvesNoRemovalWithoutALog(t *testing.T) {
	w := newWorld(t)
	l := openLiar(t, w.office.url)
	bob, cfg := w.person("bob"), testConfig(filepath.Join(t.TempDir(), "alice"))
	alice, err := Register(w.ctx, cfg, "alice", l.url)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(alice, cfg)
	phone := w.sibling(alice)
	w.introduce(alice, bob)
	w.say(bob, alice, "for both of you")
	w.settleAll(alice, bob, phone)
	before := w.known(alice, alice)
	earlier := before
	earlier.row.Statements = before.row.Statements[:1]
	if earlier.roster, err = account.ReplayRoster(earlier.row.Statements); err != nil {
		t.Fatal(err)
	}
	for _, lie := range []struct {
		what       string
		statements [][]byte
		check      string
	}{
		{"nothing", nil, "V-101"},
		{"another account", w.known(bob, bob).row.Statements, "V-101"},
		{"the roster that it is on", before.row.Statements, "V-292"},
		{"an older one", before.row.Statements[:1], "V-292"},
		{"a longer one that it is on", w.rival(alice, before).row.Statements, "V-292"},
		{"one that goes another way", w.rival(alice, earlier).row.Statements, "V-103"},
	} {
		alice = w.restart(alice)
		rows := w.sessionRows(alice)
		l.word(api.ReasonDeviceRemoved, "/Authenticate")
		l.showsRemoval(lie.statements, nil)
		t.Log(lie.what)
		wantUnproven(t, alice.Sync(w.ctx), lie.check)
		w.wantIntact(alice, rows)
		l.honestAgain()
		w.sync(alice)
	}
}

// A removal that the log holds is believed: the device erases, once, what it
// could send and open messages with, and keeps what it has received. Afterwards it
// says nothing to any server, and everything that only reads works.
func TestV293RemovedDeviceTalksToNobody(t *testing.T) {
	tn, alice, laptop, bob, l := family(t)
	tn.expel(alice, laptop)
	tn.say(bob, alice, "for alice alone")
	if err := laptop.Sync(tn.ctx); !errors.Is(err, ErrRemoved) || errors.Is(err, ErrRemovalUnproven) {
		t.Fatalf("a removed device: %v", err)
	}
	for range 2 {
		tn.wantNoSessions(laptop)
		calls := l.calls()
		_, sent := laptop.Send(tn.ctx, "bob", "still here")
		_, rotated := laptop.RotatePrekeys(tn.ctx)
		for what, err := range map[string]error{"sync": laptop.Sync(tn.ctx), "run": laptop.Run(tn.ctx), "send": sent, "rotate": rotated} {
			if !errors.Is(err, ErrRemoved) || !slices.Contains(checksIn(err), "V-293") {
				t.Errorf("%s: %v", what, err)
			}
		}
		status, err := laptop.Status(tn.ctx)
		if err != nil || !status.Removed || status.Connected || status.Devices != 1 {
			t.Errorf("status: %+v, %v", status, err)
		}
		devices, err := laptop.Devices(tn.ctx)
		if err != nil || len(devices) != 2 || !devices[0].This || !devices[0].Removed || devices[1].Removed {
			t.Errorf("devices: %+v, %v", devices, err)
		}
		if all, err := laptop.Contacts(tn.ctx); err != nil || len(all) != 1 || all[0].Name != "bob" {
			t.Errorf("contacts: %+v, %v", all, err)
		}
		if got := tn.said(laptop, "bob"); !slices.Contains(got, "for both of you") || slices.Contains(got, "for alice alone") {
			t.Errorf("it can read %q", got)
		}
		if now := l.calls(); now != calls {
			t.Errorf("%d calls", now-calls)
		}
		laptop = tn.restart(laptop)
	}
}

// A server that is out of reach for the proof leaves it at the word, and the
// device asks again later.
func TestRemovalThatCannotBeAskedFor(t *testing.T) {
	tn, alice, laptop, _, l := family(t)
	before := tn.sessionRows(laptop)
	tn.expel(alice, laptop)
	l.word("unpublished", "/FindRemoval")
	err := laptop.Sync(tn.ctx)
	if !errors.Is(err, ErrRemovalUnproven) || passing(err) {
		t.Fatal(err)
	}
	tn.wantIntact(laptop, before)
	ended, cancel := context.WithCancel(tn.ctx)
	cancel()
	if err := laptop.ProveRemoval(ended, err); !errors.Is(err, ErrRemovalUnproven) {
		t.Errorf("asked once, and again: %v", err)
	}
	if err := laptop.ProveRemoval(ended, ErrRemovalUnproven); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who does not wait: %v", err)
	}
	l.honestAgain()
	if err := laptop.Sync(tn.ctx); !errors.Is(err, ErrRemoved) {
		t.Fatal(err)
	}
	tn.wantNoSessions(laptop)
}

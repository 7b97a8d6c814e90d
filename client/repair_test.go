package client

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/pq3"
)

// TestRepairAfterLostSessions: the receiver lost its sessions; it publishes a
// fresh bundle and says so, signed; the sender starts anew and the texts that
// were never confirmed arrive once, under their old ids.
func TestRepairAfterLostSessions(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	lost := w.device(alice, bob).Session
	w.forgetSessions(bob)
	bob = w.restart(bob)
	first := w.say(alice, bob, "did you")
	w.say(alice, bob, "lose me?")
	w.sync(bob)
	w.wantUnread(bob)
	if told := w.notices(bob); !strings.Contains(told[0], "new session") {
		t.Errorf("bob was told %q", told)
	}
	w.sync(alice)
	if told := w.notices(alice); !strings.Contains(told[0], "2 unconfirmed texts") {
		t.Errorf("alice was told %q", told)
	}
	w.settleAll(bob, alice)
	w.wantUnread(bob, "did you", "lose me?")
	if now := w.device(alice, bob).Session; now == lost {
		t.Error("the lost session is still in use")
	}
	if err := alice.WaitDelivered(w.ctx, first); err != nil {
		t.Fatal(err)
	}
	if n := bob.Refusals()["V-68"]; n != 2 {
		t.Errorf("messages of the lost session refused: %d", n)
	}
}

// TestGarbageNeverCausesRepair: only a message that the peer's device signed
// can lead to a request.
func TestA07GarbageNeverCausesRepair(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "x")
	row := w.take(alice)[0]
	w.forgetSessions(bob)
	altered := slices.Clone(row.Payload)
	altered[len(altered)-1] ^= 1
	for range 4 {
		w.post(alice, forged(bob, altered))
	}
	w.sync(bob)
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingControl); n != 0 {
		t.Fatalf("%d requests", n)
	}
}

// TestThreeStrikesCallForRepair: signed messages that do not fit the session
// are dropped one by one; the third in ten minutes asks for a new session.
func TestThreeStrikesCallForRepair(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	kept := w.snapshot(bob)
	for range 3 { // bob's disk forgets the last rounds
		w.say(alice, bob, "ping")
		w.sync(bob)
		w.say(bob, alice, "pong")
		w.settleAll(alice, bob)
	}
	w.restore(bob, kept)
	for i := range 3 {
		if n := countKind(w.outgoing(bob, alice), localdb.OutgoingControl); n != 0 {
			t.Fatalf("asked after %d strikes", i)
		}
		w.say(alice, bob, fmt.Sprint("strike ", i))
		w.sync(bob)
	}
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingControl); n != 1 {
		t.Fatalf("%d requests after three strikes; refused %v", n, bob.Refusals())
	}
	w.unread(bob)
	w.settleAll(alice, bob)
	w.wantUnread(bob, "strike 0", "strike 1", "strike 2")
}

func (w *world) snapshot(c *Client) (rows []localdb.Session) {
	w.t.Helper()
	w.read(c, func(tx *localdb.Tx) (err error) {
		rows, err = tx.AllSessions()
		for i := range rows { // they are wiped when the transaction ends
			rows[i].State = slices.Clone(rows[i].State)
		}
		return err
	})
	return rows
}

func (w *world) restore(c *Client, rows []localdb.Session) {
	w.t.Helper()
	w.forgetSessions(c)
	w.write(c, func(tx *localdb.Tx) error {
		for _, r := range rows {
			if err := tx.PutSession(r); err != nil {
				return err
			}
		}
		return nil
	})
}

// request makes the control message by which from asks to to repair.
func (w *world) request(from, to *Client, about *pq3.Message, at time.Time) localdb.Outgoing {
	w.t.Helper()
	ctl := pq3.ControlAbout(about, pq3.ControlSessionUnknown, at, from.entropy)
	wire, err := pq3.SealControl(from.me, party(to), ctl, from.entropy)
	if err != nil {
		w.t.Fatal(err)
	}
	return forged(to, wire)
}

func TestV107RepairConditions(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	mallory := w.person("mallory")
	w.introduce(mallory, alice)
	w.seal(alice, bob, "unconfirmed")
	row := w.take(alice)[0]
	m := parse(t, row.Payload)
	w.seal(mallory, alice, "another")
	other := parse(t, w.take(mallory)[0].Payload)
	session := w.device(alice, bob).Session
	unchanged := func(when string, n int) {
		t.Helper()
		w.sync(alice)
		w.wantRefused(alice, "V-107", n)
		if now := w.device(alice, bob).Session; now != session {
			t.Fatalf("%s: a new session was started", when)
		}
	}
	w.post(bob, w.request(bob, alice, other, time.Now()))
	unchanged("another session", 1)
	w.seal(bob, alice, "of my own")
	own := parse(t, w.take(bob)[0].Payload)
	w.post(bob, w.request(bob, alice, own, time.Now()))
	unchanged("a message that alice never sent", 2)
	w.post(mallory, w.request(mallory, alice, m, time.Now()))
	unchanged("somebody else's request", 3)
	w.post(bob, w.request(bob, alice, m, time.Now().Add(-25*time.Hour)))
	w.sync(alice)
	w.wantRefused(alice, "V-64", 1)

	if err := bob.rotatePrekey(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.post(bob, w.request(bob, alice, m, time.Now()))
	w.sync(alice)
	repaired := w.device(alice, bob).Session
	if repaired == session {
		t.Fatalf("a correct request was not acted on: %v", alice.Refusals())
	}
	session = repaired
	w.seal(alice, bob, "still unconfirmed")
	fresh := parse(t, w.take(alice)[0].Payload)
	w.post(bob, w.request(bob, alice, fresh, time.Now()))
	unchanged("twice within an hour", 4)
}

// TestV106RepairNeedsAFreshBundle: a request is not acted on with a bundle
// from before it, whose keys may have leaked with the session.
func TestV106RepairNeedsAFreshBundle(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.personSince("bob", time.Now().Add(-time.Hour))
	w.introduce(alice, bob)
	w.seal(alice, bob, "unconfirmed")
	m := parse(t, w.take(alice)[0].Payload)
	session := w.device(alice, bob).Session
	w.post(bob, w.request(bob, alice, m, time.Now()))
	w.sync(alice)
	w.wantRefused(alice, "V-106", 1)
	if now := w.device(alice, bob).Session; now != session {
		t.Fatal("a new session rests on an hour-old bundle")
	}
}

// personSince registers somebody whose keys and bundle were made at a time in
// the past, as after an interrupted registration.
func (w *world) personSince(name account.Name, made time.Time) *Client {
	w.t.Helper()
	cfg := testConfig(filepath.Join(w.t.TempDir(), string(name)))
	row, prekey, err := newAccount(made)
	if err != nil {
		w.t.Fatal(err)
	}
	row.Name, row.ServerURL = name, w.office.url
	db, err := localdb.Create(cfg.Home, cfg.unlock())
	if err == nil {
		err = db.Update(w.ctx, func(tx *localdb.Tx) error {
			return errors.Join(tx.PutProfile(row), putPrekey(tx, prekey))
		})
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return w.personWith(name, cfg)
}

// TestV109ResendRequestsAreBounded: objects are sent again only for the chain
// being sent on, and at most once a minute.
func TestV109ResendRequestsAreBounded(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	w.seal(alice, bob, "start")
	start := parse(t, w.take(alice)[0].Payload)
	if err := bob.AcceptContact(w.ctx, "alice"); err == nil {
		t.Fatal("bob knows alice already")
	}
	ask := func(about *pq3.Message) {
		ctl := pq3.ControlAbout(about, pq3.ControlObjectsWanted, time.Now(), bob.entropy)
		wire, err := pq3.SealControl(bob.me, party(alice), ctl, bob.entropy)
		if err != nil {
			t.Fatal(err)
		}
		w.post(bob, forged(alice, wire))
		w.receiveOnly(alice)
	}
	ask(start)
	if n := countKind(w.outgoing(alice, bob), localdb.OutgoingObjects); n != 1 {
		t.Fatalf("%d answers, refused %v", n, alice.Refusals())
	}
	ask(start)
	w.wantRefused(alice, "V-109", 1)
	w.seal(bob, alice, "other")
	ask(parse(t, w.take(bob)[0].Payload))
	w.wantRefused(alice, "V-109", 2)
	if n := countKind(w.outgoing(alice, bob), localdb.OutgoingObjects); n != 1 {
		t.Errorf("%d answers after two refused requests", n)
	}
}

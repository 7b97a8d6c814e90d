package client

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
)

// erasesEarly rotates prekeys after a suspicion, and lets the hour pass in which
// the earlier ones still open what comes.
func (w *world) erasesEarly(c *Client) {
	w.t.Helper()
	if _, err := c.RotatePrekeys(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.write(c, func(tx *localdb.Tx) error {
		n, err := tx.EraseGivenUp(millis(time.Now().Add(2 * givenUpLife)))
		if n == 0 {
			w.t.Error("no prekey was given up")
		}
		return err
	})
}

// started seals a text that starts a session under the newest bundle, and keeps
// it back.
func (w *world) started(from, to *Client, text string) localdb.Outgoing {
	w.t.Helper()
	w.forgetSessions(from)
	w.seal(from, to, text)
	rows := w.take(from)
	if !parse(w.t, rows[0].Payload).IsStart() {
		w.t.Fatal("not a start")
	}
	return rows[0]
}

// A start on its way while its prekey is given up: within the hour it is
// accepted, after it the sender is asked, and nothing is lost.
func TestV42StartUnderAGivenUpPrekey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	early := w.started(alice, bob, "within the hour")
	if _, err := bob.RotatePrekeys(w.ctx); err != nil {
		t.Fatal(err)
	}
	w.post(alice, early)
	w.sync(bob)
	w.wantUnread(bob, "within the hour")
	w.settleAll(alice, bob)

	late := w.started(alice, bob, "after it")
	w.erasesEarly(bob)
	w.post(alice, late)
	w.sync(bob)
	w.wantRefused(bob, "V-42", 1)
	if told := w.notices(bob); !strings.Contains(told[0], "given up") {
		t.Errorf("bob was told %q", told)
	}
	w.settleAll(alice, bob)
	w.wantUnread(bob, "after it")
	if told := w.notices(alice); !slices.ContainsFunc(told, func(s string) bool { return strings.Contains(s, "1 unconfirmed texts") }) {
		t.Errorf("alice was told %q", told)
	}
}

// A start that was accepted, and comes again once its prekey is gone, asks
// nobody for anything.
func TestA01ReplayUnderAGivenUpPrekey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	start := w.started(alice, bob, "once")
	w.post(alice, start)
	w.sync(bob)
	w.wantUnread(bob, "once")
	w.erasesEarly(bob)
	w.forgetSessions(bob)
	w.post(alice, again(start))
	w.sync(bob)
	w.wantRefused(bob, "V-42", 1)
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingControl); n != 0 {
		t.Errorf("%d requests", n)
	}
	w.wantUnread(bob)
}

// A stranger is asked for nothing; the user is told.
func TestV42StrangerUnderAGivenUpPrekey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	late := w.started(alice, bob, "we have not met")
	w.erasesEarly(bob)
	w.post(alice, late)
	w.sync(bob)
	w.wantRefused(bob, "V-42", 1)
	if told := w.notices(bob); !strings.Contains(told[0], "a first message of @alice") {
		t.Errorf("bob was told %q", told)
	}
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingControl); n != 0 {
		t.Errorf("%d requests to a stranger", n)
	}
}

// An older copy that tries to log in costs the prekeys that are in it.
func TestA17CopyCostsThePrekeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	alice = w.restart(alice)
	cfg := w.copied(alice)
	w.say(alice, bob, "the original goes on")
	before := w.newestPrekey(alice)
	behind, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(behind, cfg)
	_ = behind.Sync(w.ctx) // it is turned away
	w.sync(alice)
	after := w.newestPrekey(alice)
	if after.Hash == before.Hash || !after.Published {
		t.Error("the prekeys that the copy has are still the newest")
	}
	w.read(alice, func(tx *localdb.Tx) error {
		row, err := tx.Prekey(before.Hash)
		if row.EraseAt == 0 || row.EraseAt > millis(time.Now().Add(givenUpLife)) {
			t.Errorf("they are erased at %d", row.EraseAt)
		}
		return err
	})
}

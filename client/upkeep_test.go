package client

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/pq3"
)

// TestFullChainStartsANewSession: 500 texts to somebody who is away fill a
// chain; the next one goes out on a new session, from a freshly fetched bundle,
// and all of them arrive.
func TestFullChainStartsANewSession(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	w.say(alice, bob, "0")
	first := w.device(alice, bob).Session
	for i := 1; i <= 500; i++ {
		w.seal(alice, bob, fmt.Sprint(i))
	}
	if now := w.device(alice, bob).Session; now == first {
		t.Fatal("the chain is longer than 500")
	}
	w.settleAll(alice, bob)
	got := w.unread(bob)
	if len(got) != 501 || got[0] != "0" || got[500] != "500" {
		t.Fatalf("%d texts", len(got))
	}
}

// TestHardLimitByAge: once the post-quantum secret is too old, the next text
// goes out on a new session although the old one still works.
func TestHardLimitByAge(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	first := w.device(alice, bob).Session
	alice.policy = pq3.Policy{Hard: time.Second}
	time.Sleep(1100 * time.Millisecond)
	w.say(alice, bob, "fresh start")
	if now := w.device(alice, bob).Session; now == first {
		t.Error("an overdue session was sent on")
	}
	w.sync(bob)
	w.wantUnread(bob, "fresh start")
	w.say(bob, alice, "and the answer takes the new one")
	if a, b := w.device(alice, bob), w.device(bob, alice); a.Session != b.Session {
		t.Errorf("sessions %s and %s", a.Session, b.Session)
	}
}

// TestPrekeysRotate: a bundle is replaced after a week, its private half opens
// starts that are still on the way, and is erased when its retention ends.
func TestPrekeysRotate(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	w.seal(alice, bob, "sealed for the old bundle")
	late := w.take(alice)
	old := w.agePrekeys(bob, func(row *localdb.Prekey) { row.NotBefore -= uint64(8 * day / time.Millisecond) })
	w.sync(bob)
	if now := w.newestPrekey(bob); now.Hash == old || !now.Published {
		t.Fatalf("after a week: published %v, same %v", now.Published, now.Hash == old)
	}
	w.post(alice, late...)
	w.sync(bob)
	w.wantUnread(bob, "sealed for the old bundle")

	w.agePrekeys(bob, func(row *localdb.Prekey) {
		if row.Hash == old {
			row.NotAfter = millis(time.Now().Add(-pq3.PrekeyRetention - time.Minute))
		}
	})
	w.sync(bob)
	w.read(bob, func(tx *localdb.Tx) error {
		if _, err := tx.Prekey(old); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("the old private half is still here: %v", err)
		}
		return nil
	})
}

// TestUnusualFetchesAreTold: the owner of a device hears once that its bundle
// is asked for over and over.
func TestUnusualFetchesAreTold(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if err := errors.Join(alice.tellFetches(w.ctx, 0), alice.tellFetches(w.ctx, 1200)); err != nil {
		t.Fatal(err)
	}
	notices, err := alice.Notices(w.ctx)
	if err != nil || len(notices) != 1 || !strings.Contains(notices[0], "asked for 1200 times within an hour") {
		t.Errorf("%q, %v", notices, err)
	}
}

// agePrekeys rewrites the stored times of every prekey and returns the newest.
func (w *world) agePrekeys(c *Client, age func(*localdb.Prekey)) account.BundleHash {
	w.t.Helper()
	newest := w.newestPrekey(c).Hash
	w.write(c, func(tx *localdb.Tx) error {
		rows, err := tx.Prekeys()
		for _, row := range rows {
			age(&row)
			err = errors.Join(err, tx.PutPrekey(row))
		}
		return err
	})
	return newest
}

func (w *world) newestPrekey(c *Client) (row localdb.Prekey) {
	w.t.Helper()
	w.read(c, func(tx *localdb.Tx) (err error) {
		row, err = tx.NewestPrekey(account.PQ3A)
		return err
	})
	return row
}

// TestA57ExpiredMessagesAreTold: what the server had to delete is not lost in
// silence.
func TestA57ExpiredMessagesAreTold(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if err := alice.tellExpired(w.ctx, 0); err != nil {
		t.Fatal(err)
	}
	if err := alice.tellExpired(w.ctx, 3); err != nil {
		t.Fatal(err)
	}
	if told := w.notices(alice); len(told) != 1 || !strings.HasPrefix(told[0], "3 messages") {
		t.Errorf("told %q", told)
	}
	if told, err := alice.Notices(w.ctx); err != nil || len(told) != 0 {
		t.Errorf("told twice: %q, %v", told, err)
	}
}

// TestA16CopiedProfileStartsAfresh: after a profile was put back from a copy,
// no stored session is sent on again.
func TestA16CopiedProfileStartsAfresh(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	before := w.device(alice, bob).Session
	if err := alice.startAfresh(w.ctx); err != nil {
		t.Fatal(err)
	}
	if told := w.notices(alice); !strings.Contains(told[0], "copy") {
		t.Errorf("told %q", told)
	}
	w.say(alice, bob, "from the copy")
	if now := w.device(alice, bob).Session; now == before {
		t.Error("the old session is sent on")
	}
	w.sync(bob)
	w.wantUnread(bob, "from the copy")
}

// TestDamagedStateDropsNoDelivery: when a stored session cannot be read, the
// delivery stays on the server, because the fault is on this side.
func TestDamagedStateDropsNoDelivery(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	kept := w.snapshot(bob)
	damaged := slices.Clone(kept)
	for i := range damaged {
		damaged[i].State = []byte("damaged")
	}
	w.restore(bob, damaged)
	w.say(alice, bob, "not lost")
	if err := bob.Sync(w.ctx); !errors.Is(err, pq3.ErrState) {
		t.Fatalf("sync: %v", err)
	}
	w.restore(bob, kept)
	w.sync(bob)
	w.wantUnread(bob, "not lost")
}

func TestLooserPolicyIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	cfg := w.homes[w.person("alice")]
	for _, p := range []pq3.Policy{{EveryMessages: 51}, {Every: 25 * time.Hour}, {Hard: 8 * day}, {Every: -1}} {
		cfg.Policy = p
		if _, err := Open(cfg); !errors.Is(err, pq3.ErrPolicy) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

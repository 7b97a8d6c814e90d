package client

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
)

// TestTextsWaitForTheServer: to somebody known the text waits sealed, to
// somebody never looked up as a row of the encrypted database; both go out on
// the next Sync, in order.
func TestTextsWaitForTheServer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	carol := w.person("carol")
	w.office.close()
	for _, to := range []account.Name{"bob", "carol", "carol", "bob"} {
		sent, err := alice.Send(w.ctx, to, "for "+string(to))
		if !errors.Is(err, ErrOffline) || sent.Accepted {
			t.Fatalf("send to %s: %+v, %v", to, sent, err)
		}
	}
	if err := alice.Sync(w.ctx); !errors.Is(err, ErrOffline) {
		t.Fatalf("sync: %v", err)
	}
	alice = w.restart(alice)
	if s, err := alice.Status(w.ctx); err != nil || s.Outbox != 4 || s.Connected {
		t.Fatalf("status %+v, %v", s, err)
	}
	w.office.open()
	w.settleAll(alice, bob, carol)
	w.wantUnread(bob, "for bob", "for bob")
	w.wantUnread(carol, "for carol", "for carol")
	if s, err := alice.Status(w.ctx); err != nil || s.Outbox != 0 {
		t.Errorf("status %+v, %v", s, err)
	}
}

func TestNameThatProvesUnknown(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if _, err := alice.Send(w.ctx, "nobody", "hello?"); !errors.Is(err, ErrUnknownName) {
		t.Fatalf("online: %v", err)
	}
	if s, err := alice.Status(w.ctx); err != nil || s.Outbox != 0 {
		t.Fatalf("something was kept: %+v, %v", s, err)
	}
	w.office.close()
	sent, err := alice.Send(w.ctx, "nobody", "hello?")
	if !errors.Is(err, ErrOffline) {
		t.Fatalf("offline: %v", err)
	}
	w.office.open()
	w.sync(alice)
	if told := w.notices(alice); !strings.Contains(told[0], "@nobody") {
		t.Errorf("told %q", told)
	}
	if s, err := alice.Status(w.ctx); err != nil || s.Outbox != 0 {
		t.Errorf("the text is still there: %+v, %v", s, err)
	}
	if err := alice.WaitDelivered(w.ctx, sent.ID); !errors.Is(err, ErrNotDelivered) {
		t.Errorf("wait: %v", err)
	}
}

// TestA21CrashBetweenCommitAndTransmit: what was sealed before a crash leaves
// as the same bytes under the same envelope id, and its keys are not reused.
func TestA21CrashBetweenCommitAndTransmit(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "sealed, not sent")
	before, err := alice.pending(w.ctx, nil)
	if err != nil || len(before) != 1 {
		t.Fatalf("%d rows, %v", len(before), err)
	}
	alice = w.restart(alice)
	after, err := alice.pending(w.ctx, nil)
	if err != nil || len(after) != 1 || string(after[0].Payload) != string(before[0].Payload) || after[0].Envelope != before[0].Envelope {
		t.Fatalf("not the same bytes: %v", err)
	}
	w.post(alice, after...) // the answer to this one is lost
	alice = w.restart(alice)
	w.say(alice, bob, "next")
	w.sync(bob)
	w.wantUnread(bob, "sealed, not sent", "next")
	a := parse(t, before[0].Payload)
	rows := w.outgoing(alice, bob)
	if len(rows) == 0 || rows[len(rows)-1].Hash == a.Hash() {
		t.Error("the second text has the bytes of the first")
	}
}

// TestRunComesBack: a running client notices that the server went away and
// returns to it by itself.
func TestRunComesBack(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.running(bob)
	w.eventually("connected", bob.Connected)
	w.office.close()
	w.eventually("noticed", func() bool { return !bob.Connected() })
	w.office.open()
	w.say(alice, bob, "still there?")
	w.eventually("fetched", func() bool { return len(w.unread(bob)) == 1 })
}

func TestSyncBesideRun(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.running(alice)
	w.eventually("connected", alice.Connected)
	w.seal(alice, bob, "left to Sync")
	w.sync(alice, bob)
	w.wantUnread(bob, "left to Sync")
}

// TestA53OneWriterForAProfile: a second engine on the same profile is refused.
func TestA53OneWriterForAProfile(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	if _, err := Open(w.homes[alice]); !errors.Is(err, ErrLocked) {
		t.Fatalf("second engine: %v", err)
	}
}

func TestRegistrationGoesOnAfterACrash(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig(filepath.Join(t.TempDir(), "alice"))
	w.office.close()
	if _, err := Register(w.ctx, cfg, "alice", w.office.url); !errors.Is(err, ErrOffline) {
		t.Fatalf("offline: %v", err)
	}
	if _, err := Open(cfg); !errors.Is(err, ErrNoProfile) {
		t.Fatalf("open of an unfinished profile: %v", err)
	}
	w.office.open()
	alice := w.personWith("alice", cfg)
	id := alice.profile.Account

	// The server has the account, but the client crashed before it heard so.
	w.write(alice, func(tx *localdb.Tx) error {
		row, err := tx.Profile()
		row.Registered = false
		return errors.Join(err, tx.PutProfile(row))
	})
	delete(w.homes, alice)
	if err := alice.Close(); err != nil {
		t.Fatal(err)
	}
	again := w.personWith("alice", cfg)
	if again.profile.Account != id {
		t.Error("the second attempt made another account")
	}
	if _, err := Register(w.ctx, cfg, "alice", w.office.url); !errors.Is(err, ErrLocked) {
		t.Errorf("third attempt beside an open profile: %v", err)
	}
}

func TestNameTakenLeavesNoProfile(t *testing.T) {
	w := newWorld(t)
	w.person("alice")
	cfg := testConfig(filepath.Join(t.TempDir(), "other"))
	if _, err := Register(w.ctx, cfg, "alice", w.office.url); !errors.Is(err, ErrNameTaken) {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !errors.Is(err, ErrNoProfile) {
		t.Errorf("a profile is left: %v", err)
	}
	w.personWith("alice-two", cfg)
}

func TestRegisteredProfileIsNotReplaced(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	cfg := w.homes[alice]
	delete(w.homes, alice)
	if err := alice.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Register(w.ctx, cfg, "another", w.office.url); !errors.Is(err, ErrProfileExists) {
		t.Fatal(err)
	}
	kept, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(kept, cfg)
	if kept.Name() != "alice" {
		t.Errorf("the profile is now %s", kept.Name())
	}
}

// TestHeartbeat: with nobody writing, a rekey still happens once the interval
// has passed, and at most one Rekey is out unanswered.
func TestHeartbeat(t *testing.T) {
	w := newWorld(t)
	cfg := testConfig(filepath.Join(t.TempDir(), "alice"))
	cfg.Policy = shortPolicy(1500 * time.Millisecond)
	alice, bob := w.personWith("alice", cfg), w.person("bob")
	w.introduce(alice, bob)
	before := w.device(alice, bob)
	w.running(alice)
	beats := func() int { return countKind(w.outgoing(alice, bob), localdb.OutgoingRekey) }
	w.eventually("a heartbeat", func() bool { return beats() > 0 })
	time.Sleep(3 * time.Second) // bob is away, and the next one would be due
	if n := beats(); n != 1 {
		t.Fatalf("%d heartbeats are out", n)
	}
	w.running(bob)
	w.eventually("rekey without a text", func() bool {
		return w.device(alice, bob).KEMRekeys > before.KEMRekeys && w.device(bob, alice).KEMRekeys > before.KEMRekeys
	})
	w.wantUnread(bob)
	w.wantUnread(alice)
}

func TestRekeyOnRequest(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	if err := alice.Rekey(w.ctx, "carol"); !errors.Is(err, ErrUnknownName) {
		t.Fatalf("stranger: %v", err)
	}
	for range 2 { // once in each role
		before := w.device(alice, bob)
		if err := alice.Rekey(w.ctx, "bob"); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(w.ctx, 300*time.Millisecond)
		if err := alice.WaitRekey(short, "bob"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("bob is away: %v", err)
		}
		cancel()
		running, stop := context.WithCancel(w.ctx)
		ended := make(chan error, 1)
		go func() { ended <- bob.Run(running) }()
		if err := alice.WaitRekey(w.ctx, "bob"); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if after := w.device(alice, bob); after.KEMRekeys <= before.KEMRekeys {
			t.Errorf("%d rekeys, before %d", after.KEMRekeys, before.KEMRekeys)
		}
		w.settleAll(bob, alice)
	}
}

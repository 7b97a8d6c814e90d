package client

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/pq3"
)

func TestFirstContactBothWays(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	id := w.say(alice, bob, "grüße 🕊\nsecond line")
	w.sync(bob)
	messages, err := bob.Inbox(w.ctx, Filter{From: "alice"})
	if err != nil || len(messages) != 1 {
		t.Fatalf("inbox %v, %v", messages, err)
	}
	m := messages[0]
	if m.Text != "grüße 🕊\nsecond line" || m.ID != id || m.From != "alice" || m.Level != "3A" || m.Outgoing {
		t.Fatalf("message %+v", m)
	}
	if m.WireSize > 5500 {
		t.Errorf("first message is %d bytes", m.WireSize)
	}
	w.say(bob, alice, "welcome")
	w.sync(alice)
	w.wantUnread(alice, "welcome")
	w.settleAll(bob, alice)
	if d := w.device(alice, bob); d.KEMRekeys < 1 || d.Level != "3A" || d.Suite != "PQ3A" {
		t.Errorf("after one round trip: %+v", d)
	}
}

func TestOrdinaryMessageIsSmall(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.say(alice, bob, "one more to settle who is the sender")
	w.settleAll(bob, alice)
	w.say(alice, bob, strings.Repeat("x", 64))
	w.sync(bob)
	messages, err := bob.Inbox(w.ctx, Filter{All: true})
	if err != nil {
		t.Fatal(err)
	}
	if last := messages[len(messages)-1]; last.WireSize > 330 {
		t.Errorf("64 bytes of text take %d on the wire", last.WireSize)
	}
}

func TestLargestTextArrives(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	text := strings.Repeat("0123456789abcdef", content.MaxText/16)
	w.say(alice, bob, text)
	w.sync(bob)
	w.wantUnread(bob, text)
	if _, err := alice.Send(w.ctx, "bob", text+"!"); !errors.Is(err, content.ErrTextTooLong) {
		t.Fatalf("one byte more: %v", err)
	}
}

func TestRestartInTheMiddle(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	for i, text := range []string{"one", "two", "three"} {
		w.say(alice, bob, text)
		alice, bob = w.restart(alice), w.restart(bob)
		w.sync(bob)
		w.wantUnread(bob, text)
		w.say(bob, alice, "re "+text)
		alice, bob = w.restart(alice), w.restart(bob)
		w.sync(alice)
		w.wantUnread(alice, "re "+text)
		if d := w.device(bob, alice); int(d.Epoch) < 2*i {
			t.Errorf("round %d: epoch %d", i, d.Epoch)
		}
	}
}

func TestShownOnceAndReadableAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.say(alice, bob, "once")
	w.sync(bob)
	w.wantUnread(bob, "once")
	w.wantUnread(bob)
	all, err := bob.Inbox(w.ctx, Filter{All: true})
	if err != nil || len(all) != 3 || !all[1].Outgoing || all[2].Text != "once" {
		t.Fatalf("all %+v, %v", all, err)
	}
	if all[1].From != "bob" || all[1].Conversation != "alice" || all[1].State != "delivered" {
		t.Errorf("own message %+v", all[1])
	}
}

// TestTA20CrossingStarts: both sides start at once; they converge on one
// session and nothing is lost.
func TestTA20CrossingStarts(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	for i := range 3 {
		w.seal(alice, bob, "a"+string(rune('0'+i)))
		w.seal(bob, alice, "b"+string(rune('0'+i)))
	}
	fromAlice, fromBob := w.take(alice), w.take(bob)
	slices.Reverse(fromAlice)
	w.post(alice, fromAlice...)
	w.post(bob, fromBob...)
	w.settleAll(alice, bob)
	got := w.unread(bob)
	slices.Sort(got)
	if !slices.Equal(got, []string{"a0", "a1", "a2"}) {
		t.Fatalf("bob got %q", got)
	}
	w.wantUnread(alice, "b0", "b1", "b2")
	w.say(alice, bob, "and on")
	w.say(bob, alice, "and on too")
	w.settleAll(alice, bob)
	w.wantUnread(alice, "and on too")
	w.wantUnread(bob, "and on")
	if a, b := w.device(alice, bob), w.device(bob, alice); a.Session != b.Session {
		t.Errorf("two sessions stay in use: %s and %s", a.Session, b.Session)
	}
}

func TestReceiptsReachContacts(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.running(bob)
	id := w.say(alice, bob, "did it arrive?")
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Minute)
	defer cancel()
	if err := alice.WaitDelivered(ctx, id); err != nil {
		t.Fatal(err)
	}
	if rows := w.outgoing(alice, bob); slices.ContainsFunc(rows, func(r localdb.Outgoing) bool { return r.Kind == localdb.OutgoingText }) {
		t.Error("a confirmed text is still kept for repair")
	}
}

func TestArrivedSignalsWhileRunning(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	select { // what the introduction left behind
	case <-bob.Arrived():
	default:
	}
	w.running(bob)
	w.say(alice, bob, "ring")
	select {
	case <-bob.Arrived():
	case <-w.ctx.Done():
		t.Fatal("no signal")
	}
	w.wantUnread(bob, "ring")
	s, err := bob.Status(w.ctx)
	if err != nil || !s.Connected || s.Devices != 1 || s.Account != "bob" || s.Server != w.office.url {
		t.Errorf("status %+v, %v", s, err)
	}
}

// TestA34StrangersLearnNothing: no receipt, no rekey answer, no control answer
// goes to somebody this account has not written to or accepted.
func TestA34StrangersLearnNothing(t *testing.T) {
	w := newWorld(t)
	mallory, bob := w.person("mallory"), w.person("bob")
	w.seal(mallory, bob, "are you there?")
	start := w.take(mallory)
	w.post(mallory, start...)
	if err := mallory.Rekey(w.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	w.write(mallory, func(tx *localdb.Tx) error { // and asks for repair, out of the blue
		b, err := mallory.openBook(tx, party(bob), time.Now())
		if err != nil {
			return err
		}
		return b.sealControl(parse(t, start[0].Payload), pq3.ControlSessionUnknown)
	})
	w.sync(mallory)
	w.settleAll(bob)
	w.wantUnread(bob, "are you there?")
	if rows := w.outgoing(bob, mallory); len(rows) != 0 {
		t.Fatalf("bob made %d envelopes for a stranger", len(rows))
	}
	w.wantRefused(bob, "V-107", 1)

	if err := bob.AcceptContact(w.ctx, "mallory"); err != nil {
		t.Fatal(err)
	}
	w.settleAll(bob, mallory)
	all, err := mallory.Inbox(w.ctx, Filter{All: true})
	if err != nil || len(all) != 1 || all[0].State != "delivered" {
		t.Errorf("after acceptance the receipt is owed: %+v, %v", all, err)
	}
}

func TestLogsHoldNoNamesOrTexts(t *testing.T) {
	w := newWorld(t)
	var logged bytes.Buffer
	cfg := testConfig(filepath.Join(t.TempDir(), "p"))
	cfg.Log = captureLog(&logged)
	alice, bob := w.personWith("canary-alice", cfg), w.person("canary-bob")
	w.introduce(alice, bob)
	w.say(bob, alice, "canary text")
	w.post(bob, forged(alice, []byte("garbage")))
	w.sync(alice)
	w.office.close()
	if _, err := alice.Send(w.ctx, "canary-bob", "canary text"); !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	if logged.Len() == 0 {
		t.Error("nothing was logged, so the test shows nothing")
	}
	for _, secret := range []string{"canary", alice.profile.Account.String(), bob.profile.Account.String(), bob.profile.Device.String()} {
		if strings.Contains(logged.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

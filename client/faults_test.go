package client

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/pq3"
)

func parse(t *testing.T, payload []byte) *pq3.Message {
	t.Helper()
	m, err := pq3.ParseMessage(payload)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestTA4ReplayedStartAcrossRestart: a recorded session start is refused at
// once, after a restart, after the session it made is gone, and after the
// prekey was rotated.
func TestTA4ReplayedStartAcrossRestart(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	w.seal(alice, bob, "pay 10 to carol")
	start := w.take(alice)[0]
	w.post(alice, start)
	w.sync(bob)
	w.wantUnread(bob, "pay 10 to carol")

	replay := func(round string) {
		t.Helper()
		before := w.sessionRows(bob)
		w.post(alice, again(start))
		w.sync(bob)
		w.wantUnread(bob)
		if !bytes.Equal(before, w.sessionRows(bob)) {
			t.Fatalf("%s: the sessions changed", round)
		}
		if all, _ := bob.Inbox(w.ctx, Filter{All: true}); len(all) != 1 {
			t.Fatalf("%s: shown %d times", round, len(all))
		}
	}
	replay("at once")
	bob = w.restart(bob)
	replay("after a restart")
	if err := bob.rotatePrekey(w.ctx); err != nil {
		t.Fatal(err)
	}
	replay("after rotation")
	w.forgetSessions(bob)
	bob = w.restart(bob)
	replay("without the session, after a restart")
	w.wantRefused(bob, "V-43", 1)
	if rows := w.outgoing(bob, alice); len(rows) != 0 {
		t.Errorf("a replay was answered with %d envelopes", len(rows))
	}
}

// forgetSessions loses what a disk fault could lose.
func (w *world) forgetSessions(c *Client) {
	w.t.Helper()
	w.write(c, func(tx *localdb.Tx) error {
		rows, err := tx.AllSessions()
		for _, r := range rows {
			err = errors.Join(err, tx.DeleteSession(r.Device, r.ID))
		}
		return err
	})
}

// TestA02Duplicates: every envelope arrives up to five times, with the same id
// and with others.
func TestA02Duplicates(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	var want []string
	for i := range 5 {
		text := fmt.Sprintf("text %d", i)
		want = append(want, text)
		w.seal(alice, bob, text)
	}
	for _, row := range w.take(alice) {
		w.post(alice, row, row, again(row), again(row))
	}
	w.sync(bob)
	w.wantUnread(bob, want...)
	w.settleAll(alice, bob)
	w.wantUnread(bob)
}

// TestA03ReorderingAndLateArrival: a random order with a third held back until
// later still yields every text once.
func TestA03ReorderingAndLateArrival(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	shuffle := rand.New(rand.NewPCG(seed, 1))
	var want, got []string
	for i := range 30 {
		text := fmt.Sprintf("text %02d", i)
		want = append(want, text)
		w.seal(alice, bob, text)
	}
	rows := w.take(alice)
	shuffle.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	w.post(alice, rows[:20]...)
	w.sync(bob)
	got = w.unread(bob)
	w.say(bob, alice, "some are missing")
	w.post(alice, rows[20:]...)
	w.settleAll(bob, alice)
	got = append(got, w.unread(bob)...)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
}

// TestA05RefusedDeliveriesChangeNothing: garbage, altered and forged envelopes
// leave sessions byte-identical and are acknowledged, and later messages
// arrive as if nothing had happened.
func TestA05RefusedDeliveriesChangeNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	mallory := w.person("mallory")
	w.seal(alice, bob, "genuine")
	genuine := w.take(alice)[0]
	before := w.sessionRows(bob)

	random := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		altered := slices.Clone(genuine.Payload)
		altered[random.IntN(len(altered))] ^= 1 << (i % 8)
		w.post(alice, forged(bob, altered))
	}
	w.post(alice, forged(bob, []byte("garbage")), forged(bob, genuine.Payload[:100]))
	w.post(mallory, forged(bob, genuine.Payload))
	w.sync(bob)
	if !bytes.Equal(before, w.sessionRows(bob)) {
		t.Fatal("a refused delivery changed the stored sessions")
	}
	w.wantUnread(bob)
	refused := 0
	for _, n := range bob.Refusals() {
		refused += n
	}
	if refused != 63 {
		t.Errorf("%d of 63 counted: %v", refused, bob.Refusals())
	}
	w.post(alice, genuine)
	for i := range 10 {
		w.say(alice, bob, fmt.Sprintf("good %d", i))
	}
	w.sync(bob)
	if got := w.unread(bob); len(got) != 11 || got[0] != "genuine" {
		t.Fatalf("afterwards bob got %q", got)
	}
}

// TestA19RefusalsGetNoAnswer: whatever is wrong with an envelope, nothing that
// the sender can see comes of it.
func TestA19RefusalsGetNoAnswer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(alice, bob, "text")
	row := w.take(alice)[0]
	for i := range len(row.Payload) / 16 {
		altered := slices.Clone(row.Payload)
		altered[i*16] ^= 0x40
		w.post(alice, forged(bob, altered))
	}
	before := len(w.outgoing(bob, alice))
	w.sync(bob)
	if after := len(w.outgoing(bob, alice)); after != before {
		t.Fatalf("%d envelopes in answer", after-before)
	}
}

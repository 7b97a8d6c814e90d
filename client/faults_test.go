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

// TestMessagesWaitForTheStart: the first message of a session is late; those
// that lack the start wait, through a restart, and open in order.
func TestMessagesWaitForTheStart(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	for i := range 7 {
		w.seal(alice, bob, fmt.Sprint(i))
	}
	rows := w.take(alice)
	w.post(alice, rows[2], rows[4], rows[5], rows[6]) // none of them carries the start
	w.sync(bob)
	w.wantUnread(bob)
	bob = w.restart(bob)
	w.sync(bob)
	w.wantUnread(bob)
	w.post(alice, rows[3], rows[0], rows[1]) // index 3 does
	w.sync(bob)
	w.wantUnread(bob, "3", "2", "4", "5", "6", "0", "1")
}

// TestLostStartIsAskedFor: every copy of a session start is lost. To a contact
// the receiver sends a signed request, and one new message brings the start.
func TestLostStartIsAskedFor(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	for i := range 3 {
		w.seal(alice, bob, fmt.Sprint(i))
	}
	w.post(alice, w.take(alice)[2])
	w.sync(bob)
	w.wantUnread(bob)
	if n := len(w.outgoing(bob, alice)); n != 0 {
		t.Fatalf("a stranger was asked: %d envelopes", n)
	}
	if err := bob.AcceptContact(w.ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	w.sync(bob)
	w.sync(bob)
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingControl); n != 1 {
		t.Errorf("asked %d times within a minute", n)
	}
	w.sync(alice, bob)
	w.wantUnread(bob, "2")
}

// TestLostObjectsAreAskedFor is the same for a later epoch, under encryption.
func TestLostObjectsAreAskedFor(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.openEpochWithObjects(bob, alice)
	for i := range 3 {
		w.seal(alice, bob, fmt.Sprint(i))
	}
	rows := w.take(alice) // the answer to bob's KEM key, then the texts
	if !parse(t, rows[2].Payload).LacksObjects() {
		t.Fatal("the third message of the chain carries its objects")
	}
	w.post(alice, rows[2])
	w.sync(bob)
	w.wantUnread(bob)
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingObjectsWanted); n != 1 {
		t.Fatalf("asked %d times", n)
	}
	w.sync(bob)
	if n := countKind(w.outgoing(bob, alice), localdb.OutgoingObjectsWanted); n != 1 {
		t.Fatalf("asked again within a minute: %d", n)
	}
	w.sync(alice, bob)
	w.wantUnread(bob, "1")
}

// openEpochWithObjects brings the pair to a state in which the next message of
// next opens an epoch that carries objects: from owes it the answer to a key.
func (w *world) openEpochWithObjects(from, next *Client) {
	w.t.Helper()
	w.write(next, func(tx *localdb.Tx) error { // next speaks last
		b, err := next.openBook(tx, party(from), time.Now())
		if err != nil {
			return err
		}
		return b.sealRekey()
	})
	if err := next.flush(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.sync(from)
	w.write(from, func(tx *localdb.Tx) error {
		b, err := from.openBook(tx, party(next), time.Now())
		if err != nil {
			return err
		}
		return b.sealRekey()
	})
	if err := from.flush(w.ctx); err != nil {
		w.t.Fatal(err)
	}
	w.receiveOnly(next)
}

// receiveOnly takes what the mailbox holds without answering it.
func (w *world) receiveOnly(c *Client) {
	w.t.Helper()
	stream, err := c.server.Receive(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	defer stream.Close() //nolint:errcheck // the test is done with it
	s := &shift{client: c}
	for {
		batch, err := stream.Next()
		if err == nil {
			err = s.receive(w.ctx, batch.Deliveries)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if batch.CaughtUp {
			if err := s.acknowledge(w.ctx); err != nil {
				w.t.Fatal(err)
			}
			return
		}
	}
}

func countKind(rows []localdb.Outgoing, kind localdb.OutgoingKind) (n int) {
	for _, r := range rows {
		if r.Kind == kind {
			n++
		}
	}
	return n
}

// TestV108WaitingBufferIsBounded: beyond its bounds a contact's newest message
// stays on the server, unacknowledged, and arrives once there is room.
func TestV108WaitingBufferIsBounded(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	p, err := bob.findByName(w.ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	w.write(bob, func(tx *localdb.Tx) error { return befriend(tx, p.row, time.Now()) })
	start, lacking := w.fillWaiting(alice, bob)
	w.wantRefused(bob, "V-108", len(lacking)-maxWaiting)
	w.post(alice, start)
	w.sync(bob)
	if got := len(w.unread(bob)); got != len(lacking)+1 {
		t.Fatalf("%d texts, want %d", got, len(lacking)+1)
	}
}

// TestStrangersCannotBlockTheMailbox: what a stranger sends beyond the bounds
// is dropped, so that the texts of others are acknowledged.
func TestStrangersCannotBlockTheMailbox(t *testing.T) {
	w := newWorld(t)
	mallory, bob, alice := w.person("mallory"), w.person("bob"), w.person("alice")
	_, lacking := w.fillWaiting(mallory, bob)
	w.wantRefused(bob, "V-108", len(lacking)-maxWaiting)
	w.say(alice, bob, "through")
	w.sync(bob)
	w.wantUnread(bob, "through")
	stream, err := bob.server.Receive(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close() //nolint:errcheck // the test is done with it
	if batch, err := stream.Next(); err != nil || len(batch.Deliveries) != 0 {
		t.Errorf("%d envelopes are still on the server, %v", len(batch.Deliveries), err)
	}
}

// fillWaiting delivers more messages without their start than may wait. It
// returns the envelope with the start and those that were delivered.
func (w *world) fillWaiting(from, to *Client) (start localdb.Outgoing, lacking []localdb.Outgoing) {
	w.t.Helper()
	n := maxWaiting + 16
	for i := range n {
		w.seal(from, to, fmt.Sprint(i))
	}
	for taken := 0; taken < n; {
		rows := w.take(from)
		if taken == 0 {
			start = rows[0]
		}
		taken += len(rows)
		for _, r := range rows {
			if parse(w.t, r.Payload).LacksObjects() {
				lacking = append(lacking, r)
			}
		}
	}
	for part := range slices.Chunk(lacking, 60) {
		w.post(from, part...)
	}
	w.sync(to)
	w.wantUnread(to)
	return start, lacking
}

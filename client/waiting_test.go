package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/client/localdb"
)

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

package server

import (
	"testing"
	"time"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store/memory"
)

// A server goes back to a backup. What was acked since comes again, what was
// sent since is gone, and acks from before the restore delete nothing of what
// got the same numbers afterwards.
func TestAcksFromBeforeARestoreDeleteNothing(t *testing.T) {
	s := memory.New()
	o := openOver(t, s, Options{OpenRegistration: true})
	alice, bob := o.join("alice"), o.join("bob")
	alice.sendAll(envelope(bob, "in the backup"))
	first := bob.fetch()
	o.close()
	if err := MarkRestored(t.Context(), s, time.Now()); err != nil {
		t.Fatal(err)
	}

	again := openOver(t, s, Options{OpenRegistration: true})
	for _, p := range []*person{alice, bob} {
		p.line, p.audience = again.dial(), again.addr
		if err := p.login(); err != nil {
			t.Fatal(err)
		}
	}
	bob.ack(first[0].GetSeq())                    // sent before, and repeated by the client
	bob.ack(first[0].GetSeq() + 40)               // of envelopes that the backup did not have
	bob.ack(uint64(time.Now().Unix()+3600) << 32) // of a later restore
	alice.sendAll(envelope(bob, "after the restore"))
	got := bob.fetch()
	if len(got) != 2 || string(got[0].GetPayload()) != "in the backup" || string(got[1].GetPayload()) != "after the restore" {
		t.Fatalf("bob gets %v", got)
	}
	if got[0].GetSeq() <= first[0].GetSeq() || got[1].GetSeq() != got[0].GetSeq()+1 {
		t.Errorf("numbers %d and %d, before %d", got[0].GetSeq(), got[1].GetSeq(), first[0].GetSeq())
	}
	bob.ack(got[0].GetSeq())
	if left := bob.fetch(); len(left) != 1 || string(left[0].GetPayload()) != "after the restore" {
		t.Errorf("after an ack of the first: %v", left)
	}
}

// Two restores of one backup are apart, also with a clock that stands still,
// and tokens of before are no good.
func TestEachRestoreIsAnotherIncarnation(t *testing.T) {
	s := memory.New()
	o := openOver(t, s, Options{OpenRegistration: true})
	bob := o.join("bob")
	o.close()
	last, now := uint32(0), time.Now()
	for _, at := range []time.Time{now, now, now.Add(-time.Hour), now.Add(time.Hour)} {
		if err := MarkRestored(t.Context(), s, at); err != nil {
			t.Fatal(err)
		}
		n, _, err := readIncarnation(t.Context(), s)
		if err != nil || n <= last {
			t.Errorf("incarnation %d after %d, %v", n, last, err)
		}
		last = n
	}
	again := openOver(t, s, Options{})
	bob.line, bob.audience = again.dial(), again.addr
	if _, err := bob.line.mailbox.Ack(bearer(t, bob.token), &posthornv1.AckRequest{}); err == nil {
		t.Error("a token from before the restore works")
	}
	if err := CheckRecord(incarnationKey, marshalIncarnation(last)); err != nil {
		t.Error(err)
	}
	if CheckRecord(incarnationKey, []byte("no")) == nil {
		t.Error("a damaged record passes")
	}
}

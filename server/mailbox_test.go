package server

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

func TestDelivery(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob := o.join("alice"), o.join("bob")
		before := uint64(time.Now().UnixMilli())
		first := envelope(bob, "one")
		alice.sendAll(first, envelope(bob, "two"))
		e := bob.listen()
		got := e.catchUp()
		if len(got) != 2 {
			t.Fatalf("%d envelopes in the backlog", len(got))
		}
		d := got[0]
		if d.GetSeq() != 1 || !bytes.Equal(d.GetId(), first.GetId()) || string(d.GetPayload()) != "one" ||
			!bytes.Equal(d.GetSenderAccount(), alice.party.Account[:]) || !bytes.Equal(d.GetSenderDevice(), alice.party.Device.ID[:]) ||
			d.GetAcceptedAt() < before || got[1].GetSeq() != 2 {
			t.Errorf("delivered %v", got)
		}
		alice.sendAll(envelope(bob, "three"))
		if live := e.next(); len(live.GetDeliveries()) != 1 || live.GetDeliveries()[0].GetSeq() != 3 || live.GetCaughtUp() {
			t.Errorf("live: %v", live)
		}
		bob.ack(2)
		if got := bob.fetch(); len(got) != 1 || got[0].GetSeq() != 3 {
			t.Errorf("after the ack of two: %v", got)
		}
		bob.ack(1) // going back changes nothing
		bob.ack(3)
		if got := bob.fetch(); len(got) != 0 {
			t.Errorf("after the ack of all: %v", got)
		}
	})
}

// The same bytes may be sent again, whole or mixed with new ones.
func TestSendIsRepeatable(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		o := openOver(t, s, Options{OpenRegistration: true})
		alice, bob, carol := o.join("alice"), o.join("bob"), o.join("carol")
		one, two := envelope(bob, "one"), envelope(bob, "two")
		alice.sendAll(one)
		alice.sendAll(one, two, one)
		alice.sendAll(one, two)
		if got := bob.fetch(); len(got) != 2 || string(got[0].GetPayload())+string(got[1].GetPayload()) != "onetwo" {
			t.Fatalf("stored %v", got)
		}
		bob.ack(2)
		alice.sendAll(two)
		if got := bob.fetch(); len(got) != 0 {
			t.Errorf("a repeat of what was acknowledged came again: %v", got)
		}
		carol.sendAll(one) // the id of somebody else's envelope
		if got := bob.fetch(); len(got) != 1 {
			t.Errorf("an id used by one sender blocks another's envelope: %v", got)
		}
	})
}

func TestSendAnswersForEach(t *testing.T) {
	small := DefaultLimits()
	small.Mailbox = store.Limits{Envelopes: 8, Bytes: 1 << 20}
	o := openOver(t, memory.New(), Options{OpenRegistration: true, Limits: small})
	alice, bob, carol := o.join("alice"), o.join("bob"), o.join("carol")
	alice.sendAll(envelope(bob, "one"), envelope(bob, "two")) // alice's share of eight
	statuses, err := alice.send(envelope(carol, "x"), envelope(o.newPerson("nobody"), "x"), envelope(bob, "three"))
	want := []posthornv1.SendStatus{
		posthornv1.SendStatus_SEND_STATUS_ACCEPTED,
		posthornv1.SendStatus_SEND_STATUS_UNKNOWN_DEVICE,
		posthornv1.SendStatus_SEND_STATUS_MAILBOX_FULL,
	}
	if err != nil || fmt.Sprint(statuses) != fmt.Sprint(want) {
		t.Fatalf("%v, %v", statuses, err)
	}
	carol.sendAll(envelope(bob, "a full share of one leaves room for others"))
	bob.ack(2)
	alice.sendAll(envelope(bob, "three"))
}

// A device that has not logged in for the retention time is gone, until it
// comes back.
func TestSendToADeviceThatIsGone(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	d := newDirectory(o.store)
	err := d.changeDevice(t.Context(), d.store.CAS, bob.party.Account, bob.party.Device.ID, func(r *deviceRecord) error {
		r.lastSeen = dayOf(time.Now().Add(-api.Retention - 48*time.Hour))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	statuses, err := alice.send(envelope(bob, "x"))
	if err != nil || statuses[0] != posthornv1.SendStatus_SEND_STATUS_GONE {
		t.Fatalf("%v, %v", statuses, err)
	}
	if err := bob.login(); err != nil {
		t.Fatal(err)
	}
	alice.sendAll(envelope(bob, "welcome back"))
}

func TestV86NumberOfEnvelopes(t *testing.T) {
	o := open(t)
	alice, bob := o.join("alice"), o.join("bob")
	var envelopes []*posthornv1.Envelope
	for range api.MaxEnvelopes + 1 {
		envelopes = append(envelopes, envelope(bob, "x"))
	}
	_, err := alice.send(envelopes...)
	wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	if got := bob.fetch(); len(got) != 0 {
		t.Errorf("%d were stored", len(got))
	}
	alice.sendAll(envelopes[1:]...)
	if statuses, err := alice.send(); err != nil || len(statuses) != 0 {
		t.Errorf("none: %v, %v", statuses, err)
	}
}

// Nobody reads or acknowledges a mailbox but its own device.
func TestMailboxesAreApart(t *testing.T) {
	o := open(t)
	alice, bob, mallory := o.join("alice"), o.join("bob"), o.join("mallory")
	alice.sendAll(envelope(bob, "for bob"))
	if got := mallory.fetch(); len(got) != 0 {
		t.Errorf("mallory got %v", got)
	}
	mallory.ack(1 << 40)
	if got := bob.fetch(); len(got) != 1 {
		t.Errorf("bob has %d envelopes after somebody else's ack", len(got))
	}
}

// A disk that fails is never an acceptance.
func TestSendWithoutStore(t *testing.T) {
	s := memory.New()
	o := openOver(t, s, Options{OpenRegistration: true})
	alice, bob := o.join("alice"), o.join("bob")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := alice.send(envelope(bob, "x"))
	wantRefusal(t, err, connect.CodeUnavailable, api.ReasonStorage)
	if detailOf(t, err).GetRetryAfterMs() == 0 {
		t.Error("no time after which to try again")
	}
	if errors.Is(err, store.ErrClosed) {
		t.Error("the cause went over the wire")
	}
}

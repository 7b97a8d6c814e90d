package server

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"net/http"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/server/store/memory"
)

// meet connects to the meeting place as somebody without an account.
func (o *office) meet() posthornv1connect.PairingServiceClient {
	network := &http.Transport{}
	o.t.Cleanup(network.CloseIdleConnections)
	return posthornv1connect.NewPairingServiceClient(connect.NewClient(connecthttp.NewTransport(&http.Client{Transport: network}, "http://"+o.addr)))
}

func newSlot() []byte {
	slot := make([]byte, slotSize)
	_, _ = rand.Read(slot)
	return slot
}

func post(slot []byte, index uint32, message string) *posthornv1.PostPairingRequest {
	return &posthornv1.PostPairingRequest{Slot: slot, Index: index, Message: []byte(message)}
}

func collect(slot []byte, index uint32) *posthornv1.FetchPairingRequest {
	return &posthornv1.FetchPairingRequest{Slot: slot, Index: index}
}

// Two devices meet, at whichever nodes, and each message may be left again.
func TestPairingAcrossNodes(t *testing.T) {
	all := shared(t, 3)
	slot := newSlot()
	for i, text := range []string{"hello", "invitation", "application", "verdict"} {
		index := uint32(i)
		if i > 0 {
			if got, err := all[i%3].meet().FetchPairing(t.Context(), collect(slot, index)); err != nil || len(got.GetMessage()) != 0 {
				t.Fatalf("message %d before it is there: %q, %v", i, got.GetMessage(), err)
			}
		}
		for range 2 {
			if _, err := all[i%3].meet().PostPairing(t.Context(), post(slot, index, text)); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range all {
			if got, err := o.meet().FetchPairing(t.Context(), collect(slot, index)); err != nil || string(got.GetMessage()) != text {
				t.Fatalf("message %d is %q, %v", i, got.GetMessage(), err)
			}
		}
	}
}

func TestV236MalformedPairings(t *testing.T) {
	o := open(t)
	slot := newSlot()
	if _, err := o.meet().PostPairing(t.Context(), post(slot, 0, "hello")); err != nil {
		t.Fatal(err)
	}
	before := dump(t, o.store)
	large := string(make([]byte, api.MaxPairingMessage))
	for name, request := range map[string]*posthornv1.PostPairingRequest{
		"a short slot":        post(slot[1:], 0, "x"),
		"no message":          post(newSlot(), 0, ""),
		"too large":           post(newSlot(), 0, large+"x"),
		"a fifth message":     post(slot, api.PairingMessages, "x"),
		"a gap":               post(slot, 2, "x"),
		"an index that wraps": post(slot, 1<<31, "x"),
	} {
		_, err := o.meet().PostPairing(t.Context(), request)
		if connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := o.meet().FetchPairing(t.Context(), collect(slot[1:], 0))
	wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	if after := dump(t, o.store); after != before {
		t.Error("a refused message was stored")
	}
	if _, err := o.meet().PostPairing(t.Context(), post(slot, 1, large)); err != nil {
		t.Fatal(err)
	}
	_, err = o.meet().PostPairing(t.Context(), post(slot, 2, large)) // more than all may have
	wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
}

// Who comes second to a place with something else is told; the first message
// stays.
func TestV237PairingTaken(t *testing.T) {
	o := open(t)
	slot := newSlot()
	for index, text := range []string{"hello", "invitation"} {
		if _, err := o.meet().PostPairing(t.Context(), post(slot, uint32(index), text)); err != nil {
			t.Fatal(err)
		}
		_, err := o.meet().PostPairing(t.Context(), post(slot, uint32(index), "another"))
		wantRefusal(t, err, connect.CodeAlreadyExists, api.ReasonPairingTaken)
		if got, err := o.meet().FetchPairing(t.Context(), collect(slot, uint32(index))); err != nil || string(got.GetMessage()) != text {
			t.Fatalf("now it is %q, %v", got.GetMessage(), err)
		}
	}
}

// Of two that answer one hello at the same moment, one is told so.
func TestV237PairingRace(t *testing.T) {
	all := shared(t, 2)
	slot := newSlot()
	if _, err := all[0].meet().PostPairing(t.Context(), post(slot, 0, "hello")); err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	errs := make([]error, 2)
	for i, o := range all {
		client := o.meet()
		wait.Go(func() { _, errs[i] = client.PostPairing(t.Context(), post(slot, 1, string(rune('a'+i)))) })
	}
	wait.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("both or none: %v, %v", errs[0], errs[1])
	}
}

// Strangers can fill a record, and not make it larger than that. What is over
// makes room.
func TestV238PairingsAreBounded(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	var all pairings
	for i := range pairingsInBucket {
		next, err := all.with([slotSize]byte{byte(i)}, 0, make([]byte, api.MaxPairingMessage), now)
		if err != nil {
			t.Fatal(err)
		}
		all = next
	}
	_, err := all.with([slotSize]byte{9}, 0, []byte("x"), now)
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonPairingFull)
	if len(all.marshal()) > pairingsInBucket*(api.MaxPairing+64) {
		t.Error("a record beyond its bound")
	}
	later := all.live(now.Add(api.PairingLife))
	if len(later) != 0 || len(all.live(now.Add(api.PairingLife-time.Millisecond))) != pairingsInBucket {
		t.Errorf("%d live on after their time", len(later))
	}
	o := open(t)
	slot := newSlot()
	for i := range uint64(pairingsInBucket + 1) {
		binary.BigEndian.PutUint64(slot[8:], i) // of one bucket
		_, err = o.meet().PostPairing(t.Context(), post(slot, 0, "hello"))
	}
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonPairingFull)
}

// A slot that nobody has opened, and one whose time is over, are the same.
func TestPairingUnknown(t *testing.T) {
	o := open(t)
	_, err := o.meet().FetchPairing(t.Context(), collect(newSlot(), 0))
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonPairingUnknown)
	_, err = o.meet().PostPairing(t.Context(), post(newSlot(), 1, "an answer to nobody"))
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonPairingUnknown)
	slot := [slotSize]byte(newSlot())
	old := pairings{{slot, uint64(time.Now().Add(-api.PairingLife).UnixMilli()), [][]byte{[]byte("hello")}}}
	if _, err := o.store.CAS(t.Context(), pairingKey(slot), 0, old.marshal()); err != nil {
		t.Fatal(err)
	}
	_, err = o.meet().FetchPairing(t.Context(), collect(slot[:], 0))
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonPairingUnknown)
}

// One address cannot use up the places of all others in a moment.
func TestV89PairingsOfOneAddress(t *testing.T) {
	tight := DefaultLimits()
	tight.Registrations, tight.Challenges = Rate{PerSecond: 0.001, Burst: 2}, Rate{PerSecond: 0.001, Burst: 2}
	o := openOver(t, memory.New(), Options{Limits: tight})
	client, slot := o.meet(), newSlot()
	var posted, fetched error
	for range 3 {
		_, posted = client.PostPairing(t.Context(), post(slot, 0, "hello"))
		_, fetched = client.FetchPairing(t.Context(), collect(slot, 0))
	}
	wantRefusal(t, posted, connect.CodeResourceExhausted, api.ReasonRateLimited)
	wantRefusal(t, fetched, connect.CodeResourceExhausted, api.ReasonRateLimited)
}

// A damaged record refuses its own pairings and no others.
func TestDamagedPairings(t *testing.T) {
	o := open(t)
	slot := [slotSize]byte(newSlot())
	damaged := bytes.Repeat([]byte{7}, 50)
	if _, err := o.store.CAS(t.Context(), pairingKey(slot), 0, damaged); err != nil {
		t.Fatal(err)
	}
	if err := CheckRecord(pairingKey(slot), damaged); err == nil {
		t.Error("posthornd check finds nothing")
	}
	_, err := o.meet().FetchPairing(t.Context(), collect(slot[:], 0))
	wantRefusal(t, err, connect.CodeUnavailable, api.ReasonStorage)
	other := slot
	other[1]++
	if _, err := o.meet().PostPairing(t.Context(), post(other[:], 0, "hello")); err != nil {
		t.Error(err)
	}
}

package pebble_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// However many senders a mailbox has, whatever is released in between and
// whenever the store is opened anew, the record of each sender is the sum of
// its envelopes, which is what the check compares.
func TestSharesAreThoseOfTheEnvelopes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	image := vfs.NewMem()
	for round := range 12 {
		s := folder{"store", pebble.Options{FS: image, AckDelay: time.Millisecond}}.Open(t)
		senders := 1 + random.IntN(80) // fewer and more than a head keeps in mind
		for b := range byte(4) {
			must(t, s.Create(t.Context(), store.Box{b}, store.Limits{}))
		}
		for n := range 30 {
			box := store.Box{byte(random.IntN(4))}
			envs := make([]store.Envelope, 1+random.IntN(60))
			for i := range envs {
				envs[i] = store.Envelope{Box: box, Sender: store.Sender{byte(random.IntN(senders))}, Data: make([]byte, 1+random.IntN(9)), At: time.UnixMilli(1)}
				binary.BigEndian.PutUint64(envs[i].ID[:], uint64(round)<<32|uint64(n)<<16|uint64(i))
			}
			out, err := s.Append(t.Context(), envs)
			must(t, err)
			last := out[len(out)-1].Seq
			if random.IntN(2) == 0 {
				last -= uint64(random.IntN(len(envs)))
			}
			must(t, s.Ack(t.Context(), []store.BoxSeq{{Box: box, Seq: last}}))
		}
		must(t, s.Close())
		report, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, nil)
		if err != nil || report.Damaged != 0 {
			t.Fatalf("round %d: %+v, %v", round, report, err)
		}
	}
}

// A sender that has used its share up is refused, whether or not the head
// keeps all senders of the mailbox in mind.
func TestShareIsBoundedAmongManySenders(t *testing.T) {
	s := folder{"store", pebble.Options{FS: vfs.NewMem()}}.Open(t)
	defer s.Close()
	must(t, s.Create(t.Context(), store.Box{1}, store.Limits{Envelopes: 3 * 100 * store.SenderShare, Bytes: 1 << 40}))
	post := func(sender byte, n uint64) error {
		e := store.Envelope{Box: store.Box{1}, Sender: store.Sender{sender}, Data: []byte{1}, At: time.UnixMilli(1)}
		binary.BigEndian.PutUint64(e.ID[:], n)
		out, err := s.Append(t.Context(), []store.Envelope{e})
		must(t, err)
		return out[0].Err
	}
	for n := range uint64(100) {
		must(t, post(0, n)) // a third of its share, while it is alone
	}
	for sender := range byte(99) {
		must(t, post(sender+1, 0))
	}
	for n := uint64(100); n < 300; n++ {
		must(t, post(0, n))
	}
	if err := post(0, 300); err != store.ErrFull {
		t.Errorf("beyond its share: %v", err)
	}
}

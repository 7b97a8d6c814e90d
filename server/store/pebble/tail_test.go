package pebble_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	engine "github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// post appends one envelope of a sender and wants the number that it gets.
func post(t *testing.T, s store.Store, box store.Box, sender byte, want uint64) {
	t.Helper()
	e := store.Envelope{Box: box, Sender: store.Sender{sender}, Data: []byte{sender}, At: time.UnixMilli(1)}
	binary.BigEndian.PutUint64(e.ID[:], want)
	out, err := s.Append(t.Context(), []store.Envelope{e})
	must(t, err)
	if out[0].Err != nil || out[0].Seq != want {
		t.Fatalf("%+v, want number %d", out[0], want)
	}
}

// sound wants a store that Check finds nothing in.
func sound(t *testing.T, image vfs.FS) store.Report {
	t.Helper()
	report, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, nil)
	if err != nil || report.Damaged != 0 {
		t.Fatalf("%v, %q", err, report.Problems)
	}
	return report
}

// records counts the records of a closed store by their kind, and returns the
// last number in the head of a mailbox.
func records(t *testing.T, image vfs.FS, box store.Box) (kinds map[byte]int, last uint64) {
	t.Helper()
	db, err := engine.Open("store", &engine.Options{FS: image, ReadOnly: true})
	must(t, err)
	defer db.Close()
	it, err := db.NewIter(nil)
	must(t, err)
	defer it.Close()
	kinds = map[byte]int{}
	for ok := it.First(); ok; ok = it.Next() {
		kinds[it.Key()[0]]++
		if string(it.Key()) == string(pebble.HeadKey(box)) {
			last = binary.BigEndian.Uint64(it.Value()[9:])
		}
	}
	return kinds, last
}

// An append writes envelopes; head and shares only when the tail has become long,
// or when something else of the mailbox changes.
func TestTailEndsWhenItIsLong(t *testing.T) {
	image := vfs.NewMem()
	box := store.Box{1}
	s := folder{"store", pebble.Options{FS: image}}.Open(t)
	must(t, s.Create(t.Context(), box, store.Limits{}))
	written := uint64(0)
	upTo := func(n uint64) {
		for ; written < n; written++ {
			post(t, s, box, byte(written%3), written+1)
		}
	}
	for _, c := range []struct{ envelopes, last, shares uint64 }{{63, 0, 0}, {64, 64, 3}, {127, 64, 3}, {130, 128, 3}} {
		upTo(c.envelopes)
		must(t, s.Close())
		kinds, last := records(t, image, box)
		if kinds['m'] != int(c.envelopes) || last != c.last || kinds['s'] != int(c.shares) {
			t.Errorf("%d envelopes: the head says %d, records %v", c.envelopes, last, kinds)
		}
		sound(t, image)
		s = folder{"store", pebble.Options{FS: image}}.Open(t)
	}
	must(t, s.Ack(t.Context(), []store.BoxSeq{{Box: box, Seq: 129}}))
	must(t, s.Close())
	if kinds, last := records(t, image, box); kinds['m'] != 1 || last != 130 || kinds['s'] != 1 {
		t.Errorf("after the ack: the head says %d, records %v", last, kinds)
	}
	sound(t, image)
}

// A tail of few large envelopes ends as well.
func TestTailEndsWhenItIsLarge(t *testing.T) {
	image := vfs.NewMem()
	s := folder{"store", pebble.Options{FS: image}}.Open(t)
	must(t, s.Create(t.Context(), store.Box{1}, store.Limits{}))
	for i := range byte(3) {
		e := store.Envelope{Box: store.Box{1}, ID: store.EnvelopeID{i}, Data: make([]byte, 100<<10), At: time.UnixMilli(1)}
		_, err := s.Append(t.Context(), []store.Envelope{e})
		must(t, err)
	}
	must(t, s.Close())
	if _, last := records(t, image, store.Box{1}); last != 3 {
		t.Errorf("the head says %d", last)
	}
	sound(t, image)
}

// No number is given out twice, however the envelopes that had it went and
// whether the store was closed or its power cut.
func TestNumbersGoOnAfterAnEmptiedTail(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for name, empty := range map[string]func(s store.Store) error{
			"acked": func(s store.Store) error {
				return s.Ack(t.Context(), []store.BoxSeq{{Box: store.Box{1}, Seq: 5}})
			},
			"expired": func(s store.Store) error {
				_, _, err := s.Sweep(t.Context(), time.UnixMilli(2), 99)
				return err
			},
		} {
			t.Run(fmt.Sprint(name, cut), func(t *testing.T) {
				image := vfs.NewCrashableMem()
				s := folder{"store", pebble.Options{FS: image}}.Open(t)
				must(t, s.Create(t.Context(), store.Box{1}, store.Limits{}))
				for n := range uint64(5) {
					post(t, s, store.Box{1}, 1, n+1)
				}
				must(t, empty(s))
				must(t, s.Create(t.Context(), store.Box{2}, store.Limits{}))
				left := image.CrashClone(vfs.CrashCloneCfg{})
				must(t, s.Close())
				if !cut {
					left = image
				}
				sound(t, left)
				s = folder{"store", pebble.Options{FS: left}}.Open(t)
				post(t, s, store.Box{1}, 1, 6)
				must(t, s.Close())
				sound(t, left)
			})
		}
	}
}

// A sender's share is bounded to the envelope, whether its envelopes are in the
// tail, in the record or in both, and whether the head was forgotten meanwhile.
func TestShareIsBoundedAcrossTails(t *testing.T) {
	for _, before := range []uint64{3, 64, 70} {
		image := vfs.NewMem()
		limits := store.Limits{Envelopes: uint32(before+2) * store.SenderShare}
		s := folder{"store", pebble.Options{FS: image}}.Open(t)
		must(t, s.Create(t.Context(), store.Box{1}, limits))
		for n := range before {
			post(t, s, store.Box{1}, 7, n+1)
		}
		must(t, s.Close())
		s = folder{"store", pebble.Options{FS: image}}.Open(t)
		post(t, s, store.Box{1}, 8, before+1)
		post(t, s, store.Box{1}, 7, before+2)
		post(t, s, store.Box{1}, 7, before+3)
		out, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{1}, Sender: store.Sender{7}, At: time.UnixMilli(1)}})
		must(t, err)
		if !errors.Is(out[0].Err, store.ErrFull) {
			t.Errorf("%d: one more than the share: %+v", before, out[0])
		}
		must(t, s.Close())
		sound(t, image)
	}
}

// A tail with a hole is damage and not a shorter mailbox, in which a number
// would be given out again.
func TestHoleInATailIsDamage(t *testing.T) {
	image := vfs.NewMem()
	s := folder{"store", pebble.Options{FS: image}}.Open(t)
	must(t, s.Create(t.Context(), store.Box{1}, store.Limits{}))
	for n := range uint64(5) {
		post(t, s, store.Box{1}, 1, n+1)
	}
	must(t, pebble.Remove(s.(*pebble.Store), pebble.MessageKey(store.Box{1}, 3)))
	must(t, s.Close())
	s = folder{"store", pebble.Options{FS: image}}.Open(t)
	defer s.Close()
	if msgs, _, err := s.Read(t.Context(), store.Box{1}, 0, 9, 9); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%d envelopes, %v", len(msgs), err)
	}
}

// No program writes a tail that is as long as those that are ended.
func TestTailThatIsTooLongIsDamage(t *testing.T) {
	image := vfs.NewMem()
	s := folder{"store", pebble.Options{FS: image}}.Open(t)
	must(t, s.Create(t.Context(), store.Box{1}, store.Limits{}))
	for n := range uint64(70) {
		post(t, s, store.Box{1}, 1, n+1)
	}
	unused := append(append(make([]byte, 8), 1), make([]byte, 36)...) // the head of a new mailbox
	must(t, pebble.Put(s.(*pebble.Store), pebble.HeadKey(store.Box{1}), unused))
	must(t, s.Close())
	report, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, nil)
	if err != nil || report.Damaged == 0 || !strings.Contains(strings.Join(report.Problems, "\n"), "some are missing or too many") {
		t.Errorf("%v, %+v", err, report)
	}
}

// Random work on a few mailboxes with room for one head in memory, with a power
// cut or a close after each round: what is left is a sound store whose counts and
// numbers are those that were answered.
func TestTailsOfForgottenHeads(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 9))
	image := vfs.NewCrashableMem()
	options := func() pebble.Options {
		return pebble.Options{FS: image, Heads: 1, AckDelay: time.Millisecond}
	}
	var first, last [5]uint64
	s := folder{"store", options()}.Open(t)
	for b := range first {
		must(t, s.Create(t.Context(), store.Box{byte(b)}, store.Limits{}))
		first[b] = 1
	}
	for range 30 {
		for range 25 {
			b := random.IntN(len(first))
			box := store.Box{byte(b)}
			for range 1 + random.IntN(4) {
				last[b]++
				post(t, s, box, byte(random.IntN(40)), last[b])
			}
			if random.IntN(3) == 0 {
				upto := first[b] + uint64(random.IntN(int(last[b]-first[b])+1))
				must(t, s.Ack(t.Context(), []store.BoxSeq{{Box: box, Seq: upto}}))
				first[b] = upto + 1
			}
		}
		cut := image.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: random.IntN(101), RNG: random})
		must(t, s.Close())
		closed := random.IntN(2) == 0
		if !closed {
			image = cut
		}
		report := sound(t, image)
		s = folder{"store", options()}.Open(t)
		queued := 0
		for b := range first {
			msgs, head, err := s.Read(t.Context(), store.Box{byte(b)}, 0, 1<<30, 1<<30)
			must(t, err)
			if head != last[b] || uint64(len(msgs)) < last[b]+1-first[b] || closed && uint64(len(msgs)) != last[b]+1-first[b] {
				t.Fatalf("mailbox %d: %d envelopes up to %d, expected %d to %d", b, len(msgs), head, first[b], last[b])
			}
			queued += len(msgs)
			first[b] = last[b] + 1 - uint64(len(msgs)) // a cut may have undone acks
		}
		if got, err := s.Stats(t.Context()); err != nil || got.Queued != uint64(queued) || report.Envelopes != queued {
			t.Fatalf("%+v, %v: %d are there, the check found %d", got, err, queued, report.Envelopes)
		}
	}
	must(t, s.Close())
}

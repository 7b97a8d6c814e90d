package pebble_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// A store of the format before the counters is counted once, when it is opened.
func TestStoreWithoutCountersIsCounted(t *testing.T) {
	image := closed(t, pebble.Uncount)
	report, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, nil)
	if err != nil || report.Damaged != 0 {
		t.Errorf("check before it is opened: %+v, %v", report, err)
	}
	for range 2 {
		s := folder{"store", pebble.Options{FS: image}}.Open(t)
		got, err := s.Stats(t.Context())
		if err != nil || got.Mailboxes != 3 || got.Queued != 25+15 || !got.Oldest.Equal(time.UnixMilli(0)) {
			t.Errorf("%+v, %v", got, err)
		}
		must(t, s.Close())
	}
	report, err = pebble.Check(t.Context(), "store", pebble.Options{FS: image}, nil)
	if err != nil || report.Damaged != 0 {
		t.Errorf("check after it was opened: %+v, %v", report, err)
	}
}

// A power cut anywhere leaves counters that are those of the mailboxes.
func TestCountersAfterAPowerCut(t *testing.T) {
	image := vfs.NewCrashableMem()
	s := folder{"store", pebble.Options{FS: image, AckDelay: time.Millisecond}}.Open(t)
	var cuts []*vfs.MemFS
	for b := range byte(9) {
		must(t, s.Create(t.Context(), store.Box{b}, store.Limits{}))
		for i := range 20 {
			e := store.Envelope{Box: store.Box{b}, ID: store.EnvelopeID{byte(i)}, Sender: store.Sender{byte(i)}, At: time.UnixMilli(int64(i) * 30_000)}
			_, err := s.Append(t.Context(), []store.Envelope{e})
			must(t, err)
			must(t, s.Ack(t.Context(), []store.BoxSeq{{Box: store.Box{b}, Seq: uint64(i / 2)}}))
		}
		if b%3 == 0 {
			must(t, s.Drop(t.Context(), store.Box{b}))
		}
		cuts = append(cuts, image.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: int(b) * 10, RNG: rand.New(rand.NewPCG(uint64(b), 1))}))
	}
	must(t, s.Close())
	for i, cut := range cuts {
		report, err := pebble.Check(t.Context(), "store", pebble.Options{FS: cut}, nil)
		if err != nil || report.Damaged != 0 {
			t.Errorf("cut %d: %+v, %v", i, report, err)
		}
		again := folder{"store", pebble.Options{FS: cut}}.Open(t)
		got, err := again.Stats(t.Context())
		if err != nil || got.Mailboxes != uint64(report.Mailboxes) || got.Queued != uint64(report.Envelopes) {
			t.Errorf("cut %d: %+v, %v; the check found %+v", i, got, err, report)
		}
		must(t, again.Close())
	}
}

// BenchmarkStats is one status call; with POSTHORN_BENCH_BOXES a million
// mailboxes with two envelopes of thirty days each make no difference to it.
func BenchmarkStats(b *testing.B) {
	boxes := 100_000
	if os.Getenv("POSTHORN_BENCH_BOXES") != "" {
		boxes = 1_000_000
	}
	dir := b.TempDir()
	s, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	fillBoxes(b, s, boxes)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if s, err = pebble.Open(dir, pebble.Options{}); err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "open-ms")
	for b.Loop() {
		if got, err := s.Stats(b.Context()); err != nil || got.Mailboxes != uint64(boxes) || got.Queued != 2*uint64(boxes) {
			b.Fatalf("%+v, %v", got, err)
		}
	}
}

// fillBoxes makes mailboxes with two envelopes each, spread over thirty days.
func fillBoxes(b *testing.B, s *pebble.Store, boxes int) {
	const writers = 64
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			var err error
			for i := w; i < boxes && err == nil; i += writers {
				var e store.Envelope
				binary.BigEndian.PutUint64(e.Box[:], uint64(i)*0x9e3779b97f4a7c15)
				e.At = time.UnixMilli(int64(i%43_200) * 60_000)
				if err = s.Create(b.Context(), e.Box, store.Limits{}); err == nil {
					other := e
					other.ID[0] = 1
					_, err = s.Append(b.Context(), []store.Envelope{e, other})
				}
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

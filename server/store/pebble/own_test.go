package pebble

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
)

// A mailbox that is dropped by the batch that stored a part of its envelopes
// takes all of them out of the counters.
func TestDropInTheBatchOfAnAppend(t *testing.T) {
	s, err := Open("store", Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for b := range byte(2) {
		if err := s.Create(t.Context(), store.Box{b}, store.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	of := func(b, id byte) store.Envelope {
		return store.Envelope{Box: store.Box{b}, ID: store.EnvelopeID{id}, At: time.UnixMilli(int64(id) * 60_000)}
	}
	if _, err := s.Append(t.Context(), []store.Envelope{of(0, 1), of(0, 2), of(1, 3)}); err != nil {
		t.Fatal(err)
	}
	err = s.commit(t.Context(), func(t *txn) error {
		envs := []store.Envelope{of(0, 4), of(1, 5), of(0, 6)}
		for _, g := range groupByBox(envs) {
			if err := t.append(g, make([]store.Appended, len(envs))); err != nil {
				return err
			}
		}
		h, err := t.head(store.Box{0})
		if err != nil {
			return err
		}
		return t.drop(store.Box{0}, h)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Stats(t.Context()); err != nil || got.Mailboxes != 1 || got.Queued != 2 || !got.Oldest.Equal(time.UnixMilli(3*60_000)) {
		t.Errorf("%+v, %v", got, err)
	}
}

package pebble_test

import (
	"testing"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// Every durable write is a sync whose time is counted.
func TestSyncsAreTimed(t *testing.T) {
	s, err := pebble.Open(t.TempDir(), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var timed store.Timed = s
	before := timed.SyncLatency()
	for i := range byte(10) {
		if _, err := s.CAS(t.Context(), string([]byte{'k', i}), 0, []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	after := timed.SyncLatency()
	if after.Count < before.Count+10 || after.Sum <= before.Sum || len(after.Bounds) == 0 || len(after.Counts) != len(after.Bounds) {
		t.Errorf("%+v, then %+v", before, after)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if l := timed.SyncLatency(); l.Count != 0 {
		t.Errorf("closed: %+v", l)
	}
}

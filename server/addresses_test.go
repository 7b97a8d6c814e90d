package server

import (
	"context"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// TestAddressesAreReadOnce: one device's record is read once a minute however
// many envelopes go to it, an unknown device is looked for every time, and the
// memory for addresses has a bound.
func TestAddressesAreReadOnce(t *testing.T) {
	counted := &countedGets{Store: memory.New()}
	d := newDirectory(counted)
	id, device, now := account.ID{1}, account.DeviceID{2}, time.Now()
	look := func(want int) {
		t.Helper()
		counted.n = 0
		for range 100 {
			_, _ = d.address(t.Context(), id, device, now)
		}
		if counted.n != want {
			t.Errorf("%d reads, want %d", counted.n, want)
		}
	}
	look(100) // nobody knows it yet
	record := deviceRecord{box: store.Box{3}, lastSeen: uint64(now.UnixMilli())}
	if _, err := counted.CAS(t.Context(), deviceKey(id, device), 0, record.marshal()); err != nil {
		t.Fatal(err)
	}
	look(1)
	look(0)
	now = now.Add(addressLife)
	look(1)
	record.lastSeen = uint64(now.Add(-seenLately).UnixMilli())
	if _, err := counted.CAS(t.Context(), deviceKey(id, device), 1, record.marshal()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(addressLife)
	look(100) // away for long: its record alone says whether it is gone

	for i := range 2 * maxAddresses {
		d.addresses.note(deviceName{byte(i), byte(i >> 8), byte(i >> 16)}, mailboxAddress{})
	}
	if n := len(d.addresses.known); n > maxAddresses {
		t.Errorf("%d addresses in memory", n)
	}
}

// countedGets counts directory reads.
type countedGets struct {
	store.Store
	n int
}

func (s *countedGets) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	s.n++
	return s.Store.Get(ctx, key)
}

package postgres_test

import (
	"os"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
	"github.com/posthorn/posthorn/server/store/storetest"
)

func TestMain(m *testing.M) {
	machine.Wide(4)
	os.Exit(pgtest.Run(m))
}

// database opens one database again and again.
type database struct {
	url     string
	options postgres.Options
}

func (d database) Open(t *testing.T) store.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), d.url, d.options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Opener { return database{url: pgtest.Database(t)} })
}

// Acks are applied in the midst of everything.
func TestContractWithHastyAcks(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("the contract once is enough for a short run")
	}
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		return database{pgtest.Database(t), postgres.Options{AckDelay: time.Millisecond}}
	})
}

// A long queue that is acked and swept at once has expired in no part.
func TestLongAckCountsBeforeASweep(t *testing.T) {
	s := opened(t, pgtest.Database(t), postgres.Options{AckDelay: time.Hour})
	box := store.Box{1}
	if err := s.Create(t.Context(), box, store.Limits{}); err != nil {
		t.Fatal(err)
	}
	const envelopes = 9000
	for n := 0; n < envelopes; {
		var envs []store.Envelope
		for range 500 {
			n++
			envs = append(envs, store.Envelope{Box: box, Sender: store.Sender{byte(n % 5)}, ID: store.EnvelopeID{byte(n), byte(n >> 8)}, At: time.UnixMilli(1)})
		}
		if _, err := s.Append(t.Context(), envs); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Ack(t.Context(), []store.BoxSeq{{Box: box, Seq: envelopes - 10}}); err != nil {
		t.Fatal(err)
	}
	if n, _, err := s.Sweep(t.Context(), time.UnixMilli(2), 1<<20); err != nil || n != 10 {
		t.Errorf("%d expired, %v; want the ten that were not acked", n, err)
	}
}

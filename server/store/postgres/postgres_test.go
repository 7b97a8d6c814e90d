package postgres_test

import (
	"os"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
	"github.com/posthorn/posthorn/server/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

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
	storetest.Run(t, func(t *testing.T) storetest.Opener { return database{url: pgtest.Database(t)} })
}

// Acks are applied in the midst of everything.
func TestContractWithHastyAcks(t *testing.T) {
	if testing.Short() {
		t.Skip("the contract once is enough for a short run")
	}
	storetest.Run(t, func(t *testing.T) storetest.Opener {
		return database{pgtest.Database(t), postgres.Options{AckDelay: time.Millisecond}}
	})
}

package postgres_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// refused opens a store that must not open and wants words in the refusal.
func refused(t *testing.T, url string, o postgres.Options, want error, words ...string) {
	t.Helper()
	s, err := postgres.Open(t.Context(), url, o)
	if err == nil {
		t.Fatal("it opens", s.Close())
	}
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q does not say %q", err, w)
		}
	}
}

func opened(t *testing.T, url string, o postgres.Options) store.Store {
	t.Helper()
	s := database{url, o}.Open(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestWeakCommitIsRefusedV121(t *testing.T) {
	for _, level := range []string{"off", "local", "remote_write"} {
		url := pgtest.Database(t)
		refused(t, url+"&options=-c%20synchronous_commit%3D"+level, postgres.Options{}, postgres.ErrUnsafe, level, "set it to on")
		pgtest.Exec(t, url, "ALTER ROLE posthorn IN DATABASE "+nameOf(url)+" SET synchronous_commit = "+level)
		refused(t, url, postgres.Options{}, postgres.ErrUnsafe, level)
		pgtest.Exec(t, url, "ALTER ROLE posthorn IN DATABASE "+nameOf(url)+" SET synchronous_commit = remote_apply")
		opened(t, url, postgres.Options{})
	}
}

func nameOf(url string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(url, "postgres:///"), "?")
	return name
}

func TestUnsafeServerIsRefusedV121(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"fsync", "full_page_writes"} {
		c := pgtest.New(t, setting+"=off")
		refused(t, c.URL("postgres"), postgres.Options{}, postgres.ErrUnsafe, setting+" is off")
	}
}

func TestNewerSchemaIsRefusedV122(t *testing.T) {
	url := pgtest.Database(t)
	s := database{url, postgres.Options{Program: "posthornd 1"}}.Open(t)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, url, "UPDATE posthorn.about SET schema_version = 99, written_by = 'posthornd 9.8'")
	for range 2 {
		refused(t, url, postgres.Options{}, store.ErrFormat, "99", "posthornd 9.8", "nothing was changed")
	}
	pgtest.Exec(t, url, "UPDATE posthorn.about SET schema_version = 1")
	opened(t, url, postgres.Options{})
}

// Another process may raise the schema while this one runs.
func TestNewerSchemaStopsARunningStore(t *testing.T) {
	url := pgtest.Database(t)
	s := opened(t, url, postgres.Options{})
	pgtest.Exec(t, url, "UPDATE posthorn.about SET schema_version = 99")
	pgtest.Exec(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	var err error
	eventually(t, "the newer schema is met", func() bool {
		err = s.Create(t.Context(), store.Box{1}, store.Limits{})
		return errors.Is(err, store.ErrFormat)
	})
	if !errors.Is(err, store.ErrStopped) {
		t.Errorf("create: %v", err)
	}
	pgtest.Exec(t, url, "UPDATE posthorn.about SET schema_version = 1")
	eventually(t, "it takes writes again", func() bool { return s.Err() == nil })
}

// eventually waits for something that takes a moment.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not after four minutes: %s", what)
		}
	}
}

func TestManyStartsMigrateOnce(t *testing.T) {
	url := pgtest.Database(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := postgres.Open(t.Context(), url, postgres.Options{Connections: 2})
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAnotherSystemIsRefusedV120(t *testing.T) {
	t.Parallel()
	seen := filepath.Join(t.TempDir(), "seen.json")
	first := pgtest.Database(t)
	if err := (database{first, postgres.Options{SeenFile: seen}}).Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	other := pgtest.New(t).URL("postgres")
	refused(t, other, postgres.Options{SeenFile: seen}, postgres.ErrStale, "another database system", "--store-accept")
	if err := (database{other, postgres.Options{SeenFile: seen, Accept: true}}).Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	opened(t, other, postgres.Options{SeenFile: seen})
	refused(t, first, postgres.Options{SeenFile: seen}, postgres.ErrStale)
}

// What the database knows of itself stands in for a lost folder.
func TestRestoredElsewhereIsRefusedV120(t *testing.T) {
	url := pgtest.Database(t)
	if err := (database{url: url}).Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, url, "UPDATE posthorn.about SET timeline = 7")
	refused(t, url, postgres.Options{}, postgres.ErrStale, "timeline 7", "--store-accept")
	opened(t, url, postgres.Options{Accept: true})
	opened(t, url, postgres.Options{})
}

func TestOlderEpochIsRefusedV120(t *testing.T) {
	url, seen := pgtest.Database(t), filepath.Join(t.TempDir(), "seen.json")
	if err := (database{url, postgres.Options{SeenFile: seen, Epoch: 3}}).Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	refused(t, url, postgres.Options{SeenFile: seen, Epoch: 4}, postgres.ErrStale, "epoch 3", "posthorn.about")
	pgtest.Exec(t, url, "UPDATE posthorn.about SET epoch = 5")
	if err := (database{url, postgres.Options{SeenFile: seen, Epoch: 4}}).Open(t).Close(); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, url, "UPDATE posthorn.about SET epoch = 4")
	refused(t, url, postgres.Options{SeenFile: seen}, postgres.ErrStale, "epoch 4", "and 5 is wanted or was seen")
}

func TestDamagedSeenFileIsRefused(t *testing.T) {
	seen := filepath.Join(t.TempDir(), "seen.json")
	if err := os.WriteFile(seen, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, pgtest.Database(t), postgres.Options{SeenFile: seen}, store.ErrCorrupt, "seen.json")
}

// No error repeats the URL, whatever is wrong with it.
func TestErrorsKeepTheURLToThemselves(t *testing.T) {
	for _, url := range []string{
		"postgres://posthorn:hunter2@127.0.0.1:1/secretname", "postgres://posthorn:hunter2@nowhere.invalid/secretname",
		"postgres://posthorn:hunter2@127.0.0.1:port/secretname", "mysql://posthorn:hunter2@127.0.0.1/secretname",
		"postgres://posthorn:hunter2@127.0.0.1/secretname?sslmode=hunter2", "postgres://posthorn:hunter2@/%zz",
	} {
		s, err := postgres.Open(t.Context(), url, postgres.Options{Patience: 2 * time.Second})
		if err == nil {
			t.Fatal("it opens", s.Close())
		}
		for _, secret := range []string{"hunter2", "secretname", "127.0.0.1", "nowhere"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q names %q", err, secret)
			}
		}
	}
}

// A role that owns its database and nothing else is enough.
func TestOrdinaryRoleIsEnough(t *testing.T) {
	c := pgtest.New(t)
	c.Exec(t, "postgres", "CREATE ROLE plain LOGIN")
	c.Exec(t, "postgres", "CREATE DATABASE theirs OWNER plain")
	s := opened(t, strings.Replace(c.URL("theirs"), "user=posthorn", "user=plain", 1), postgres.Options{})
	if err := s.Create(t.Context(), store.Box{1}, store.Limits{}); err != nil {
		t.Error(err)
	}
}

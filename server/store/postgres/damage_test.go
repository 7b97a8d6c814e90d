package postgres_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// put appends one envelope with each of the ids and returns what the store says.
func put(t *testing.T, s store.Store, box byte, ids ...byte) (out []store.Appended) {
	t.Helper()
	for _, id := range ids {
		got, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{box}, ID: store.EnvelopeID{id}, Data: []byte("x"), At: time.UnixMilli(1e12)}})
		if err != nil || got[0].Err != nil {
			t.Fatal(err, got)
		}
		out = append(out, got...)
	}
	return out
}

func ack(t *testing.T, s store.Store, box byte, seq uint64) {
	t.Helper()
	if err := s.Ack(t.Context(), []store.BoxSeq{{Box: store.Box{box}, Seq: seq}}); err != nil {
		t.Fatal(err)
	}
}

// number asks a database for a number.
func number(t *testing.T, url, sql string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// A damaged mailbox holds up neither the acks nor the appends nor the retention
// of the others, and its readers are told.
func TestDamagedMailboxIsSetAside(t *testing.T) {
	url, log := pgtest.Database(t), &journal{}
	s := opened(t, url, postgres.Options{AckDelay: 10 * time.Millisecond, Log: slog.New(slog.NewTextHandler(log, nil))})
	for box := byte(1); box <= 5; box++ {
		if err := s.Create(t.Context(), store.Box{box}, store.Limits{}); err != nil {
			t.Fatal(err)
		}
		put(t, s, box, 1, 2, 3)
	}
	pgtest.Exec(t, url, `DELETE FROM posthorn.envelopes WHERE seq = 2 AND get_byte(box, 0) IN (2, 4)`)
	var acks []store.BoxSeq
	for _, box := range []byte{1, 2, 3} {
		acks = append(acks, store.BoxSeq{Box: store.Box{box}, Seq: 3})
	}
	if err := s.Ack(t.Context(), acks); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the acks of the others are applied", func() bool {
		return number(t, url, `SELECT count(*) FROM posthorn.envelopes WHERE get_byte(box, 0) IN (1, 3)`) == 0
	})
	eventually(t, "the readers are told", func() bool {
		_, _, err := s.Read(t.Context(), store.Box{2}, 2, 9, 9)
		return errors.Is(err, store.ErrCorrupt)
	})
	n, done := 0, false
	for !done {
		expired, end, err := s.Sweep(t.Context(), time.UnixMilli(1e12+1), 100)
		if err != nil {
			t.Fatal(err)
		}
		n, done = n+expired, end
	}
	if n != 3 {
		t.Errorf("%d expired, want the three of the last mailbox", n)
	}
	put(t, s, 3, 4)
	ack(t, s, 3, 4)
	eventually(t, "acks go on", func() bool {
		return number(t, url, `SELECT count(*) FROM posthorn.envelopes WHERE get_byte(box, 0) = 3`) == 0
	})
	if told := strings.Count(log.String(), "set aside"); told != 2 {
		t.Errorf("the log tells %d times of two mailboxes: %s", told, log)
	}
}

// An append to a damaged mailbox fails, and what is in a batch with it does not.
func TestDamagedMailboxFailsNoOther(t *testing.T) {
	url := pgtest.Database(t)
	s := opened(t, url, postgres.Options{})
	createBoxes(t, s)
	put(t, s, 2, 1, 2)
	pgtest.Exec(t, url, `UPDATE posthorn.heads SET last = 1 WHERE get_byte(box, 0) = 2`)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{2}, ID: store.EnvelopeID{9}, At: time.UnixMilli(1e12)}})
			if !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("append to the damaged mailbox: %v", err)
			}
		})
		wg.Go(func() {
			_, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{1}, ID: store.EnvelopeID{9}, At: time.UnixMilli(1e12)}})
			if err != nil {
				t.Errorf("append to another: %v", err)
			}
		})
	}
	wg.Wait()
}

// putBack makes mailbox 1 what it was after its second envelope.
const putBack = `DELETE FROM posthorn.envelopes WHERE seq > 2; UPDATE posthorn.heads SET last = 2, size = 2 WHERE get_byte(box, 0) = 1`

// An ack of a number that the mailbox no longer has given out is dropped.
func TestAckAboveTheHead(t *testing.T) {
	url := pgtest.Database(t)
	s := database{url, postgres.Options{AckDelay: time.Hour}}.Open(t)
	createBoxes(t, s)
	put(t, s, 1, 1, 2, 3, 4, 5)
	ack(t, s, 1, 5)
	pgtest.Exec(t, url, putBack)
	put(t, s, 1, 6)
	if err := s.Close(); err != nil { // it applies what waits
		t.Fatal(err)
	}
	msgs, head, err := opened(t, url, postgres.Options{}).Read(t.Context(), store.Box{1}, 0, 9, 99)
	if err != nil || head != 3 || len(msgs) != 3 {
		t.Errorf("%d envelopes up to %d, %v; want all three", len(msgs), head, err)
	}
}

// A database that was put back under a running store makes it forget the numbers
// that it knows: acks of before delete nothing, and a lost envelope is stored.
func TestDatabasePutBack(t *testing.T) {
	url := pgtest.Database(t)
	s := database{url, postgres.Options{AckDelay: time.Hour}}.Open(t)
	createBoxes(t, s)
	put(t, s, 1, 1, 2, 3, 4, 5)
	ack(t, s, 1, 5)
	pgtest.Exec(t, url, putBack+`; UPDATE posthorn.about SET epoch = epoch + 1`)
	pgtest.Exec(t, url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	eventually(t, "the store is connected again", func() bool { return s.Create(t.Context(), store.Box{9}, store.Limits{}) == nil })
	for i, a := range put(t, s, 1, 2, 5, 6, 7) {
		if want := uint64(i + 2); a.Seq != want || a.Repeat != (i == 0) {
			t.Errorf("%+v, want number %d", a, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	msgs, head, err := opened(t, url, postgres.Options{}).Read(t.Context(), store.Box{1}, 0, 9, 99)
	if err != nil || head != 5 || len(msgs) != 5 {
		t.Errorf("%d envelopes up to %d, %v; want all five", len(msgs), head, err)
	}
}

// Once one connection has seen a new epoch, those from before are given up.
func TestNewEpochEndsOldConnections(t *testing.T) {
	url := pgtest.Database(t)
	s := opened(t, url, postgres.Options{})
	many := func() {
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() { _ = s.Create(t.Context(), store.Box{1}, store.Limits{}) })
		}
		wg.Wait()
	}
	const others = ` FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`
	eventually(t, "there are several connections", func() bool {
		many()
		return number(t, url, `SELECT count(*)`+others) >= 3
	})
	pgtest.Exec(t, url, `CREATE TABLE before AS SELECT pid`+others)
	pgtest.Exec(t, url, `UPDATE posthorn.about SET epoch = epoch + 1`)
	pgtest.Exec(t, url, `SELECT pg_terminate_backend(min(pid)) FROM before`)
	eventually(t, "the old connections are gone", func() bool {
		many()
		return number(t, url, `SELECT count(*)`+others+` AND pid IN (SELECT pid FROM before)`) == 0
	})
}

// A database that hangs does not keep a store from closing.
func TestCloseWhileTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	s := database{url, postgres.Options{AckDelay: time.Hour}}.Open(t)
	createBoxes(t, s)
	put(t, s, 1, 1, 2)
	ack(t, s, 1, 1)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `BEGIN; LOCK TABLE posthorn.heads IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range byte(20) {
		wg.Go(func() {
			_, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{1}, ID: store.EnvelopeID{100 + i}, At: time.UnixMilli(1e12)}})
			if err == nil {
				t.Error("an append was acknowledged while the database hung")
			}
		})
	}
	wg.Go(func() { _, _, _ = s.Read(t.Context(), store.Box{1}, 0, 9, 9) })
	eventually(t, "calls wait for the lock", func() bool {
		return number(t, url, `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`) > 1
	})
	start := time.Now()
	err = s.Close()
	if took := time.Since(start); took > 2*time.Minute {
		t.Errorf("closing took %v", took)
	}
	if !errors.Is(err, store.ErrStopped) {
		t.Errorf("close: %v, want that acks were not applied", err)
	}
	wg.Wait()
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	msgs, _, err := opened(t, url, postgres.Options{}).Read(t.Context(), store.Box{1}, 0, 99, 99)
	if err != nil || len(msgs) < 2 {
		t.Errorf("%d envelopes, %v; want the two that were acknowledged", len(msgs), err)
	}
}

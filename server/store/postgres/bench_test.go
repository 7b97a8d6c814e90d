package postgres_test

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

const (
	benchBoxes   = 10_000
	benchWriters = 256
)

var benchRounds = flag.Int("bench.rounds", 5, "how often driver and plain insert take turns")

// BenchmarkAppend measures durable appends of 1 KiB by 256 writers to 10,000
// mailboxes beside the most that the database gives for such rows: one
// connection that inserts what has gathered, several hundred in a statement,
// with numbers that the client makes up. Both take turns on one server; only
// their ratio means anything.
//
//	go test ./server/store/postgres -run '^$' -bench Append -benchtime 3s
func BenchmarkAppend(b *testing.B) {
	c := pgtest.New(b)
	s := benchStore(b, c)
	plain := newPlainInsert(b, c.Database(b))
	span := benchSpan(b)
	var ratios, driver, bare []float64
	for range *benchRounds {
		d := rate(span, func(i int64) error {
			e := benchEnvelope(i)
			out, err := s.Append(b.Context(), []store.Envelope{e})
			if err == nil {
				err = out[0].Err
			}
			return err
		})
		p := rate(span, plain.add)
		ratios, driver, bare = append(ratios, d/p), append(driver, d), append(bare, p)
		b.Logf("driver %.0f/s, plain insert %.0f/s, ratio %.2f", d, p, d/p)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(driver), "appends/s")
	b.ReportMetric(middle(bare), "plain/s")
	b.ReportMetric(middle(ratios), "ratio")
}

func middle(v []float64) float64 { slices.Sort(v); return v[len(v)/2] }

// benchSpan is how long each turn takes: a part of -benchtime, at least 1 s.
func benchSpan(b *testing.B) time.Duration {
	if f := flag.Lookup("test.benchtime"); f != nil {
		if d, err := time.ParseDuration(f.Value.String()); err == nil && d > time.Second {
			return d
		}
	}
	return time.Second
}

var benchCount atomic.Int64

// rate runs the writers for a while and returns how many calls they made a
// second.
func rate(span time.Duration, run func(i int64) error) float64 {
	end, n := time.Now().Add(span), atomic.Int64{}
	start := time.Now()
	var wg sync.WaitGroup
	for range benchWriters {
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := run(benchCount.Add(1)); err != nil {
					panic(err)
				}
				n.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(n.Load()) / time.Since(start).Seconds()
}

func benchBox(i int64) (box store.Box) {
	binary.BigEndian.PutUint64(box[:], uint64(i)%benchBoxes*0x9e3779b97f4a7c15)
	return box
}

func benchEnvelope(i int64) store.Envelope {
	e := store.Envelope{Box: benchBox(i), Sender: store.Sender{byte(i)}, Data: noise, At: time.UnixMilli(1e12)}
	binary.BigEndian.PutUint64(e.ID[:], uint64(i))
	return e
}

// noise is 1 KiB that does not compress.
var noise = func() []byte {
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	return data
}()

func benchStore(b *testing.B, c *pgtest.Cluster) store.Store {
	url := c.Database(b)
	s, err := postgres.Open(b.Context(), url, postgres.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	var boxes [][]byte
	for i := range int64(benchBoxes) {
		box := benchBox(i)
		boxes = append(boxes, box[:])
	}
	if _, err := conn.Exec(b.Context(), `INSERT INTO posthorn.heads (box, max_envelopes, max_size)
		SELECT unnest($1::bytea[]), 1000000000, 1000000000000000`, boxes); err != nil {
		b.Fatal(err)
	}
	return s
}

// plainInsert is one table, one connection, and nothing decided.
type plainInsert struct {
	conn  *pgx.Conn
	queue chan *plainRow
}

type plainRow struct {
	i    int64
	done chan error
}

func newPlainInsert(b *testing.B, url string) *plainInsert {
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := conn.Exec(b.Context(), `CREATE TABLE plain (box bytea NOT NULL, seq bigint NOT NULL, at bigint NOT NULL,
		id bytea NOT NULL, sender bytea NOT NULL, data bytea NOT NULL, PRIMARY KEY (box, seq));
		ALTER TABLE plain ALTER COLUMN data SET STORAGE EXTERNAL; SET jit TO off`); err != nil {
		b.Fatal(err)
	}
	p := &plainInsert{conn, make(chan *plainRow, 4096)}
	ended := make(chan struct{})
	go func() { defer close(ended); p.run() }()
	b.Cleanup(func() { close(p.queue); <-ended; _ = conn.Close(context.Background()) })
	return p
}

func (p *plainInsert) add(i int64) error {
	r := &plainRow{i, make(chan error, 1)}
	p.queue <- r
	return <-r.done
}

func (p *plainInsert) run() {
	for r := range p.queue {
		rows := []*plainRow{r}
		for len(rows) < 512 && len(p.queue) > 0 {
			rows = append(rows, <-p.queue)
		}
		err := p.insert(rows)
		for _, r := range rows {
			r.done <- err
		}
	}
}

func (p *plainInsert) insert(rows []*plainRow) error {
	var boxes, ids, senders, data [][]byte
	var seqs, at []int64
	for _, r := range rows {
		e := benchEnvelope(r.i)
		boxes, ids, senders, data = append(boxes, e.Box[:]), append(ids, e.ID[:]), append(senders, e.Sender[:]), append(data, e.Data)
		seqs, at = append(seqs, r.i), append(at, e.At.UnixMilli())
	}
	_, err := p.conn.Exec(context.Background(), `INSERT INTO plain SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bytea[], $5::bytea[], $6::bytea[])`,
		boxes, seqs, at, ids, senders, data)
	return err
}

// BenchmarkCatchUp reads a mailbox of 10,000 envelopes of 1 KiB in the pages
// that a delivery stream uses.
func BenchmarkCatchUp(b *testing.B) {
	const envelopes = 10_000
	s, err := postgres.Open(b.Context(), pgtest.Database(b), postgres.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	box := store.Box{1}
	if err := s.Create(b.Context(), box, store.Limits{Envelopes: 1 << 30, Bytes: 1 << 50}); err != nil {
		b.Fatal(err)
	}
	for i := int64(0); i < envelopes; {
		var envs []store.Envelope
		for range 500 {
			i++
			e := benchEnvelope(i)
			e.Box = box
			envs = append(envs, e)
		}
		if _, err := s.Append(b.Context(), envs); err != nil {
			b.Fatal(err)
		}
	}
	for _, page := range []int{256, 1000} {
		b.Run(fmt.Sprintf("page=%d", page), func(b *testing.B) {
			for b.Loop() {
				for after := uint64(0); after < envelopes; {
					msgs, _, err := s.Read(b.Context(), box, after, page, 512<<10)
					if err != nil {
						b.Fatal(err)
					}
					after = msgs[len(msgs)-1].Seq
				}
			}
		})
	}
}

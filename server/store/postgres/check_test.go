package postgres_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// furnish makes a store that has something of every kind: a mailbox that is
// acked in part, a crowded one, an empty one, a dropped one, values, a pool.
func furnish(t *testing.T, url string) {
	t.Helper()
	s := database{url, postgres.Options{}}.Open(t)
	for n, limit := range []uint32{0, 8, 0, 0} {
		must(t, s.Create(t.Context(), store.Box{byte(n + 1)}, store.Limits{Envelopes: limit}))
	}
	put(t, s, 1, 1, 2, 3, 4, 5)
	for sender := range byte(3) {
		for id := range byte(2) {
			out, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{2}, ID: store.EnvelopeID{sender, id}, Sender: store.Sender{sender}, Data: []byte("x"), At: time.UnixMilli(1)}})
			if err != nil || out[0].Err != nil {
				t.Fatal(out, err)
			}
		}
	}
	ack(t, s, 1, 2)
	must(t, s.Drop(t.Context(), store.Box{4}))
	for _, key := range []string{"a", "b"} {
		if _, err := s.CAS(t.Context(), key, 0, []byte("val")); err != nil {
			t.Fatal(err)
		}
	}
	must(t, s.Put(t.Context(), "pool", []byte("1"), []byte("2"), []byte("3")))
	if _, err := s.Take(t.Context(), "pool"); err != nil {
		t.Fatal(err)
	}
	must(t, s.Close())
}

// A sound store is found sound, also while a server uses it.
func TestCheckOfASoundStore(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	if _, err := postgres.Check(t.Context(), url, postgres.Options{}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of an empty database: %v", err)
	}
	furnish(t, url)
	opened(t, url, postgres.Options{})
	var keys []string
	r, err := postgres.Check(t.Context(), url, postgres.Options{}, func(key string, val []byte) error {
		keys = append(keys, key+string(val))
		return nil
	})
	want := "{3 1 9 9 2 2 0 []}"
	if got := fmt.Sprint(r); err != nil || got != want || fmt.Sprint(keys) != "[aval bval]" {
		t.Errorf("%v %v, %v; want %s", got, keys, err, want)
	}
}

// Whatever contradicts something else is named, once, and nothing else is.
func TestCheckNamesDamage(t *testing.T) {
	t.Parallel()
	one := `'\x01000000000000000000000000000000'`
	two, three, four := strings.Replace(one, "01", "02", 1), strings.Replace(one, "01", "03", 1), strings.Replace(one, "01", "04", 1)
	insert := `INSERT INTO posthorn.envelopes SELECT %s, %d, at, id, sender, data FROM posthorn.envelopes WHERE box = ` + one + ` LIMIT 1`
	for name, c := range map[string]struct{ sql, says string }{
		"an envelope is missing in the midst": {`DELETE FROM posthorn.envelopes WHERE seq = 4 AND box = ` + one, "envelopes 3 to 5"},
		"the first is missing":                {`DELETE FROM posthorn.envelopes WHERE seq = 3 AND box = ` + one, "envelopes 3 to 5"},
		"the last is missing":                 {`DELETE FROM posthorn.envelopes WHERE seq = 5 AND box = ` + one, "envelopes 3 to 5"},
		"one has another number":              {`UPDATE posthorn.envelopes SET seq = 9 WHERE seq = 4 AND box = ` + one, "envelopes 3 to 5"},
		"one too many":                        {fmt.Sprintf(insert, one, 6), "envelopes 3 to 5"},
		"one that was acked":                  {fmt.Sprintf(insert, one, 1), "envelopes 3 to 5"},
		"in an empty mailbox":                 {fmt.Sprintf(insert, three, 1), "envelopes 1 to 0"},
		"in a dropped mailbox":                {fmt.Sprintf(insert, four, 1), "it was dropped"},
		"without a head":                      {fmt.Sprintf(insert, `'\x99'`, 1), "without a head"},
		"a head is gone":                      {`DELETE FROM posthorn.heads WHERE box = ` + one, "without a head"},
		"a shorter text":                      {`UPDATE posthorn.envelopes SET data = '' WHERE seq = 4 AND box = ` + one, "have 2 bytes, not 3"},
		"a short id":                          {`UPDATE posthorn.envelopes SET id = '\x01' WHERE seq = 4 AND box = ` + one, "wrong length"},
		"a short sender":                      {`UPDATE posthorn.envelopes SET sender = '\x01' WHERE seq = 4 AND box = ` + one, "wrong length"},
		"a head counts wrongly":               {`UPDATE posthorn.heads SET last = 7 WHERE box = ` + one, "envelopes 3 to 7"},
		"a head is impossible":                {`UPDATE posthorn.heads SET first = 9, last = 7 WHERE box = ` + three, "head cannot be read"},
		"a quota is impossible":               {`UPDATE posthorn.heads SET max_size = -1 WHERE box = ` + three, "head cannot be read"},
		"a head with a short name":            {`UPDATE posthorn.heads SET box = '\x03' WHERE box = ` + three, "head cannot be read"},
		"a head sums wrongly":                 {`UPDATE posthorn.heads SET size = 7 WHERE box = ` + one, "have 3 bytes, not 7"},
		"a share counts wrongly":              {`UPDATE posthorn.shares SET envelopes = 1 WHERE sender < '\x01' AND box = ` + two, "shares of 1 senders"},
		"a share sums wrongly":                {`UPDATE posthorn.shares SET size = 0 WHERE box = ` + two, "shares of 3 senders"},
		"a share is missing":                  {`DELETE FROM posthorn.shares WHERE sender < '\x01' AND box = ` + two, "shares of 1 senders"},
		"a share too many":                    {`INSERT INTO posthorn.shares VALUES (` + two + `, '\x99', 1, 1)`, "shares of 1 senders"},
		"a share where nobody counts":         {`INSERT INTO posthorn.shares VALUES (` + three + `, '\x99', 0, 0)`, "shares of 1 senders"},
		"a mailbox is not crowded":            {`UPDATE posthorn.heads SET crowded = false WHERE box = ` + two, "shares of 3 senders"},
		"a version is impossible":             {`UPDATE posthorn.directory SET ver = 0 WHERE key = 'b'`, "directory value 2"},
		"a value is not what it should be":    {`UPDATE posthorn.directory SET val = 'bad' WHERE key = 'b'`, "directory value 2 of the key order: it is bad"},
		"a pool lacks its first":              {`DELETE FROM posthorn.pooled WHERE n = 2`, "should hold 2 values"},
		"a pool lacks its last":               {`DELETE FROM posthorn.pooled WHERE n = 3`, "should hold 2 values"},
		"a pool has one that was taken":       {`INSERT INTO posthorn.pooled VALUES ('pool', 1, 'x')`, "should hold 2 values"},
		"a pool has one with another number":  {`UPDATE posthorn.pooled SET n = 9 WHERE n = 3`, "should hold 2 values"},
		"a pool is impossible":                {`UPDATE posthorn.pools SET next = 0`, "pool 1 of the key order cannot"},
		"values of no pool":                   {`DELETE FROM posthorn.pools`, "2 values belong to no pool"},
	} {
		t.Run(name, func(t *testing.T) {
			url := pgtest.Database(t)
			furnish(t, url)
			pgtest.Exec(t, url, c.sql)
			r, err := postgres.Check(t.Context(), url, postgres.Options{}, func(_ string, val []byte) error {
				if string(val) == "bad" {
					return errors.New("it is bad")
				}
				return nil
			})
			if err != nil || r.Damaged != 1 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], c.says) {
				t.Errorf("%+v, %v; want one problem that says %q", r, err, c.says)
			}
		})
	}
}

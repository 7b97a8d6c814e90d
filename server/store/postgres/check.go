package postgres

import (
	"context"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/server/store"
)

// Check reads every record of the store behind a URL as it is at one moment,
// and changes nothing; servers may use it meanwhile. It holds the records
// against each other: a mailbox holds every number of its range, its sums and
// the shares of its senders are those of the envelopes, every value of a pool
// is there, nothing belongs to nobody. With value it also shows each directory
// value to the caller, whose error counts as damage. The database compares the
// checksums of all it reads, if it has any.
//
// Of the options, those that say which database is meant count. What the
// database itself cannot read ends the check with ErrCorrupt, beside a report of
// what was read until then. Errors as those of Open; fs.ErrNotExist when there is
// no store in the database.
func Check(ctx context.Context, url string, o Options, value func(key string, val []byte) error) (store.Report, error) {
	c := &checker{value: value, report: store.NewReport()}
	err := c.run(ctx, url, o.withDefaults())
	if err != nil {
		return c.report, fmt.Errorf("store: not checked to the end: %w", opening(err))
	}
	return c.report, nil
}

// checker is one run of Check.
type checker struct {
	value  func(key string, val []byte) error
	report store.Report
}

func (c *checker) run(ctx context.Context, url string, o Options) error {
	conn, err := connectToRead(ctx, url, o)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	v, err := look(ctx, conn.PgConn())
	if err != nil {
		return err
	}
	if v.schema == 0 {
		return errNoStore
	}
	if v.schema < newest() {
		return errOldSchema
	}
	return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		if v.postgres {
			if _, err := tx.Exec(ctx, `SET LOCAL enable_seqscan TO on`); err != nil {
				return err
			}
		}
		for _, part := range []func(context.Context, pgx.Tx) error{c.mailboxes, c.shares, c.directory, c.pools} {
			if err := part(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}

var (
	errNoStore   = fmt.Errorf("no store in this database: %w", fs.ErrNotExist)
	errOldSchema = fmt.Errorf("%w: an older program made this store; start the server once with this one, which brings it up to date", store.ErrFormat)
)

// connectToRead connects as the store does, with all its refusals, and keeps
// nothing of what it sees.
func connectToRead(ctx context.Context, url string, o Options) (*pgx.Conn, error) {
	seen, err := loadSeen(o)
	if err != nil {
		return nil, err
	}
	seen.file, seen.replaced = "", func() {}
	config, err := configure(url, o, seen)
	if err != nil {
		return nil, err
	}
	cc := config.ConnConfig.Copy()
	neverCancel(cc)
	return pgx.ConnectConfig(ctx, cc)
}

// eachMailbox is every head beside the sum of its envelopes, and envelopes
// without a head. The digests make the database read every byte.
const eachMailbox = `
SELECT coalesce(h.box, e.box), h.box IS NOT NULL, coalesce(h.first, 0), coalesce(h.last, 0), coalesce(h.size, 0),
  coalesce(h.expired < 0 OR h.max_envelopes < 0 OR h.max_size < 0 OR h.first < 1 OR h.first > h.last + 1, false),
  coalesce(h.gone, false), coalesce(e.n, 0), coalesce(e.low, 0), coalesce(e.high, 0), coalesce(e.size, 0), coalesce(e.odd, 0)
FROM posthorn.heads AS h FULL JOIN (
  SELECT box, count(md5(data)) AS n, min(seq) AS low, max(seq) AS high, sum(octet_length(data))::bigint AS size,
    count(*) FILTER (WHERE octet_length(id) <> 16 OR octet_length(sender) <> 16) AS odd
  FROM posthorn.envelopes GROUP BY box
) AS e ON e.box = h.box ORDER BY 1`

// mailboxRow is a row of eachMailbox.
type mailboxRow struct {
	box               []byte
	there, bad, gone  bool
	first, last, size int64
	n, low, high, sum int64 // of the envelopes
	odd               int64
}

func (c *checker) mailboxes(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, eachMailbox)
	if err != nil {
		return err
	}
	var r mailboxRow
	_, err = pgx.ForEachRow(rows, []any{&r.box, &r.there, &r.first, &r.last, &r.size, &r.bad, &r.gone, &r.n, &r.low, &r.high, &r.sum, &r.odd}, func() error {
		c.mailbox(r)
		return nil
	})
	return err
}

func (c *checker) mailbox(r mailboxRow) {
	c.report.Envelopes += int(r.n)
	c.report.Bytes += r.sum
	if r.odd > 0 {
		c.report.Damage("mailbox %x: %d envelopes have an id or sender of the wrong length", r.box, r.odd)
	}
	switch {
	case !r.there:
		c.report.Damage("mailbox %x: envelopes without a head", r.box)
		return
	case len(r.box) != len(store.Box{}) || r.bad:
		c.report.Damage("mailbox %x: its head cannot be read", r.box)
		return
	case r.gone:
		if c.report.Dropped++; r.n > 0 {
			c.report.Damage("mailbox %x: it was dropped, but envelopes are there", r.box)
		}
		return
	}
	c.report.Mailboxes++
	want := r.last + 1 - r.first
	switch {
	case r.n != want || want > 0 && (r.low != r.first || r.high != r.last):
		c.report.Damage("mailbox %x: it should hold the envelopes %d to %d, and some are missing or too many", r.box, r.first, r.last)
	case r.sum != r.size:
		c.report.Damage("mailbox %x: its envelopes have %d bytes, not %d", r.box, r.sum, r.size)
	}
}

// wrongShares counts, by mailbox, the shares that are not those of the
// envelopes. A share of nothing may be there or not; only a crowded mailbox has
// any.
const wrongShares = `
SELECT box, count(*) FROM (
  SELECT coalesce(s.box, e.box) AS box FROM posthorn.shares AS s FULL JOIN (
    SELECT box, sender, count(*) AS n, sum(octet_length(data))::bigint AS size FROM posthorn.envelopes
    WHERE box IN (SELECT box FROM posthorn.heads WHERE crowded) GROUP BY box, sender
  ) AS e ON e.box = s.box AND e.sender = s.sender
  WHERE coalesce(s.envelopes, 0) <> coalesce(e.n, 0) OR coalesce(s.size, 0) <> coalesce(e.size, 0)
    OR s.box NOT IN (SELECT box FROM posthorn.heads WHERE crowded AND NOT gone)
) AS wrong GROUP BY box ORDER BY box`

func (c *checker) shares(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, wrongShares)
	if err != nil {
		return err
	}
	var box []byte
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&box, &n}, func() error {
		c.report.Damage("mailbox %x: the shares of %d senders are not those of the envelopes", box, n)
		return nil
	})
	return err
}

// directory counts the values and shows them to the caller.
func (c *checker) directory(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT key, ver, val FROM posthorn.directory ORDER BY key`)
	if err != nil {
		return err
	}
	var key, val []byte
	var ver int64
	_, err = pgx.ForEachRow(rows, []any{&key, &ver, &val}, func() error {
		if c.report.Values++; ver < 1 {
			c.report.Damage("directory value %d of the key order cannot be read", c.report.Values)
			return nil
		}
		if c.value == nil {
			return nil
		}
		if err := c.value(string(key), slices.Clone(val)); err != nil {
			c.report.Damage("directory value %d of the key order: %v", c.report.Values, err)
		}
		return nil
	})
	return err
}

// eachPool is every pool beside what is in it, and values of no pool.
const eachPool = `
SELECT p.pool IS NOT NULL, coalesce(p.first, 0), coalesce(p.next, 0), coalesce(v.n, 0), coalesce(v.low, 0), coalesce(v.high, 0)
FROM posthorn.pools AS p FULL JOIN (
  SELECT pool, count(md5(val)) AS n, min(n) AS low, max(n) AS high FROM posthorn.pooled GROUP BY pool
) AS v ON v.pool = p.pool ORDER BY coalesce(p.pool, v.pool)`

// pools wants every waiting value of every pool, and none beside them.
func (c *checker) pools(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, eachPool)
	if err != nil {
		return err
	}
	var there bool
	var first, next, n, low, high int64
	pool := 0
	_, err = pgx.ForEachRow(rows, []any{&there, &first, &next, &n, &low, &high}, func() error {
		pool++
		c.report.Pooled += int(n)
		switch {
		case !there:
			c.report.Damage("%d values belong to no pool", n)
		case first < 1 || next < first:
			c.report.Damage("pool %d of the key order cannot be read", pool)
		case n != next-first || n > 0 && (low != first || high != next-1):
			c.report.Damage("pool %d of the key order should hold %d values, and some are missing or too many", pool, next-first)
		}
		return nil
	})
	return err
}

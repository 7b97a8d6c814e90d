package pebble

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
)

// Check reads every record of a store that nobody has open, and changes
// nothing. It compares what the records say of each other: a mailbox holds
// every number of its range, its sums and its senders' shares are those of the
// envelopes, every value of a pool is there. With value it also shows each
// directory value to the caller, whose error counts as damage.
//
// What the engine itself cannot read ends the check with ErrCorrupt, beside a
// report of what was read until then. ErrFormat; fs.ErrNotExist without a store,
// or with one that was cut off while it was made and holds nothing.
func Check(ctx context.Context, dir string, o Options, value func(key string, val []byte) error) (store.Report, error) {
	c := &checker{ctx: ctx, value: value, report: store.NewReport(), minutes: map[uint64]uint64{}}
	s, err := openToRead(dir, o.withDefaults())
	if err != nil {
		return c.report, fmt.Errorf("store: not checked: %w", err)
	}
	defer s.db.Close() // read only, so nothing is lost if it fails
	c.db, c.counted, c.tails = s.db, s.version > uncountedFormat, s.version > taillessFormat
	for _, part := range []func() error{c.kinds, c.mailboxes, c.counters, c.directory, c.pools} {
		if err := part(); err != nil {
			return c.report, readError(err)
		}
	}
	return c.report, nil
}

// openToRead opens an existing store without writing to it.
func openToRead(dir string, o Options) (*Store, error) {
	s := newStore(o)
	found, err := pebble.Peek(dir, o.FS)
	if err == nil && !found.Exists {
		err = fmt.Errorf("no store in this folder: %w", fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	if err := checkLogs(o.FS, dir); err != nil {
		return nil, err
	}
	settings := s.engineOptions()
	settings.ReadOnly = true
	if err := s.openWith(dir, settings); err != nil {
		return nil, readError(err)
	}
	s.version, err = s.knownFormat()
	if errors.Is(err, errUnmarked) {
		err = s.unmarked()
	}
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// unmarked says what a store without a format version is: one whose making a
// crash has cut off, when it holds nothing, else a damaged one.
func (s *Store) unmarked() error {
	empty, err := s.holdsNothing()
	if err != nil {
		return err
	}
	if !empty {
		return errUnmarked
	}
	return fmt.Errorf("the store holds nothing: it was cut off while it was made, and the next start completes it: %w", fs.ErrNotExist)
}

// checker is one run of Check.
type checker struct {
	ctx    context.Context
	db     *pebble.DB
	value  func(key string, val []byte) error
	report store.Report

	counted bool              // the format has counters
	tails   bool              // the format has tails
	minutes map[uint64]uint64 // envelopes found of each minute
}

func (c *checker) damaged(format string, args ...any) { c.report.Damage(format, args...) }

// kinds wants every key to be of a kind that this program writes.
func (c *checker) kinds() error {
	known := map[byte]bool{keyFormat: true, keyHead: true, keyMessage: true, keyShare: true, keyValue: true, keyPool: true, keyItem: true, keyTally: true, keyOpen: true}
	it, err := c.db.NewIter(nil)
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; {
		kind := it.Key()[:min(1, len(it.Key()))]
		if len(kind) == 0 || !known[kind[0]] {
			c.damaged("records of an unknown kind %q", kind)
		}
		ok = len(kind) > 0 && kind[0] < 0xff && it.SeekGE(successor(kind))
	}
	return it.Error()
}

// each calls visit for every record of one kind, with the key behind its first
// byte, in order.
func (c *checker) each(kind byte, visit func(key, val []byte) error) error {
	it, err := c.over(kind)
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := visit(it.Key()[1:], val); err != nil {
			return err
		}
	}
	return it.Error()
}

func (c *checker) over(kind byte) (*pebble.Iterator, error) {
	return c.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: successor([]byte{kind})})
}

// counters holds the counters against what was counted.
func (c *checker) counters() error {
	if !c.counted {
		return nil
	}
	open := -1
	err := c.each(keyOpen, func(_, record []byte) error {
		if n, err := parseCount(record); err == nil {
			open = int(n)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if open = max(open, 0); open != c.report.Mailboxes {
		c.damaged("the count of mailboxes is %d, but %d are open", open, c.report.Mailboxes)
	}
	err = c.each(keyTally, func(key, record []byte) error {
		n, err := parseCount(record)
		if err != nil || len(key) != 8 || c.minutes[binary.BigEndian.Uint64(key)] != n {
			c.damaged("a count of envelopes by time is wrong")
			return nil
		}
		delete(c.minutes, binary.BigEndian.Uint64(key))
		return nil
	})
	if err == nil && len(c.minutes) > 0 {
		c.damaged("%d counts of envelopes by time are missing", len(c.minutes))
	}
	return err
}

// directory counts the values and shows them to the caller.
func (c *checker) directory() error {
	return c.each(keyValue, func(key, record []byte) error {
		c.report.Values++
		version, val, err := parseValue(record)
		switch {
		case err != nil || version == 0:
			c.damaged("directory value %d of the key order cannot be read", c.report.Values)
		case c.value != nil:
			if err := c.value(string(key), val); err != nil {
				c.damaged("directory value %d of the key order: %v", c.report.Values, err)
			}
		}
		return nil
	})
}

// pools wants every waiting value of every pool, and none beside them.
func (c *checker) pools() error {
	expected := map[string]pool{}
	err := c.each(keyPool, func(name, record []byte) error {
		p, err := parsePool(record)
		if err != nil {
			c.damaged("pool %d of the key order cannot be read", len(expected)+1)
		}
		expected[string(name)] = p
		return nil
	})
	if err != nil {
		return err
	}
	missing := uint64(0)
	for _, p := range expected {
		missing += p.next - p.first
	}
	err = c.each(keyItem, func(key, _ []byte) error {
		c.report.Pooled++
		name, n, ok := parseItemKey(key)
		if p := expected[name]; !ok || n < p.first || n >= p.next {
			c.damaged("value %d of the pools belongs to none", c.report.Pooled)
			return nil
		}
		missing--
		return nil
	})
	if err == nil && missing > 0 {
		c.damaged("%d values of pools are missing", missing)
	}
	return err
}

// parseItemKey reads what itemKey wrote, behind the kind.
func parseItemKey(key []byte) (pool string, n uint64, ok bool) {
	if len(key) < 2 {
		return "", 0, false
	}
	size := int(binary.BigEndian.Uint16(key))
	if len(key) != 2+size+8 {
		return "", 0, false
	}
	return string(key[2 : 2+size]), binary.BigEndian.Uint64(key[2+size:]), true
}

// boxOf is the mailbox in a key behind its kind; ok if rest bytes follow.
func boxOf(key []byte, rest int) (box store.Box, ok bool) {
	return box, copy(box[:], key) == len(box) && len(key) == len(box)+rest
}

package pebble_test

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// writeMore adds what writeContent lacks: acked envelopes, a dropped mailbox,
// a pool of which one value is taken.
func writeMore(t *testing.T, s store.Store) {
	must(t, s.Ack(t.Context(), []store.BoxSeq{{Box: store.Box{1}, Seq: 10}, {Box: store.Box{2}, Seq: 25}}))
	must(t, s.Drop(t.Context(), store.Box{3}))
	must(t, s.Put(t.Context(), "pool", []byte("one"), []byte("two"), []byte("three")))
	_, err := s.Take(t.Context(), "pool")
	must(t, err)
}

// closed makes a store with content, lets damage change it, and closes it.
func closed(t *testing.T, damage func(*pebble.Store) error) *vfs.MemFS {
	t.Helper()
	image := vfs.NewMem()
	s := folder{"store", pebble.Options{FS: image}}.Open(t)
	writeContent(t, s)
	writeMore(t, s)
	must(t, s.Close()) // acks are applied
	s = folder{"store", pebble.Options{FS: image}}.Open(t)
	must(t, damage(s.(*pebble.Store)))
	must(t, s.Close())
	return image
}

func TestCheckCountsASoundStore(t *testing.T) {
	image := closed(t, func(*pebble.Store) error { return nil })
	var keys []string
	r, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	})
	must(t, err)
	if r.Mailboxes != 3 || r.Dropped != 1 || r.Envelopes != 25+15 || r.Values != 4 || r.Pooled != 2 || r.Damaged != 0 {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(keys, []string{"key0", "key1", "key2", "key3"}) {
		t.Errorf("shown %q", keys)
	}
	if again := (folder{"store", pebble.Options{FS: image}}).Open(t); again.Err() != nil || again.Close() != nil {
		t.Error("the store does not open after the check")
	}
}

// TestCheckNamesDamage: records that the engine finds in order, and that do not
// fit each other.
func TestCheckNamesDamage(t *testing.T) {
	t.Parallel()
	box := store.Box{1}
	put := func(key, val []byte) func(*pebble.Store) error {
		return func(s *pebble.Store) error { return pebble.Put(s, key, val) }
	}
	remove := func(key []byte) func(*pebble.Store) error {
		return func(s *pebble.Store) error { return pebble.Remove(s, key) }
	}
	for name, c := range map[string]struct {
		damage func(*pebble.Store) error
		says   string
	}{
		"missing in the middle":  {remove(pebble.MessageKey(box, 14)), "some are missing"},
		"missing in front":       {remove(pebble.MessageKey(box, 11)), "envelopes 11 to 25"},
		"missing at the end":     {remove(pebble.MessageKey(box, 25)), "envelopes 11 to 25"},
		"missing in a tail":      {remove(pebble.MessageKey(store.Box{}, 14)), "some are missing"},
		"end of a tail":          {remove(pebble.MessageKey(store.Box{}, 25)), "count of envelopes by time is wrong"},
		"one too many":           {put(pebble.MessageKey(box, 26), make([]byte, 41)), "count of envelopes by time is wrong"},
		"acked, but there":       {put(pebble.MessageKey(store.Box{2}, 3), make([]byte, 40)), "too many"},
		"dropped, but there":     {put(pebble.MessageKey(store.Box{3}, 1), make([]byte, 40)), "was dropped"},
		"other length":           {put(pebble.MessageKey(box, 14), make([]byte, 50)), "bytes, not"},
		"unreadable envelope":    {put(pebble.MessageKey(box, 14), []byte("short")), "envelope 14 cannot be read"},
		"unreadable head":        {put(pebble.HeadKey(box), []byte("short")), "head cannot be read"},
		"no head":                {remove(pebble.HeadKey(box)), "without a head"},
		"no share":               {remove(pebble.ShareKey(box, store.Sender{})), "senders have no share"},
		"share of nobody":        {put(pebble.ShareKey(box, store.Sender{7}), make([]byte, 12)), ""},
		"other share":            {put(pebble.ShareKey(box, store.Sender{}), []byte("\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01")), "share is not that"},
		"unreadable value":       {put(pebble.ValueKey("key0"), []byte("short")), "directory value 1"},
		"missing in a pool":      {remove(pebble.ItemKey("pool", 2)), "1 values of pools are missing"},
		"taken, but in the pool": {put(pebble.ItemKey("pool", 0), nil), "belongs to none"},
		"unreadable pool":        {put(pebble.PoolKey("pool"), []byte("short")), "pool 1"},
		"wrong count of open":    {put([]byte("o"), []byte("\x00\x00\x00\x00\x00\x00\x00\x09")), "count of mailboxes is 9, but 3 are open"},
		"wrong count":            {put(pebble.TallyKey(0), []byte("\x00\x00\x00\x00\x00\x00\x00\x09")), "count of envelopes by time is wrong"},
		"no count":               {remove(pebble.TallyKey(0)), "1 counts of envelopes by time are missing"},
		"unknown kind":           {put([]byte("zoo"), nil), "unknown kind"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := pebble.Check(t.Context(), "store", pebble.Options{FS: closed(t, c.damage)}, nil)
			must(t, err)
			if c.says == "" {
				if r.Damaged != 0 {
					t.Errorf("harmless, but %q", r.Problems)
				}
				return
			}
			if r.Damaged == 0 || !strings.Contains(strings.Join(r.Problems, "\n"), c.says) {
				t.Errorf("%d damaged: %q", r.Damaged, r.Problems)
			}
		})
	}
}

func TestCheckShowsValuesToTheCaller(t *testing.T) {
	image := closed(t, func(*pebble.Store) error { return nil })
	r, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, func(string, []byte) error { return errors.New("forged") })
	if err != nil || r.Damaged != 4 || !strings.Contains(r.Problems[0], "forged") {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestCheckOfNoStore: nothing is made where nothing was.
func TestCheckOfNoStore(t *testing.T) {
	empty := vfs.NewMem()
	must(t, empty.MkdirAll("store", 0o700))
	if _, err := pebble.Check(t.Context(), "store", pebble.Options{FS: empty}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if names, err := empty.List("store"); err != nil || len(names) > 0 {
		t.Errorf("the check left %q", names)
	}
}

func TestCheckRefusesANewerFormat(t *testing.T) {
	image := closed(t, func(s *pebble.Store) error { return pebble.SetFormat(s, 4) })
	if _, err := pebble.Check(t.Context(), "store", pebble.Options{FS: image}, nil); !errors.Is(err, store.ErrFormat) {
		t.Errorf("%v", err)
	}
}

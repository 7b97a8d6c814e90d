package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/posthorn/posthorn/server/store"
)

var directoryCases = map[string]func(*suite){
	"7 a key that was never set":            noKey,
	"7 versions count up":                   versions,
	"7 a stale version is refused":          staleVersion,
	"7 values survive a reopen":             valuesSurvive,
	"7 a note is a compare-and-swap":        notes,
	"7 keys with a common beginning":        similarKeys,
	"7 take empties a pool, oldest first":   takeInOrder,
	"7 a pool remembers across a reopen":    poolSurvives,
	"7 pools are apart":                     poolsApart,
	"7 a large value and an empty value":    valueSizes,
	"7 a put of nothing leaves it as it is": putNothing,
}

func (s *suite) set(key string, want uint64, val string) uint64 {
	s.Helper()
	ver, err := s.CAS(s.ctx, key, want, []byte(val))
	s.ok(err)
	return ver
}

// expect checks what is under a key.
func (s *suite) expect(key, val string, ver uint64) {
	s.Helper()
	got, v, err := s.Get(s.ctx, key)
	if err != nil || string(got) != val || v != ver {
		s.Errorf("%q: %.40q at version %d, %v; want %.40q at %d", key, got, v, err, val, ver)
	}
}

func noKey(s *suite) {
	if _, _, err := s.Get(s.ctx, "none"); !errors.Is(err, store.ErrNotFound) {
		s.Errorf("get: %v, want ErrNotFound", err)
	}
	if ver, err := s.CAS(s.ctx, "none", 1, nil); !errors.Is(err, store.ErrVersion) || ver != 0 {
		s.Errorf("cas: version %d, %v; want 0 and ErrVersion", ver, err)
	}
}

func versions(s *suite) {
	for i := range uint64(4) {
		if ver := s.set("key", i, fmt.Sprint("value ", i)); ver != i+1 {
			s.Errorf("version %d, want %d", ver, i+1)
		}
		s.expect("key", fmt.Sprint("value ", i), i+1)
	}
}

func staleVersion(s *suite) {
	s.set("key", 0, "a")
	s.set("key", 1, "b")
	for _, want := range []uint64{0, 1, 3} {
		if ver, err := s.CAS(s.ctx, "key", want, []byte("c")); !errors.Is(err, store.ErrVersion) || ver != 2 {
			s.Errorf("at version %d: %d, %v; want 2 and ErrVersion", want, ver, err)
		}
	}
	s.expect("key", "b", 2)
}

func valuesSurvive(s *suite) {
	s.set("a", 0, "1")
	s.set("a", 1, "2")
	s.set("b", 0, "3")
	s.reopen()
	s.expect("a", "2", 2)
	s.expect("b", "3", 1)
}

func notes(s *suite) {
	note := func(want uint64, val string) (uint64, error) { return s.Note(s.ctx, "key", want, []byte(val)) }
	if ver, err := note(1, "a"); !errors.Is(err, store.ErrVersion) || ver != 0 {
		s.Errorf("of a key that is not there: version %d, %v", ver, err)
	}
	ver, err := note(0, "a")
	s.ok(err)
	s.expect("key", "a", ver)
	s.set("key", 1, "b")
	if ver, err := note(1, "c"); !errors.Is(err, store.ErrVersion) || ver != 2 {
		s.Errorf("at an old version: %d, %v; want 2 and ErrVersion", ver, err)
	}
	ver, err = note(2, "d")
	s.ok(err)
	s.reopen()
	s.expect("key", "d", ver)
	s.set("key", 3, "e")
}

func similarKeys(s *suite) {
	keys := []string{"k", "k\x00", "k\x00\x01", "ka", "", "\xff\xff"}
	for _, key := range keys {
		s.set(key, 0, "value of "+key)
	}
	for _, key := range keys {
		s.expect(key, "value of "+key, 1)
	}
}

func (s *suite) taken(pool, want string) {
	s.Helper()
	if got, err := s.Take(s.ctx, pool); err != nil || string(got) != want {
		s.Errorf("took %q, %v; want %q", got, err, want)
	}
}

func (s *suite) empty(pool string) {
	s.Helper()
	if got, err := s.Take(s.ctx, pool); !errors.Is(err, store.ErrEmpty) {
		s.Errorf("took %q, %v; want ErrEmpty", got, err)
	}
}

func takeInOrder(s *suite) {
	s.empty("pool")
	s.ok(s.Put(s.ctx, "pool", []byte("a"), []byte("b")))
	s.ok(s.Put(s.ctx, "pool", []byte("c")))
	s.taken("pool", "a")
	s.taken("pool", "b")
	s.taken("pool", "c")
	s.empty("pool")
}

func poolSurvives(s *suite) {
	s.ok(s.Put(s.ctx, "pool", []byte("a"), []byte("b")))
	s.taken("pool", "a")
	s.reopen()
	s.taken("pool", "b")
	s.reopen()
	s.empty("pool")
	s.ok(s.Put(s.ctx, "pool", []byte("c")))
	s.taken("pool", "c")
}

func poolsApart(s *suite) {
	s.ok(s.Put(s.ctx, "p", []byte("in p")))
	s.ok(s.Put(s.ctx, "p\x00\x00\x00\x00\x00\x00\x00\x00", []byte("in the longer name")))
	s.taken("p", "in p")
	s.empty("p")
	s.taken("p\x00\x00\x00\x00\x00\x00\x00\x00", "in the longer name")
}

func valueSizes(s *suite) {
	large := strings.Repeat("0123456789abcdef", 1<<16)
	s.set("large", 0, large)
	s.set("empty", 0, "")
	s.ok(s.Put(s.ctx, "pool", nil, []byte(large)))
	s.reopen()
	s.expect("large", large, 1)
	s.expect("empty", "", 1)
	s.taken("pool", "")
	if got, err := s.Take(s.ctx, "pool"); err != nil || !bytes.Equal(got, []byte(large)) {
		s.Errorf("took %d bytes, %v; want %d", len(got), err, len(large))
	}
}

func putNothing(s *suite) {
	s.ok(s.Put(s.ctx, "pool"))
	s.empty("pool")
}

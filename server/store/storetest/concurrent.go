package storetest

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/posthorn/posthorn/server/store"
)

var concurrentCases = map[string]func(*suite){
	"1 a reader never meets a gap or a smaller number": readersSeeOrder,
	"1 many writers get each number once":              numbersOnce,
	"7 cas is linearizable":                            casLinearizable,
	"7 take gives each value once":                     takeOnce,
	"7 an order explains every get and cas":            directoryHistory,
	"7 an order explains every put and take":           poolHistory,
}

// together runs n goroutines and waits for all.
func together(n int, run func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { run(i) })
	}
	wg.Wait()
}

const (
	writers = 16
	rounds  = 40
)

// readersSeeOrder reads while writers write and the owner acks.
func readersSeeOrder(s *suite) {
	box := s.box(store.Limits{Envelopes: 1 << 20})
	ids := make(chan store.Envelope, writers*rounds)
	for range writers * rounds {
		ids <- s.envelope(box, "x")
	}
	close(ids)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() { s.follow(box, writers*rounds) })
	}
	together(writers, func(int) {
		for e := range ids {
			if got, err := s.Append(s.ctx, []store.Envelope{e}); err != nil || got[0].Err != nil {
				s.Errorf("append: %v, %v", got, err)
			}
		}
	})
	wg.Wait()
}

// follow reads a mailbox live up to a number and checks every step.
func (s *suite) follow(box store.Box, last uint64) {
	for seen := uint64(0); seen < last; {
		msgs, head, err := s.Read(s.ctx, box, seen, 7, all)
		if err != nil {
			s.Errorf("read: %v", err)
			return
		}
		for _, m := range msgs {
			if seen++; m.Seq != seen || m.Seq > head {
				s.Errorf("read number %d with head %d, want %d", m.Seq, head, seen)
				return
			}
		}
	}
}

func numbersOnce(s *suite) {
	box := s.box(store.Limits{Envelopes: 1 << 20})
	envs := make([]store.Envelope, writers*rounds)
	for i := range envs {
		envs[i] = s.envelope(box, "x")
	}
	var mu sync.Mutex
	owner := make(map[uint64]store.EnvelopeID)
	together(writers, func(w int) {
		for _, e := range envs[w*rounds : (w+1)*rounds] {
			got, err := s.Append(s.ctx, []store.Envelope{e})
			if err != nil || got[0].Err != nil {
				s.Errorf("append: %v, %v", got, err)
				return
			}
			mu.Lock()
			if _, twice := owner[got[0].Seq]; twice {
				s.Errorf("number %d was given twice", got[0].Seq)
			}
			owner[got[0].Seq] = e.ID
			mu.Unlock()
		}
	})
	msgs, _, err := s.Read(s.ctx, box, 0, all, all)
	s.ok(err)
	if len(msgs) != len(envs) {
		s.Fatalf("%d envelopes, want %d", len(msgs), len(envs))
	}
	for i, m := range msgs {
		if m.Seq != uint64(i+1) || owner[m.Seq] != m.ID {
			s.Fatalf("number %d at place %d does not hold what its writer was told", m.Seq, i+1)
		}
	}
}

// casLinearizable counts with many writers. A key's versions are a total order,
// so two checks are enough: each version has one writer, and no call sees a
// version below one that some call had returned before it began.
func casLinearizable(s *suite) {
	var highest atomic.Uint64
	returned := func(ver uint64) {
		for old := highest.Load(); old < ver && !highest.CompareAndSwap(old, ver); old = highest.Load() {
		}
	}
	var won sync.Map
	together(writers, func(int) {
		for n := 0; n < rounds; {
			floor := highest.Load()
			val, ver, err := s.Get(s.ctx, "counter")
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				s.Errorf("get: %v", err)
				return
			}
			if ver < floor || ver != 0 && binary.BigEndian.Uint64(val) != ver {
				s.Errorf("get: version %d with value %x after version %d was seen", ver, val, floor)
			}
			returned(ver)
			floor = highest.Load()
			now, err := s.CAS(s.ctx, "counter", ver, binary.BigEndian.AppendUint64(nil, ver+1))
			if now < floor || err != nil && !errors.Is(err, store.ErrVersion) {
				s.Errorf("cas: version %d, %v after version %d was seen", now, err, floor)
				return
			}
			returned(now)
			if err == nil {
				n++
				if _, twice := won.LoadOrStore(now, true); twice {
					s.Errorf("version %d was written twice", now)
				}
			}
		}
	})
	if _, ver, err := s.Get(s.ctx, "counter"); ver != writers*rounds || err != nil {
		s.Errorf("version %d, %v after %d writes", ver, err, writers*rounds)
	}
}

func takeOnce(s *suite) {
	const n = 300
	vals := make([][]byte, n)
	for i := range vals {
		vals[i] = binary.BigEndian.AppendUint32(nil, uint32(i))
	}
	s.ok(s.Put(s.ctx, "pool", vals...))
	var mu sync.Mutex
	seen := make(map[uint32]bool)
	together(writers, func(int) {
		for {
			val, err := s.Take(s.ctx, "pool")
			if errors.Is(err, store.ErrEmpty) {
				return
			}
			if err != nil {
				s.Errorf("take: %v", err)
				return
			}
			mu.Lock()
			if v := binary.BigEndian.Uint32(val); seen[v] {
				s.Errorf("value %d was taken twice", v)
			} else {
				seen[v] = true
			}
			mu.Unlock()
		}
	})
	if len(seen) != n {
		s.Errorf("%d values taken, want %d", len(seen), n)
	}
}

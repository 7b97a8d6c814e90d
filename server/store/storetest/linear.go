package storetest

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/posthorn/posthorn/server/store"
)

// history records calls with the order in which they began and returned.
type history struct {
	tick atomic.Int64

	mu    sync.Mutex
	calls []porcupine.Operation
}

// call runs one call of a client and notes it. A call without an output failed
// and has no place in the history.
func (h *history) call(client int, input any, run func() (output any)) {
	began := h.tick.Add(1)
	output := run()
	ended := h.tick.Add(1)
	if output == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, porcupine.Operation{ClientId: client, Input: input, Call: began, Output: output, Return: ended})
}

// searchTime bounds the search for an order; histories here take milliseconds
// on a quiet machine.
const searchTime = 5 * time.Minute

// explain wants an order of the calls that a store for one caller could have
// answered in the same way.
func (h *history) explain(s *suite, model porcupine.Model) {
	s.Helper()
	if verdict := porcupine.CheckOperationsTimeout(model, h.calls, searchTime); verdict != porcupine.Ok {
		s.Errorf("no order explains the answers to %d calls: %s", len(h.calls), verdict)
	}
}

// onKey is a Get, or a CAS with what it wants and sets.
type onKey struct {
	key  string
	cas  bool
	want uint64
	val  uint64
}

// atKey is the answer: the version and, of a Get, the value. done: it was set.
type atKey struct {
	ver, val uint64
	done     bool
}

// register is one directory key at a time.
var register = porcupine.Model{
	Partition: func(calls []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, c := range calls {
			key := c.Input.(onKey).key
			byKey[key] = append(byKey[key], c)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return atKey{} },
	Step: func(state, input, output any) (bool, any) {
		now, asked, got := state.(atKey), input.(onKey), output.(atKey)
		if !asked.cas {
			return got == now, now
		}
		if asked.want != now.ver {
			return !got.done && got.ver == now.ver, now
		}
		return got.done && got.ver == now.ver+1, atKey{ver: now.ver + 1, val: asked.val}
	},
}

// directoryHistory lets clients read and set three keys, often with a version
// that has gone, and asks for an order.
func directoryHistory(s *suite) {
	h := &history{}
	together(writers/2, func(client int) {
		rng, last := rand.New(rand.NewPCG(uint64(client), 7)), map[string]uint64{}
		for n := range uint64(rounds) {
			c := onKey{key: string('a' + rune(rng.IntN(3))), cas: rng.IntN(3) > 0, val: uint64(client)<<32 | n}
			c.want = last[c.key]
			h.call(client, c, func() any {
				got, ok := s.ask(c)
				if !ok {
					return nil
				}
				last[c.key] = got.ver
				return got
			})
		}
	})
	h.explain(s, register)
}

// ask makes one call. Both kinds of refusal are answers, other errors fail the
// test.
func (s *suite) ask(c onKey) (got atKey, ok bool) {
	if c.cas {
		ver, err := s.CAS(s.ctx, c.key, c.want, binary.BigEndian.AppendUint64(nil, c.val))
		if err != nil && !errors.Is(err, store.ErrVersion) {
			s.Errorf("cas: %v", err)
			return got, false
		}
		return atKey{ver: ver, done: err == nil}, true
	}
	val, ver, err := s.Get(s.ctx, c.key)
	if errors.Is(err, store.ErrNotFound) {
		return got, true
	}
	if err != nil || len(val) != 8 {
		s.Errorf("get: %x, %v", val, err)
		return got, false
	}
	return atKey{ver: ver, val: binary.BigEndian.Uint64(val)}, true
}

// onPool is a Put of one value, or a Take for 0.
type onPool byte

// fromPool is what Take gave; 0: nothing was there, or it was a Put.
type fromPool byte

// queue is a pool: the oldest value goes first.
var queue = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		waiting, put, got := state.(string), input.(onPool), output.(fromPool)
		switch {
		case put != 0:
			return true, waiting + string([]byte{byte(put)})
		case got == 0:
			return waiting == "", waiting
		default:
			return waiting != "" && waiting[0] == byte(got), waiting[min(1, len(waiting)):]
		}
	},
}

// poolHistory lets clients put and take, mostly take, and asks for an order.
// Few clients: the search grows fast with the calls that overlap.
func poolHistory(s *suite) {
	const clients, calls = 4, 60
	h := &history{}
	together(clients, func(client int) {
		rng := rand.New(rand.NewPCG(uint64(client), 11))
		for n := range calls {
			put := onPool(0)
			if rng.IntN(5) < 2 {
				put = onPool(1 + client*calls + n)
			}
			h.call(client, put, func() any { return s.putOrTake(put) })
		}
	})
	h.explain(s, queue)
}

func (s *suite) putOrTake(put onPool) any {
	if put != 0 {
		if err := s.Put(s.ctx, "history", []byte{byte(put)}); err != nil {
			s.Errorf("put: %v", err)
			return nil
		}
		return fromPool(0)
	}
	val, err := s.Take(s.ctx, "history")
	switch {
	case errors.Is(err, store.ErrEmpty):
		return fromPool(0)
	case err != nil || len(val) != 1:
		s.Errorf("take: %x, %v", val, err)
		return nil
	}
	return fromPool(val[0])
}

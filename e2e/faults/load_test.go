//go:build linux && amd64

package faults

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
)

// load is work on all sides at once, until an error ends it or somebody does.
type load struct {
	r       *run
	working sync.WaitGroup
	over    atomic.Bool
}

// begin lets each device send to all others, with its own bodies and pauses,
// and one of them listen and acknowledge. The work is the same for a seed.
func (r *run) begin(seed uint64) *load {
	l := &load{r: r}
	for i, d := range r.people {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		to := r.people[(i+1)%len(r.people)]
		l.forever(func() error { return r.send(d, to, 1+random.IntN(8), random.IntN(4000)) })
		l.forever(func() error { return r.empty(d) })
	}
	return l
}

// forever repeats a step until it fails. What failed is found in the ledger.
func (l *load) forever(step func() error) {
	l.working.Go(func() {
		for !l.over.Load() && step() == nil {
		}
	})
}

// end waits until nobody works any more.
func (l *load) end() {
	l.over.Store(true)
	l.working.Wait()
}

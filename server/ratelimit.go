package server

import (
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"golang.org/x/time/rate"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/reject"
)

// maxTracked bounds how many callers a limiter remembers. When it is reached,
// callers that have not used up anything are forgotten, which changes nothing
// for them; if that frees too little, everybody is.
const maxTracked = 20_000

// limiter holds one token bucket for each caller.
type limiter struct {
	limit Rate

	mu      sync.Mutex
	buckets map[string]*rate.Limiter
}

func newLimiter(limit Rate) *limiter {
	return &limiter{limit: limit, buckets: map[string]*rate.Limiter{}}
}

// allow takes one call from the caller's bucket; see take.
func (l *limiter) allow(caller string, now time.Time) error { return l.take(caller, 1, now) }

// take takes n from the caller's bucket, or refuses with the time after which
// as much is there. n is at most the burst.
func (l *limiter) take(caller string, n int, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	bucket, ok := l.buckets[caller]
	if !ok {
		l.makeRoom(now)
		bucket = rate.NewLimiter(rate.Limit(l.limit.PerSecond), l.limit.Burst)
		l.buckets[caller] = bucket
	}
	reservation := bucket.ReserveN(now, min(n, l.limit.Burst))
	wait := reservation.DelayFrom(now)
	if wait == 0 {
		return nil
	}
	reservation.CancelAt(now)
	return refusal{
		code: connect.CodeResourceExhausted, reason: api.ReasonRateLimited, text: "too many calls; this one was not carried out",
		hint: "wait and try again", retry: wait + time.Millisecond,
	}.err(reject.New("V-89", ErrLimited, ""))
}

func (l *limiter) makeRoom(now time.Time) {
	if len(l.buckets) < maxTracked {
		return
	}
	for caller, bucket := range l.buckets {
		if bucket.TokensAt(now) >= float64(l.limit.Burst) {
			delete(l.buckets, caller)
		}
	}
	if len(l.buckets) >= maxTracked {
		clear(l.buckets)
	}
}

package log

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// pacer carries requests to witnesses. Tessera asks again at once when a
// witness fails; the pacer lets more and more time pass between.
type pacer struct {
	next   http.RoundTripper
	failed func() // called for each failure; may be nil

	mu    sync.Mutex
	waits map[string]time.Duration
}

const (
	firstWait = 100 * time.Millisecond
	// longestWait bounds how late a witness that came back is noticed.
	longestWait = 4 * time.Second
)

func newPacer(failed func()) *pacer {
	return &pacer{next: http.DefaultTransport, failed: failed, waits: map[string]time.Duration{}}
}

func (p *pacer) client() *http.Client { return &http.Client{Transport: p} }

// RoundTrip implements http.RoundTripper. A conflict that names a size is the
// protocol's way of saying where the witness is, and no failure.
func (p *pacer) RoundTrip(r *http.Request) (*http.Response, error) {
	where := r.URL.String()
	if err := p.wait(r.Context(), where); err != nil {
		return nil, err
	}
	answer, err := p.next.RoundTrip(r)
	good := err == nil && (answer.StatusCode == http.StatusOK ||
		answer.StatusCode == http.StatusConflict && answer.Header.Get("Content-Type") == "text/x.tlog.size")
	p.note(where, good)
	if err == nil {
		answer.Body = limited{io.LimitReader(answer.Body, maxWitnessAnswer), answer.Body}
	}
	return answer, err
}

// maxWitnessAnswer bounds what is read of an answer: some signatures.
const maxWitnessAnswer = 64 << 10

type limited struct {
	io.Reader
	io.Closer
}

func (p *pacer) wait(ctx context.Context, where string) error {
	p.mu.Lock()
	d := p.waits[where]
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (p *pacer) note(where string, good bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if good {
		delete(p.waits, where)
		return
	}
	p.waits[where] = min(max(firstWait, 2*p.waits[where]), longestWait)
	if p.failed != nil {
		p.failed()
	}
}

package client

import (
	"errors"
	"sync"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/pq3"
)

// refusals counts what was refused, by check id. A refusal is never told to
// the sender, so that no answer, late or early, says why.
type refusals struct {
	mu    sync.Mutex
	count map[string]int
}

func newRefusals() *refusals { return &refusals{count: map[string]int{}} }

// Refusals returns how many deliveries each check has refused since the
// profile was opened. The keys are ids of SPEC §15.
func (c *Client) Refusals() map[string]int {
	c.refusals.mu.Lock()
	defer c.refusals.mu.Unlock()
	counts := make(map[string]int, len(c.refusals.count))
	for check, n := range c.refusals.count {
		counts[check] = n
	}
	return counts
}

// refuse counts an error that is a refusal by a numbered check, and reports
// whether it was one. Any other error is a fault of this machine or the
// network, and so are checks of what this profile has stored, of the server's
// log and of what turns this device away: a delivery must not be dropped on their account.
func (c *Client) refuse(err error) bool {
	var refusal *reject.Error
	if !errors.As(err, &refusal) || errors.Is(err, pq3.ErrState) || errors.Is(err, pq3.ErrPolicy) ||
		errors.Is(err, ErrTransparency) || turnedAway(err) {
		return false
	}
	c.refusals.mu.Lock()
	c.refusals.count[refusal.Check]++
	c.refusals.mu.Unlock()
	c.log.Debug("delivery refused", "check", refusal.Check)
	return true
}

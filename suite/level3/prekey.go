package level3

import (
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
)

// prekeys are the private halves that a device still holds, newest last. They
// are a pq3.Prekeys.
type prekeys []*pq3.Prekey

// Prekey finds the private half that a session start names.
func (ps prekeys) Prekey(hash account.BundleHash) (*pq3.Prekey, bool) {
	i := slices.IndexFunc(ps, func(p *pq3.Prekey) bool { return p.Hash() == hash })
	if i < 0 {
		return nil, false
	}
	return ps[i], true
}

// held leaves out those whose retention has ended.
func (ps prekeys) held(now time.Time) (kept prekeys) {
	for _, p := range ps {
		if now.Before(instant(p.Bundle().NotAfter).Add(pq3.PrekeyRetention)) {
			kept = append(kept, p)
		}
	}
	return kept
}

// accepted is one session start that this device accepted.
type accepted struct {
	key    pq3.ReplayKey
	bundle account.BundleHash
	device account.DeviceID
	at     uint64 // Unix ms
}

// starts are the accepted session starts, a pq3.ReplayCache.
type starts []accepted

// Seen reports whether a start was accepted before.
func (s starts) Seen(key pq3.ReplayKey) bool {
	return slices.ContainsFunc(s, func(a accepted) bool { return a.key == key })
}

// BundleStarts counts the starts under a bundle.
func (s starts) BundleStarts(bundle account.BundleHash) (n int) {
	for _, a := range s {
		if a.bundle == bundle {
			n++
		}
	}
	return n
}

// DeviceStarts counts the starts from a device since a time.
func (s starts) DeviceStarts(device account.DeviceID, since time.Time) (n int) {
	for _, a := range s {
		if a.device == device && a.at >= millis(since) {
			n++
		}
	}
	return n
}

// of leaves out the starts under bundles that are not held any more.
func (s starts) of(held prekeys) (kept starts) {
	for _, a := range s {
		if _, ok := held.Prekey(a.bundle); ok {
			kept = append(kept, a)
		}
	}
	return kept
}

// Publish makes a new bundle, valid for 30 days, and erases the private halves
// whose retention has ended.
func (p *Party) Publish(ent suite.Entropy, now time.Time) (suite.Party, []byte, error) {
	made, err := pq3.NewPrekey(p.identity.Identity, p.level.options.Suite, now, now.Add(pq3.BundleLife), ent)
	if err != nil {
		return nil, nil, p.level.refusal(err)
	}
	next := *p
	next.prekeys = append(p.prekeys.held(now), made)
	next.starts = p.starts.of(next.prekeys)
	record := &Record{Name: p.identity.name, Statement: p.identity.statement, Bundle: made.Bundle().Marshal()}
	return &next, record.Marshal(), nil
}

package level1

import (
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Chain is a chain key and the number of the next message.
type Chain struct {
	Key   secret.Key
	Index uint32
}

// next takes the key of the next message.
func (c *Chain) next() (messageKey secret.Key, advanced *Chain) {
	messageKey, key := ChainStep(c.Key)
	return messageKey, &Chain{Key: key, Index: c.Index + 1}
}

// SkippedKey opens one message that was overtaken (MKSKIPPED).
type SkippedKey struct {
	Peer       [32]byte // the ratchet key in its header
	Index      uint32
	At         uint64 // Unix ms, when it was put aside
	MessageKey secret.Key
}

// take looks for the key of an overtaken message and leaves it out. It changes
// r, which must be a copy.
func (r *Ratchet) take(h *Header) (secret.Key, bool) {
	i := slices.IndexFunc(r.Skipped, func(k SkippedKey) bool { return k.Peer == h.Ratchet && k.Index == h.Index })
	if i < 0 {
		return secret.Key{}, false
	}
	key := r.Skipped[i].MessageKey
	r.Skipped = slices.Delete(slices.Clone(r.Skipped), i, i+1)
	return key, true
}

// skip puts aside the keys of the receiving chain before a number. It changes
// r, which must be a copy.
func (r *Ratchet) skip(now time.Time, until uint32) error {
	if r.Receive == nil {
		return nil
	}
	if until > r.Receive.Index && until-r.Receive.Index > maxSkip {
		return suite.Refuse("level1", suite.ErrLimit, "more than 1,000 messages of one chain are missing")
	}
	kept := slices.Clone(r.Skipped)
	for r.Receive.Index < until {
		key, advanced := r.Receive.next()
		kept = append(kept, SkippedKey{Peer: r.Peer, Index: r.Receive.Index, At: millis(now), MessageKey: key})
		r.Receive = advanced
	}
	r.Skipped = kept[max(0, len(kept)-maxSkipped):]
	return nil
}

// expire drops skipped keys whose life has ended. It changes r, which must be a
// copy.
func (r *Ratchet) expire(now time.Time) {
	old := func(k SkippedKey) bool { return now.Sub(instant(k.At)) > skippedLife }
	if slices.ContainsFunc(r.Skipped, old) {
		r.Skipped = slices.DeleteFunc(slices.Clone(r.Skipped), old)
	}
}

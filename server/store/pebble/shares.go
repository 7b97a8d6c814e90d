package pebble

import "github.com/posthorn/posthorn/server/store"

// maxShares bounds the senders that a head remembers: with all heads in memory
// and as many senders in each, that is 64 MiB.
const maxShares = 32

// shares is what a head knows of its senders' records, so that an append need
// not look for them in the engine. An empty mailbox has none, and from there on
// the committer keeps count. A mailbox that was not empty when its head came
// into memory, or that has too many senders, is looked up as long as it holds
// anything.
type shares struct {
	known bool // of is all there is
	of    []senderHas
}

type senderHas struct {
	sender store.Sender
	share
}

// at returns the place of a sender, or -1.
func (s *shares) at(sender store.Sender) int {
	for i := range s.of {
		if s.of[i].sender == sender {
			return i
		}
	}
	return -1
}

// put notes what a sender has. It reports false when that is too much to keep
// in mind.
func (s *shares) put(sender store.Sender, v share) bool {
	i := s.at(sender)
	switch {
	case v.envelopes == 0 && i >= 0:
		last := len(s.of) - 1
		s.of[i], s.of = s.of[last], s.of[:last]
	case v.envelopes == 0:
	case i >= 0:
		s.of[i].share = v
	case len(s.of) < maxShares:
		s.of = append(s.of, senderHas{sender, v})
	default:
		return false
	}
	return true
}

// share returns what one sender has in a mailbox.
func (t *txn) share(box store.Box, h *head, sender store.Sender) (share, error) {
	if h.shares.known {
		if i := h.shares.at(sender); i >= 0 {
			return h.shares.of[i].share, nil
		}
		return share{}, nil
	}
	b, err := t.get(shareKey(box, sender))
	if err != nil || b == nil {
		return share{}, err
	}
	return parseShare(b)
}

// setShare writes what one sender has in a mailbox; nothing is no record.
func (t *txn) setShare(box store.Box, h *head, sender store.Sender, v share) {
	if h.shares.known && !h.shares.put(sender, v) {
		t.forgetShares(box, h)
	}
	key := shareKey(box, sender)
	switch {
	case v.envelopes == 0:
		t.remove(key)
	case h.shares.known:
		_ = t.batch.Set(key, v.marshal(), nil) // who asks later is answered by the head
	default:
		t.set(key, v.marshal())
	}
}

// forgetShares gives up keeping the senders of a mailbox in mind. What of them
// is in this batch, the engine does not know yet.
func (t *txn) forgetShares(box store.Box, h *head) {
	for i := range h.shares.of {
		s := &h.shares.of[i]
		t.over[string(shareKey(box, s.sender))] = s.marshal()
	}
	h.shares = shares{}
}

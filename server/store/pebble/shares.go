package pebble

import "github.com/posthorn/posthorn/server/store"

// maxShares bounds the senders that a head remembers: with all heads in memory
// and as many senders in each, that is 64 MiB.
const maxShares = 32

// shares is what a head knows of its senders, so that an append neither looks
// for their records in the engine nor writes them. An empty mailbox has none, and
// from there on the committer keeps count. Of a mailbox that was not empty when
// its head came into memory, or that has too many senders, it knows those of the
// tail and those that changed since the record was written.
type shares struct {
	known bool // of is all there is
	of    []senderHas
}

// senderHas is a share with what the engine has of it. The fields are in this
// order to take 32 bytes.
type senderHas struct {
	sender    store.Sender
	bytes     uint64
	envelopes uint32
	unsaved   bool // the record says something else
	stored    bool // there may be a record
}

func (s *senderHas) share() share { return share{s.envelopes, s.bytes} }

// set notes a share that the engine does not have.
func (s *senderHas) set(v share) { s.envelopes, s.bytes, s.unsaved = v.envelopes, v.bytes, true }

// at returns the place of a sender, or -1.
func (s *shares) at(sender store.Sender) int {
	for i := range s.of {
		if s.of[i].sender == sender {
			return i
		}
	}
	return -1
}

// drop forgets the sender at a place.
func (s *shares) drop(i int) {
	last := len(s.of) - 1
	s.of[i], s.of = s.of[last], s.of[:last]
}

// share returns what one sender has in a mailbox.
func (t *txn) share(box store.Box, h *head, sender store.Sender) (share, error) {
	if i := h.shares.at(sender); i >= 0 {
		return h.shares.of[i].share(), nil
	}
	if h.shares.known {
		return share{}, nil
	}
	return parseShareOrNone(t.get(shareKey(box, sender)))
}

// setShare notes what one sender has in a mailbox. Nothing is no record; who
// takes a share away writes the head as well.
func (t *txn) setShare(box store.Box, h *head, sender store.Sender, v share) {
	i := h.shares.at(sender)
	if i < 0 {
		i = t.newShare(box, h, sender)
	}
	if v.envelopes > 0 {
		h.shares.of[i].set(v)
		return
	}
	if h.shares.of[i].stored {
		t.remove(shareKey(box, sender))
	}
	h.shares.drop(i)
}

// newShare makes place for one more sender. When there are too many, all are
// written and forgotten.
func (t *txn) newShare(box store.Box, h *head, sender store.Sender) int {
	if len(h.shares.of) == maxShares {
		t.saveShares(box, h)
		h.shares = shares{}
		t.change(box, h)
	}
	h.shares.of = append(h.shares.of, senderHas{sender: sender, stored: !h.shares.known})
	return len(h.shares.of) - 1
}

// saveShares writes the shares that the engine does not have. The head belongs
// into the same batch.
func (t *txn) saveShares(box store.Box, h *head) {
	for i := range h.shares.of {
		if s := &h.shares.of[i]; s.unsaved {
			t.set(shareKey(box, s.sender), s.share().marshal())
			s.unsaved, s.stored = false, true
		}
	}
}

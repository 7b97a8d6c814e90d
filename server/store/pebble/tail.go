package pebble

import "github.com/posthorn/posthorn/server/store"

// An append writes the envelopes and nothing else. What head and shares would say
// of them follows from the envelopes, so the records of a mailbox are a
// checkpoint: they tell of the envelopes up to the head's last number, and
// those above it, its tail, are added when the head comes into memory.
//
// Whatever takes envelopes away, or changes anything else of a mailbox, writes
// head and shares in the same batch. So the envelopes of a tail are all there, no
// number is given out twice, and what is on disk is a whole mailbox after every
// batch: nothing has to be written when a head leaves the memory or the store is
// closed.

// A tail that is this long is ended by the batch that made it so, which bounds
// what is read when a head comes into memory.
const (
	tailEnvelopes = 64
	tailBytes     = 256 << 10
)

// long says that a tail is to be ended.
func (s share) long() bool { return s.envelopes >= tailEnvelopes || s.bytes >= tailBytes }

// save writes head and shares: the tail ends here.
func (t *txn) save(box store.Box, h *head) {
	t.saveShares(box, h)
	_ = t.batch.Set(headKey(box), h.marshal(), nil)
	h.tail, h.due = share{}, false
}

// load reads a head with its tail. No batch that changes the mailbox is on its
// way, for then its head would be in memory. ErrNoBox.
func (s *Store) load(box store.Box) (*head, error) {
	b, err := s.get(headKey(box))
	if err != nil {
		return nil, err
	}
	if b == nil {
		return nil, store.ErrNoBox
	}
	h, err := parseHead(b)
	if err != nil || h.gone {
		return h, err
	}
	return h, s.loadTail(box, h)
}

// loadTail adds the envelopes above its last number to a head.
func (s *Store) loadTail(box store.Box, h *head) error {
	_, end := boxRange(keyMessage, box)
	last, err := s.scanRange(messageKey(box, h.last+1), end, h.last+1, func(m store.Msg) bool {
		h.tail.add(len(m.Data))
		h.shares.count(m)
		return true
	})
	if err != nil {
		return err
	}
	h.last, h.durable = last-1, last-1
	h.bytes += h.tail.bytes
	if h.shares.known {
		return nil
	}
	return s.addStored(box, h)
}

// count adds an envelope to what its sender has.
func (s *shares) count(m store.Msg) {
	i := s.at(m.Sender)
	if i < 0 {
		i = len(s.of)
		s.of = append(s.of, senderHas{sender: m.Sender})
	}
	v := s.of[i].share()
	v.add(len(m.Data))
	s.of[i].set(v)
}

// addStored adds what the records say to the shares of the tail's senders.
func (s *Store) addStored(box store.Box, h *head) error {
	for i := range h.shares.of {
		of := &h.shares.of[i]
		had, err := parseShareOrNone(s.get(shareKey(box, of.sender)))
		if err != nil {
			return err
		}
		of.set(share{had.envelopes + of.envelopes, had.bytes + of.bytes})
		of.stored = true
	}
	return nil
}

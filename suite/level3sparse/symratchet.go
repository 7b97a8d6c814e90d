package level3sparse

import (
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Chain is a chain key and the number of the next message, of one direction in
// one epoch.
type Chain struct {
	Epoch uint32
	Key   secret.Key
	Index uint32
}

// next takes the key of the next message.
func (c Chain) next() (messageKey secret.Key, advanced Chain) {
	messageKey, c.Key = ChainStep(c.Key)
	c.Index++
	return messageKey, c
}

// SkippedKey is the key of one message that was overtaken.
type SkippedKey struct {
	Epoch, Index uint32
	MessageKey   secret.Key
}

// receiveKey gives the key of a received message and moves the receiving chain
// there. It changes s, which must be a copy.
func (s *State) receiveKey(h *Header) (key secret.Key, err error) {
	if h.Epoch < s.Receive.Epoch || h.Epoch == s.Receive.Epoch && h.Index < s.Receive.Index {
		return s.takeSkipped(h)
	}
	if h.Epoch > s.Receive.Epoch {
		if s.NextReceive == nil || h.Epoch != s.Receive.Epoch+1 {
			return key, refuse(suite.ErrUndecryptable, "an epoch that this session cannot reach")
		}
		if err := s.skip(h.Previous); err != nil {
			return key, err
		}
		s.Receive, s.NextReceive = Chain{Epoch: h.Epoch, Key: *s.NextReceive}, nil
	}
	if err := s.skip(h.Index); err != nil {
		return key, err
	}
	key, s.Receive = s.Receive.next()
	return key, nil
}

func (s *State) takeSkipped(h *Header) (secret.Key, error) {
	i := slices.IndexFunc(s.Skipped, func(k SkippedKey) bool { return k.Epoch == h.Epoch && k.Index == h.Index })
	if i < 0 {
		return secret.Key{}, refuse(suite.ErrReplay, "the key of this message was used or has expired")
	}
	key := s.Skipped[i].MessageKey
	s.Skipped = slices.Delete(slices.Clone(s.Skipped), i, i+1)
	return key, nil
}

// skip puts aside the keys of the receiving chain before a number.
func (s *State) skip(until uint32) error {
	if until <= s.Receive.Index {
		return nil
	}
	if until-s.Receive.Index > maxSkip {
		return refuse(suite.ErrLimit, "more than 1,000 messages of one chain are missing")
	}
	kept := slices.Clone(s.Skipped)
	for s.Receive.Index < until {
		k := SkippedKey{Epoch: s.Receive.Epoch, Index: s.Receive.Index}
		k.MessageKey, s.Receive = s.Receive.next()
		kept = append(kept, k)
	}
	s.Skipped = kept[max(0, len(kept)-maxSkipped):]
	return nil
}

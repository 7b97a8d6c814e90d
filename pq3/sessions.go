package pq3

import (
	"bytes"
	"cmp"
	"slices"
)

// Sessions are the live sessions with one peer device, the one to send on
// first. Both ends order them by the same signed values, so two devices that
// start at the same moment settle on one session without another message.
// The list is immutable. SPEC §10.4.
type Sessions []*Session

// Sending is the session to send on, or nil.
func (ss Sessions) Sending() *Session {
	if len(ss) == 0 {
		return nil
	}
	return ss[0]
}

// Find returns the session with an id, or nil.
func (ss Sessions) Find(id SessionID) *Session {
	for _, s := range ss {
		if s.id == id {
			return s
		}
	}
	return nil
}

// With puts in a new session, or the next state of one that is there already.
// At most three are kept; the one that falls out, the oldest by start time, is
// returned and must be erased.
func (ss Sessions) With(s *Session) (kept Sessions, dropped *Session) {
	kept = slices.Clone(ss)
	if i := slices.IndexFunc(kept, func(o *Session) bool { return o.id == s.id }); i >= 0 {
		kept[i] = s
		return kept, nil
	}
	kept = append(kept, s)
	slices.SortFunc(kept, newestFirst)
	if len(kept) <= maxSessions {
		return kept, nil
	}
	return kept[:maxSessions], kept[maxSessions]
}

// LastStart is the greatest start time (Unix ms), for InitiateOptions.After.
func (ss Sessions) LastStart() uint64 {
	if len(ss) == 0 {
		return 0
	}
	return ss[0].startTime
}

func newestFirst(a, b *Session) int {
	if byTime := cmp.Compare(b.startTime, a.startTime); byTime != 0 {
		return byTime
	}
	return bytes.Compare(b.id[:], a.id[:])
}

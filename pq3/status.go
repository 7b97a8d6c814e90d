package pq3

import (
	"time"

	"github.com/posthorn/posthorn/account"
)

// Status is what a person may be told about a session. It holds no secrets.
type Status struct {
	Suite   account.Suite
	Level   string // "3A" with post-quantum authentication, else "3"
	Session SessionID
	Epoch   uint32
	// KEMRekeys counts completed KEM rekeys, the session start not included.
	KEMRekeys int
	// MessagesSinceRekey counts both directions since a KEM secret last entered
	// the root key.
	MessagesSinceRekey int
	// LastRekey is zero before the first rekey after the start.
	LastRekey time.Time
	// KeyGenerated is the honest start of the healing clock: no leak after it
	// was healed by the current KEM secret. For a key of the peer's it is the
	// earliest time at which it can have been made.
	KeyGenerated time.Time
	// RekeyDue is when the next rekey is due by time alone.
	RekeyDue time.Time
	// WaitingForPeer: only a message from the peer can move the rekey forward.
	WaitingForPeer bool
}

// Status describes the session at a time.
func (s *Session) Status(now time.Time) Status {
	status := Status{
		Suite: s.link.suite, Level: level(s.link.suite), Session: s.id, Epoch: s.epoch,
		KEMRekeys: int(s.rekeys), MessagesSinceRekey: int(s.since),
		KeyGenerated:   instant(s.keyMade),
		RekeyDue:       instant(s.lastKEM).Add(s.policy.Every),
		WaitingForPeer: s.send != nil && (s.myKEM != nil || s.RekeyDue(now)),
	}
	if s.lastRekey != 0 {
		status.LastRekey = instant(s.lastRekey)
	}
	return status
}

// RekeyDue reports whether a rekey is due by count or by time.
func (s *Session) RekeyDue(now time.Time) bool {
	return s.policy.wantsRekey(s.since, elapsed(now, s.lastKEM))
}

// HeartbeatDue reports whether the time limit has passed without a rekey, so
// that a Rekey frame should be sent (SPEC §8.4).
func (s *Session) HeartbeatDue(now time.Time) bool {
	return elapsed(now, s.lastKEM) >= s.policy.Every
}

// AwaitsAnswer reports whether this device advertised a KEM key that the peer
// has not answered yet.
func (s *Session) AwaitsAnswer() bool { return s.myKEM != nil }

// level is the suite in the words of the level table: 3, or 3A with
// post-quantum authentication.
func level(suite account.Suite) string {
	if suite == account.PQ3A {
		return "3A"
	}
	return "3"
}

package pq3

import (
	"time"

	"github.com/posthorn/posthorn/internal/reject"
)

// Policy is the healing contract of one conversation (SPEC §8.4): how soon a
// leaked session state stops being of use to an eavesdropper with a quantum
// computer. An application may make it stricter, never looser.
type Policy struct {
	// EveryMessages is the number of messages, sent and received together,
	// after which the next change of direction advertises a KEM key. At most 50.
	EveryMessages int
	// Every is the time after which it does so whatever the count. At most 24
	// hours.
	Every time.Duration
	// Hard is the age of the KEM secret at which sending stops until a new
	// session exists. At most 7 days.
	Hard time.Duration
}

// DefaultPolicy is 50 messages, 24 hours, 7 days.
func DefaultPolicy() Policy {
	return Policy{EveryMessages: 50, Every: 24 * time.Hour, Hard: 7 * 24 * time.Hour}
}

// resolve fills zero fields with the default and refuses looser ones.
func (p Policy) resolve() (Policy, error) {
	def := DefaultPolicy()
	if p.EveryMessages == 0 {
		p.EveryMessages = def.EveryMessages
	}
	if p.Every == 0 {
		p.Every = def.Every
	}
	if p.Hard == 0 {
		p.Hard = def.Hard
	}
	if p.EveryMessages < 1 || p.EveryMessages > def.EveryMessages ||
		p.Every < 0 || p.Every > def.Every || p.Hard < 0 || p.Hard > def.Hard {
		return Policy{}, reject.New("V-60", ErrPolicy, "an interval is looser than 50 messages, 24 hours, 7 days")
	}
	return p, nil
}

// wantsRekey is the advertising rule: since messages and age have passed
// since the last KEM secret entered the root key.
func (p Policy) wantsRekey(since uint32, age time.Duration) bool {
	return since >= uint32(p.EveryMessages) || age >= p.Every
}

// elapsed is the time from a stored instant (Unix milliseconds) to now; a
// clock that went backwards counts as no time at all.
func elapsed(now time.Time, since uint64) time.Duration {
	at := millis(now)
	if at <= since {
		return 0
	}
	return time.Duration(at-since) * time.Millisecond
}

// millis is a time as the wire has it: Unix milliseconds, 0 before 1970.
func millis(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }

// instant is the reverse of millis, in UTC.
func instant(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

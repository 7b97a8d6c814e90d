package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"

	"github.com/posthorn/posthorn/api"
)

// challenges hands out login challenges without remembering them: a challenge
// is its end time, randomness and a MAC over both, so a flood of requests
// costs no memory, and any node can take back what another gave out. Answered
// ones are remembered until they end: by the node that saw the answer, whatever
// became of it, and by the store when it was a login (see logins.go). So a
// challenge is good for one login at one node.
type challenges struct {
	keys *keyring

	mu    sync.Mutex
	spent map[[api.ChallengeSize]byte]time.Time
}

const (
	challengeBody = api.ChallengeSize - macSize // the authenticated part
	challengeUse  = "posthorn/challenge/v1"
)

func newChallenges(keys *keyring) *challenges {
	return &challenges{keys: keys, spent: map[[api.ChallengeSize]byte]time.Time{}}
}

// issue makes a challenge and says when it ends. The error is the store's.
func (c *challenges) issue(ctx context.Context, now time.Time) (challenge [api.ChallengeSize]byte, ends time.Time, err error) {
	keys, err := c.keys.at(ctx, now)
	if err != nil {
		return challenge, ends, err
	}
	ends = now.Add(api.ChallengeLife)
	binary.BigEndian.PutUint64(challenge[:8], uint64(ends.UnixMilli()))
	_, _ = rand.Read(challenge[8:challengeBody])
	copy(challenge[challengeBody:], keys.mac(challengeUse, challenge[:challengeBody]))
	return challenge, ends, nil
}

// spend accepts a challenge of this server once, before its end. The error is
// the store's.
func (c *challenges) spend(ctx context.Context, answered []byte, now time.Time) (bool, error) {
	keys, err := c.keys.at(ctx, now)
	if err != nil {
		return false, err
	}
	if len(answered) != api.ChallengeSize || !keys.verify(challengeUse, answered[:challengeBody], answered[challengeBody:]) {
		return false, nil
	}
	ends := challengeEnds(answered)
	if !now.Before(ends) {
		return false, nil
	}
	challenge := [api.ChallengeSize]byte(answered)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, used := c.spent[challenge]; used {
		return false, nil
	}
	c.forgetEnded(now)
	c.spent[challenge] = ends
	return true, nil
}

// challengeEnds is when a challenge of ours ends.
func challengeEnds(challenge []byte) time.Time {
	return time.UnixMilli(int64(binary.BigEndian.Uint64(challenge)))
}

func (c *challenges) forgetEnded(now time.Time) {
	if len(c.spent)%1024 != 1023 {
		return
	}
	for challenge, ends := range c.spent {
		if !now.Before(ends) {
			delete(c.spent, challenge)
		}
	}
}

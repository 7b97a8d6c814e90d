package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/secret"
)

// challenges hands out login challenges without remembering them: a challenge
// is its end time, randomness and a MAC over both, so a flood of requests
// costs no memory. Only answered ones are remembered, until they end, which
// makes each good for one login.
type challenges struct {
	key [32]byte

	mu    sync.Mutex
	spent map[[api.ChallengeSize]byte]time.Time
}

const challengeMAC = 16 // the length of the authenticated part, and of its MAC

func newChallenges() *challenges {
	c := &challenges{spent: map[[api.ChallengeSize]byte]time.Time{}}
	_, _ = rand.Read(c.key[:])
	secret.Created("challenge key", c.key[:])
	return c
}

// issue makes a challenge and says when it ends.
func (c *challenges) issue(now time.Time) (challenge [api.ChallengeSize]byte, ends time.Time) {
	ends = now.Add(api.ChallengeLife)
	binary.BigEndian.PutUint64(challenge[:8], uint64(ends.UnixMilli()))
	_, _ = rand.Read(challenge[8:challengeMAC])
	copy(challenge[challengeMAC:], c.mac(challenge[:challengeMAC]))
	return challenge, ends
}

// spend accepts a challenge of ours once, before its end.
func (c *challenges) spend(answered []byte, now time.Time) bool {
	if len(answered) != api.ChallengeSize || !hmac.Equal(c.mac(answered[:challengeMAC]), answered[challengeMAC:]) {
		return false
	}
	ends := time.UnixMilli(int64(binary.BigEndian.Uint64(answered)))
	if !now.Before(ends) {
		return false
	}
	challenge := [api.ChallengeSize]byte(answered)
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, used := c.spent[challenge]; used {
		return false
	}
	c.forgetEnded(now)
	c.spent[challenge] = ends
	return true
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

func (c *challenges) mac(b []byte) []byte {
	h := hmac.New(sha256.New, c.key[:])
	h.Write(b)
	return h.Sum(nil)[:challengeMAC]
}

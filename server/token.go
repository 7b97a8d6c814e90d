package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/server/store"
)

// caller is the device behind a token.
type caller struct {
	account account.ID
	device  account.DeviceID
	box     store.Box
}

// key tells devices apart. A device id alone does not: whoever makes an account
// chooses the ids in it, and may choose that of somebody else's device.
func (c caller) key() string { return string(c.account[:]) + string(c.device[:]) }

// maxTokens is how many tokens of one device work at a time; a new login
// beyond it ends the oldest.
const maxTokens = 8

// tokens remembers who holds which token, by the token's hash: a copy of the
// server's memory yields no usable token. They end with the process; clients
// log in again.
type tokens struct {
	mu       sync.Mutex
	byHash   map[[32]byte]grant
	byDevice map[string][][32]byte // by caller.key
}

type grant struct {
	caller caller
	ends   time.Time
}

func newTokens() *tokens {
	return &tokens{byHash: map[[32]byte]grant{}, byDevice: map[string][][32]byte{}}
}

// issue makes a token for a device.
func (t *tokens) issue(who caller, now time.Time) (text string, ends time.Time) {
	var drawn [32]byte
	_, _ = rand.Read(drawn[:])
	secret.Created("token", drawn[:])
	text = base64.RawURLEncoding.EncodeToString(drawn[:])
	hash := sha256.Sum256([]byte(text))
	ends = now.Add(api.TokenLife)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.byHash[hash] = grant{who, ends}
	held := append(t.byDevice[who.key()], hash)
	held = slices.DeleteFunc(held, func(h [32]byte) bool { return t.ended(h, now) })
	for len(held) > maxTokens {
		delete(t.byHash, held[0])
		held = held[1:]
	}
	t.byDevice[who.key()] = held
	return text, ends
}

// ended removes a token that has run out.
func (t *tokens) ended(hash [32]byte, now time.Time) bool {
	g, ok := t.byHash[hash]
	if ok && now.Before(g.ends) {
		return false
	}
	delete(t.byHash, hash)
	return true
}

// holder finds the device behind an Authorization header.
func (t *tokens) holder(header string, now time.Time) (caller, bool) {
	text, ok := strings.CutPrefix(header, "Bearer ")
	if !ok {
		return caller{}, false
	}
	hash := sha256.Sum256([]byte(text))
	t.mu.Lock()
	defer t.mu.Unlock()
	g, ok := t.byHash[hash]
	return g.caller, ok && now.Before(g.ends)
}

// sweep forgets everything that has run out.
func (t *tokens) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for device, held := range t.byDevice {
		held = slices.DeleteFunc(held, func(h [32]byte) bool { return t.ended(h, now) })
		if len(held) == 0 {
			delete(t.byDevice, device)
			continue
		}
		t.byDevice[device] = held
	}
}

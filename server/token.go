package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/reject"
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

// A token is the base64url text of
//
//	box[16] ‖ random[32] ‖ MAC[16]
//
// The box says where the store has the token's hash, so every node finds it,
// and a copy of the store or of a server's memory yields no usable token. The
// MAC turns inventions away before the store is asked.
const (
	tokenBody = 16 + 32
	tokenSize = tokenBody + macSize
	tokenUse  = "posthorn/token/v1"
	// tokenTrust is how long a node goes by what the store said about a token,
	// and so how long one that was revoked at another node may still work.
	tokenTrust = 10 * time.Second
	// roomyTokens is how many verified tokens are remembered before those that
	// must be asked about again are forgotten.
	roomyTokens = 4096
)

// tokens gives out tokens and tells whose they are.
type tokens struct {
	store store.Store
	keys  *keyring

	mu      sync.Mutex
	known   map[[32]byte]grant // verified lately, by hash
	pruneAt int                // how many of them to have before some are forgotten
	renewed uint64             // how often askAgain was called
}

type grant struct {
	caller  caller
	ends    time.Time
	trusted time.Time // until then without asking the store
}

func newTokens(s store.Store, keys *keyring) *tokens {
	return &tokens{store: s, keys: keys, known: map[[32]byte]grant{}, pruneAt: roomyTokens}
}

// issue spends the challenge that a device has answered and makes a token for
// the device. copied says that a copy has tried to log in meanwhile. errSpent,
// errTooManyLogins, errCopied, or the store's error.
func (t *tokens) issue(ctx context.Context, who caller, challenge []byte, seated claim, now time.Time) (text string, ends time.Time, copied bool, err error) {
	keys, err := t.keys.at(ctx, now)
	if err != nil {
		return "", ends, false, err
	}
	text = drawToken(keys, who.box)
	hash := sha256.Sum256([]byte(text))
	ends = time.UnixMilli(now.Add(api.TokenLife).UnixMilli())
	var late *overtaken
	err = changeLogins(ctx, t.store, t.store.Note, who, func(r *loginRecord) error {
		copied, late = r.seat.copied, nil
		if err := r.admit(challenge, timedHash{uint64(ends.UnixMilli()), hash}, now); err != nil {
			return err
		}
		if r.seat.take(seated) != nil {
			late = &overtaken{r.seat}
			r.tokens, r.seat.copied = nil, true // whoever is ahead logs in again, and is told
			return nil
		}
		r.seat.copied = false
		if seated.next != [api.SeatSize]byte{} { // one profile, one process: whoever has an earlier token is a copy, or done with it
			r.tokens = r.tokens[len(r.tokens)-1:]
		}
		return nil
	})
	if err != nil {
		return "", time.Time{}, false, err
	}
	t.askAgain(who.box)
	if late != nil {
		return "", time.Time{}, false, late
	}
	t.remember(hash, grant{who, ends, now.Add(tokenTrust)}, t.asked(), now)
	return text, ends, copied, nil
}

func drawToken(keys sharedKeys, box store.Box) string {
	var b [tokenSize]byte
	copy(b[:], box[:])
	_, _ = rand.Read(b[len(box):tokenBody])
	secret.Created("token", b[len(box):tokenBody])
	copy(b[tokenBody:], keys.mac(tokenUse, b[:tokenBody]))
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// holder finds the device behind an Authorization header. The error is the
// store's; then it is not known whether the token is good.
func (t *tokens) holder(ctx context.Context, header string, now time.Time) (who caller, ok bool, err error) {
	text, ok := strings.CutPrefix(header, "Bearer ")
	if !ok || len(text) != base64.RawURLEncoding.EncodedLen(tokenSize) {
		return caller{}, false, nil
	}
	hash := sha256.Sum256([]byte(text))
	t.mu.Lock()
	g, known := t.known[hash]
	t.mu.Unlock()
	if !known || !now.Before(g.trusted) {
		if g, known, err = t.lookUp(ctx, text, hash, now); err != nil || !known {
			return caller{}, false, err
		}
	}
	return g.caller, now.Before(g.ends), nil
}

// lookUp asks the store about a token that one of the nodes made.
func (t *tokens) lookUp(ctx context.Context, text string, hash [32]byte, now time.Time) (g grant, found bool, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return g, false, nil
	}
	keys, err := t.keys.at(ctx, now)
	if err != nil {
		return g, false, err
	}
	if !keys.verify(tokenUse, b[:tokenBody], b[tokenBody:]) {
		return g, false, nil
	}
	asked := t.asked()
	r, _, err := readLogins(ctx, t.store, store.Box(b))
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return g, false, err
	}
	i := slices.IndexFunc(r.tokens, func(held timedHash) bool { return held.hash == hash })
	if i < 0 {
		t.forget(hash)
		return g, false, nil
	}
	g = grant{r.who, time.UnixMilli(int64(r.tokens[i].ends)), now.Add(tokenTrust)}
	t.remember(hash, g, asked, now)
	return g, true, nil
}

func (t *tokens) forget(hash [32]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.known, hash)
}

// askAgain forgets what the store said of a device, whose record has changed.
// What others are just being told may be older than the change, and is not
// remembered.
func (t *tokens) askAgain(box store.Box) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.renewed++
	for hash, g := range t.known {
		if g.caller.box == box {
			delete(t.known, hash)
		}
	}
}

// asked is taken before the store is asked, for remember.
func (t *tokens) asked() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.renewed
}

// remember keeps a verified token for as long as it is trusted, at least,
// unless askAgain was called since the store was asked.
func (t *tokens) remember(hash [32]byte, g grant, asked uint64, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.renewed != asked {
		return
	}
	if len(t.known) >= t.pruneAt {
		for h, old := range t.known {
			if !now.Before(old.trusted) {
				delete(t.known, h)
			}
		}
		t.pruneAt = max(roomyTokens, 2*len(t.known))
	}
	t.known[hash] = g
}

// shut is errRemoved or errClosed where the record says that a device is shut
// out, else nil or the store's error.
func (t *tokens) shut(ctx context.Context, box store.Box) error {
	r, _, err := readLogins(ctx, t.store, box)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case r.removed:
		return errRemoved
	case r.closed:
		return errClosed
	}
	return nil
}

// notIssued turns an error of issue into the refusal of a call.
func notIssued(err error) error {
	switch {
	case errors.Is(err, errSpent):
		return badProof()
	case errors.Is(err, errCopied):
		return deviceCloned(err)
	case errors.Is(err, errClosed):
		return accountDisabled()
	case errors.Is(err, errRemoved):
		return deviceRemoved()
	case errors.Is(err, errTooManyLogins):
		return refusal{
			code: connect.CodeResourceExhausted, reason: api.ReasonRateLimited, text: "this device logs in too often; it was not logged in",
			hint: "use the tokens it has, wait and try again", retry: time.Minute,
		}.err(reject.New("V-89", ErrLimited, ""))
	default:
		return storageFailed(err)
	}
}

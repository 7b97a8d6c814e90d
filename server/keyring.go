package server

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/server/store"
)

const (
	// keysKey is where the store has the keys that all nodes share.
	keysKey = "cluster/keys"
	// keyLife is how long a key is the one in use.
	keyLife = 24 * time.Hour
	// keysFresh is how long a node goes by the keys that it has read.
	keysFresh = time.Minute
	// keysRetry is how long it goes by them when they could not be read again:
	// while the store hangs, not every call may wait for it.
	keysRetry = 5 * time.Second
	// macSize is the length of an authenticator, in bytes.
	macSize = 16
)

// sharedKeys authenticate what one node gives out and another takes back:
// challenges, the outside of tokens, pushes. With them alone nobody can log in:
// that takes a device's own keys, and a token is looked up in the store. There
// are three, so that a node which has not yet heard of a change still agrees
// with the others.
type sharedKeys struct {
	made                    uint64 // when current became current, ms
	previous, current, next secret.Key
}

// Format shows no key bytes under any verb.
func (k sharedKeys) Format(f fmt.State, _ rune) { secret.Redact(f) }

// freshKeys are the keys of a server that has none yet.
func freshKeys(now time.Time) sharedKeys {
	return sharedKeys{made: uint64(now.UnixMilli()), previous: newKey(), current: newKey(), next: newKey()}
}

// rotate takes the next key into use.
func (k sharedKeys) rotate(now time.Time) sharedKeys {
	return sharedKeys{made: uint64(now.UnixMilli()), previous: k.current, current: k.next, next: newKey()}
}

func (k sharedKeys) due(now time.Time) bool {
	return now.Sub(time.UnixMilli(int64(k.made))) >= keyLife
}

func (k sharedKeys) marshal() []byte {
	b := binary.BigEndian.AppendUint64(nil, k.made)
	for _, key := range k.all() {
		b = append(b, key[:]...)
	}
	return b
}

func parseSharedKeys(b []byte) (k sharedKeys, err error) {
	reader := codec.NewReader(b)
	k.made = reader.U64()
	for _, key := range []*secret.Key{&k.current, &k.previous, &k.next} {
		reader.Copy(key[:])
	}
	if !reader.Done() {
		return sharedKeys{}, errRecord
	}
	return k, nil
}

// all lists the keys that are accepted, the one in use first.
func (k sharedKeys) all() [3]secret.Key { return [3]secret.Key{k.current, k.previous, k.next} }

func newKey() (key secret.Key) {
	_, _ = rand.Read(key[:])
	secret.Created("shared key", key[:])
	return key
}

// mac authenticates b for a purpose with the key in use.
func (k sharedKeys) mac(purpose string, b []byte) []byte { return macWith(k.current, purpose, b) }

// verify tells whether a node made the MAC, with any key that is accepted.
func (k sharedKeys) verify(purpose string, b, mac []byte) bool {
	ok := false
	for _, key := range k.all() {
		ok = hmac.Equal(macWith(key, purpose, b), mac) || ok
	}
	return ok
}

func macWith(key secret.Key, purpose string, b []byte) []byte {
	return tag(key, append(codec.AppendV16(nil, []byte(purpose)), b...))
}

// tag is HMAC-SHA-256, cut to macSize.
func tag(key secret.Key, b []byte) []byte {
	h := hmac.New(sha256.New, key[:])
	h.Write(b)
	return h.Sum(nil)[:macSize]
}

// keyring reads the shared keys from the store, makes them when there are none,
// and changes them once a day. A node that cannot reach the store goes on with
// the keys it has.
type keyring struct {
	store store.Store

	reading sync.Mutex // held by whoever asks the store
	mu      sync.Mutex // guards the rest
	keys    sharedKeys
	read    time.Time // zero: never
	failed  time.Time // when they could not be read the last time
}

// at returns the keys to use now. The error is the store's, and comes only when
// this node has no keys at all.
func (r *keyring) at(ctx context.Context, now time.Time) (sharedKeys, error) {
	keys, fresh, some := r.held(now)
	if fresh {
		return keys, nil
	}
	if some && !r.reading.TryLock() {
		return keys, nil // another call is at it
	}
	if !some {
		r.reading.Lock()
	}
	defer r.reading.Unlock()
	if keys, fresh, _ := r.held(now); fresh {
		return keys, nil
	}
	read, err := r.load(ctx, now)
	if err != nil {
		if some {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.failed = now
			return keys, nil
		}
		return sharedKeys{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.read = read, now
	return read, nil
}

func (r *keyring) held(now time.Time) (keys sharedKeys, fresh, some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	some = !r.read.IsZero()
	fresh = now.Sub(r.read).Abs() < keysFresh || now.Sub(r.failed).Abs() < keysRetry
	return r.keys, some && fresh, some
}

// load reads the keys, and makes or changes them when that is due. Of nodes
// that do so at once, one wins and the others read again.
func (r *keyring) load(ctx context.Context, now time.Time) (sharedKeys, error) {
	for {
		value, version, err := r.store.Get(ctx, keysKey)
		keys := freshKeys(now)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return sharedKeys{}, err
		default:
			present, err := parseSharedKeys(value)
			if err != nil || !present.due(now) {
				return present, err
			}
			keys = present.rotate(now)
		}
		// A change that a failover loses is made again; meanwhile both sides have the
		// key that it took into use, as the one in use or as the next.
		if _, err = r.store.Note(ctx, keysKey, version, keys.marshal()); err == nil {
			return keys, nil
		}
		if !errors.Is(err, store.ErrVersion) {
			return sharedKeys{}, err
		}
	}
}

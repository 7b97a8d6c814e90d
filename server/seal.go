package server

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
)

// What travels on the bus is sealed, so that whoever runs the bus can drop it
// and nothing else:
//
//	v16(sender) ‖ key tag[16] ‖ u64 counter ‖ AES-256-GCM(notice)
//
// Each run of a node has a key of its own, derived from the shared key in use
// and the node's id, and counts its messages: no nonce comes twice. The key tag
// says which of the shared keys it was. The receiver's id is authenticated, or
// nothing for a broadcast, of which each counts once. What is for one node may
// come twice: sequence numbers settle that.
const (
	sealKeyUse = "posthorn/bus/v1"
	sealTagUse = "posthorn/bus-key/v1"
	// maxNodeID bounds the sender's id.
	maxNodeID = 64
	// maxPeerKeys bounds the keys that a node keeps of others.
	maxPeerKeys = 256
	// openTime bounds how long a changed key may hold up what arrives.
	openTime = 2 * time.Second
)

// errNotice: a message on the bus that no node of this server has sent, or that
// is not for this node.
var errNotice = errors.New("server: a message on the bus is refused")

// sealer seals and opens what nodes say to each other.
type sealer struct {
	keys    *keyring
	id      string
	counter atomic.Uint64

	mu    sync.Mutex
	peers map[peerKey]cipher.AEAD
	made  uint64             // of the shared keys that peers are of
	heard map[string]*window // broadcasts of each sender
}

// peerKey is a sender and the tag of the shared key that it used.
type peerKey struct {
	sender string
	tag    [macSize]byte
}

func newSealer(keys *keyring, id string) *sealer {
	return &sealer{keys: keys, id: id, peers: map[peerKey]cipher.AEAD{}, heard: map[string]*window{}}
}

// seal makes a notice into a message for a node, or for all ("").
func (s *sealer) seal(ctx context.Context, to string, n notice, now time.Time) ([]byte, error) {
	keys, err := s.keys.at(ctx, now)
	if err != nil {
		return nil, err
	}
	k := peerKey{s.id, sealTag(keys.current, s.id)}
	aead := s.aead(k, keys)
	counter := s.counter.Add(1)
	b := codec.AppendV16(nil, []byte(s.id))
	b = append(b, k.tag[:]...)
	b = binary.BigEndian.AppendUint64(b, counter)
	return aead.Seal(b, sealNonce(counter), n.marshal(), []byte(to)), nil
}

// open reads a message of another node for this one, or for all.
func (s *sealer) open(message []byte) (from string, n notice, err error) {
	reader := codec.NewReader(message)
	k := peerKey{sender: string(reader.V16(maxNodeID))}
	reader.Copy(k.tag[:])
	counter := reader.U64()
	if reader.Failed() || k.sender == s.id {
		return "", n, errNotice
	}
	ctx, cancel := context.WithTimeout(context.Background(), openTime)
	defer cancel()
	keys, err := s.keys.at(ctx, clock.Now())
	if err != nil {
		return "", n, err
	}
	aead := s.aead(k, keys)
	if aead == nil {
		return "", n, errNotice
	}
	sealed := reader.Bytes(reader.Len())
	plain, err := aead.Open(nil, sealNonce(counter), sealed, []byte(s.id))
	if err != nil {
		if plain, err = aead.Open(nil, sealNonce(counter), sealed, nil); err != nil || !s.newer(k.sender, counter) {
			return "", n, errNotice
		}
	}
	n, err = parseNotice(plain)
	return k.sender, n, err
}

// window is what has been heard of one sender's broadcasts.
type window struct {
	top  uint64 // the highest counter
	seen uint64 // bit i: top-i was heard
}

// take notes a counter, and refuses one that was heard before or is too old to
// tell.
func (w *window) take(counter uint64) bool {
	if counter > w.top {
		w.seen = w.seen<<(counter-w.top) | 1
		w.top = counter
		return true
	}
	bit := uint64(1) << (w.top - counter) // 0 when that is 64 or more
	fresh := bit != 0 && w.seen&bit == 0
	w.seen |= bit
	return fresh
}

// newer notes a broadcast, and refuses one that was heard before.
func (s *sealer) newer(sender string, counter uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.heard[sender]
	if w == nil {
		if len(s.heard) >= maxPeerKeys {
			clear(s.heard)
		}
		w = &window{}
		s.heard[sender] = w
	}
	return w.take(counter)
}

// aead is the cipher of a sender, or nil when its tag fits none of the keys.
func (s *sealer) aead(k peerKey, keys sharedKeys) cipher.AEAD {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != keys.made { // what came of a key that is accepted no more goes with it
		clear(s.peers)
		s.made = keys.made
	}
	if a := s.peers[k]; a != nil {
		return a
	}
	for _, key := range keys.all() {
		if tag := sealTag(key, k.sender); hmac.Equal(tag[:], k.tag[:]) {
			a := newAEAD(key, k.sender)
			if len(s.peers) >= maxPeerKeys {
				clear(s.peers)
			}
			s.peers[k] = a
			return a
		}
	}
	return nil
}

func sealTag(key secret.Key, sender string) [macSize]byte {
	return [macSize]byte(macWith(key, sealTagUse, []byte(sender)))
}

// newAEAD derives the key of a sender. It cannot fail: all sizes are fixed.
func newAEAD(key secret.Key, sender string) cipher.AEAD {
	derived, err := hkdf.Key(sha256.New, key[:], nil, sealKeyUse+sender, 32)
	if err != nil {
		panic("server: " + err.Error())
	}
	secret.Created("bus key", derived)
	block, err := aes.NewCipher(derived)
	if err != nil {
		panic("server: " + err.Error())
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic("server: " + err.Error())
	}
	return a
}

func sealNonce(counter uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), counter)
}

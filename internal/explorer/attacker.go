package explorer

import (
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/account"
)

// thief decrypts with real bytes: those that leaked, and those on the wire. A
// quantum computer is the one thing it is granted symbolically.
type thief struct {
	l     *lab
	w     *world
	roots map[*epoch][]byte
	keys  [][]byte // message keys
}

// theft lets a thief try every key it gets on every ciphertext, and wants
// exactly the messages that the closure calls derivable.
func (l *lab) theft(w *world, known map[*term]bool) (stolen int, err error) {
	t := &thief{l: l, w: w, roots: map[*epoch][]byte{}}
	for _, e := range w.epochs() {
		t.work(e)
	}
	for _, k := range w.leaks.terms {
		if k.kind == messageKey {
			t.keys = append(t.keys, k.value)
		}
	}
	for _, p := range w.mail {
		if !p.seen() {
			continue
		}
		read := t.read(p.letter)
		if derivable := known[p.messageKey()]; read != derivable {
			return stolen, fmt.Errorf("a thief reads %s: %v; the closure says %v", p.letter, read, derivable)
		}
		stolen += int(bit(read))
	}
	return stolen, nil
}

func (t *thief) read(m *letter) bool {
	return slices.ContainsFunc(t.keys, func(key []byte) bool {
		text, ok := decrypt(key, m.fields.ciphertext)
		return ok && text == m.text
	})
}

// has is the value of a leaked term.
func (t *thief) has(k *term) ([]byte, bool) {
	if k == nil || !hasTerm(t.w.leaks.terms, k) {
		return nil, false
	}
	return k.value, true
}

// work gets out of one epoch what can be got.
func (t *thief) work(e *epoch) {
	root, chain := t.step(e)
	if leaked, ok := t.has(e.root); ok {
		root = leaked
	}
	t.roots[e] = root
	for n := range e.messages {
		if leaked, ok := t.has(e.chain[n]); ok {
			chain = leaked
		}
		if chain == nil {
			continue
		}
		var message []byte
		message, chain = chainStep(chain)
		t.keys = append(t.keys, message)
	}
}

// step is the root step with the thief's own values; nil when one is missing.
func (t *thief) step(e *epoch) (root, chain []byte) {
	dh, ok := t.agree(e)
	if !ok {
		return nil, nil
	}
	info := account.SessionContext(t.l.Suite, t.l.cast.party(e.from), t.l.cast.party(e.to))
	before, label := make([]byte, 32), "session_start"
	if e.parent != nil {
		before, label = t.roots[e.parent], "pk_ratchet"
	}
	if before == nil {
		return nil, nil
	}
	info = v16(v16(append(info, label...), e.publicOther()), e.opening.ratchetKey)
	var kem []byte
	if e.opening.kemCiphertext != nil {
		if kem, ok = t.decapsulate(e); !ok {
			return nil, nil
		}
		info = v16(v16(info, e.opening.kemCiphertext), e.publicKEM())
	}
	return rootStep(before, dh, kem, info)
}

// publicOther is the public key that the epoch's own was agreed with.
func (e *epoch) publicOther() []byte {
	if e.parent == nil {
		return e.offer.Bundle().ECDH[:]
	}
	return e.parent.opening.ratchetKey
}

// publicKEM is the KEM key that the epoch answers.
func (e *epoch) publicKEM() []byte {
	if e.parent == nil {
		return e.offer.Bundle().KEM[:]
	}
	return e.parent.opening.kemKey
}

func (t *thief) agree(e *epoch) ([]byte, bool) {
	if mine, ok := t.has(e.ratchet); ok {
		return agree(mine, e.publicOther()), true
	}
	if theirs, ok := t.has(e.agreedWith); ok {
		return agree(theirs, e.opening.ratchetKey), true
	}
	if t.w.leaks.quantum {
		return agree(e.agreedWith.value, e.opening.ratchetKey), true
	}
	return nil, false
}

// decapsulate takes the seed, or being the one who encapsulated.
func (t *thief) decapsulate(e *epoch) ([]byte, bool) {
	if secret, ok := t.has(e.kem); ok {
		return secret, true
	}
	seed, ok := t.has(e.answered)
	if !ok {
		return nil, false
	}
	_, secret := decapsulate(seed, e.opening.kemCiphertext)
	return secret, true
}

package explorer

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"github.com/posthorn/posthorn/account"
)

// digest is a canonical hash. Equal contents have equal digests in every run.
type digest [16]byte

// digestOf hashes parts, each with its length.
func digestOf(parts ...[]byte) (d digest) {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 24), byte(len(p) >> 16), byte(len(p) >> 8), byte(len(p))})
		h.Write(p)
	}
	copy(d[:], h.Sum(nil))
	return d
}

// kind says what a term is.
type kind uint8

const (
	ratchetPrivate kind = iota // a P-256 private key, prekeys included
	kemSeed                    // an ML-KEM private key
	ecdhSecret
	kemSecret
	rootKey
	chainKey
	messageKey
	quantumComputer // not a secret: the ability to invert P-256
)

// term is a secret with a name. Its value is the bytes that stand for it in the
// real run; equal values are one term.
type term struct {
	kind  kind
	name  string
	value []byte
	order digest
}

// terms are all secrets that any explored state contains.
type terms struct {
	mu      sync.Mutex
	byValue map[string]*term
}

func (t *terms) of(k kind, name string, value []byte) *term {
	t.mu.Lock()
	defer t.mu.Unlock()
	id := string(rune(k)) + string(value)
	if known, ok := t.byValue[id]; ok {
		return known
	}
	made := &term{kind: k, name: name, value: value, order: digestOf([]byte(id))}
	t.byValue[id] = made
	return made
}

// chainTerms is how far the keys of a chain are tracked. Scenes send fewer
// messages in a row.
const chainTerms = 10

// epoch is one step of a session's root chain with everything that hangs on
// it. Two devices that share an epoch share the pointer.
type epoch struct {
	key      digest
	parent   *epoch // nil in epoch 0
	session  [8]byte
	number   uint32
	from, to int
	forged   bool // belongs to a session that an attacker started

	ratchet    *term // the private key that the opener made
	agreedWith *term // the private key on the other side of the agreement
	answered   *term // the KEM seed behind this epoch's KEM secret, or nil
	advertised *term // the KEM seed whose public key rides on this epoch, or nil

	opening  fields // the first message, as an observer has it
	offer    *offer // epoch 0 only
	dh, kem  *term  // kem is nil without an answer
	root     *term
	chain    [chainTerms + 1]*term
	messages [chainTerms]*term
	clauses  []clause
}

// openEpoch reads the message that opens an epoch together with the draws of
// the call that made it, and computes everything the epoch consists of.
func (l *lab) openEpoch(parent *epoch, from, to int, f fields, o *offer, rec *recorder) *epoch {
	e := &epoch{parent: parent, session: f.session, number: f.epoch, from: from, to: to, opening: f, offer: o,
		forged: rec.forger || parent != nil && parent.forged,
		key:    digestOf([]byte("epoch"), f.session[:], f.ratchetKey)}
	l.epochs.mu.Lock()
	known, ok := l.epochs.byKey[e.key]
	l.epochs.mu.Unlock()
	if ok {
		return known
	}
	label := fmt.Sprintf("%s's epoch %d with %s", names[from], f.epoch, names[to])
	e.ratchet = l.terms.of(ratchetPrivate, "the ECDH key of "+label, scalarOf(rec, f.ratchetKey))
	if parent == nil {
		e.agreedWith, e.answered = o.ecdh, o.kem
	} else {
		e.agreedWith = parent.ratchet
		if f.kemCiphertext != nil {
			e.answered = parent.advertised
		}
	}
	if f.kemKey != nil {
		e.advertised = l.terms.of(kemSeed, "the KEM key that "+label+" advertised", seedOf(rec, f.kemKey))
	}
	l.deriveEpoch(e, label)
	e.clauses = l.rules(e)
	l.epochs.mu.Lock()
	defer l.epochs.mu.Unlock()
	if known, ok := l.epochs.byKey[e.key]; ok {
		return known // the other worker was first
	}
	l.epochs.byKey[e.key] = e
	return e
}

// deriveEpoch computes the values of SPEC §6 from the private keys.
func (l *lab) deriveEpoch(e *epoch, label string) {
	from, to := l.cast.party(e.from), l.cast.party(e.to)
	context := account.SessionContext(l.Suite, from, to)
	before, theirs := make([]byte, 32), publicX(e.agreedWith.value)
	info := []byte("session_start")
	if e.parent != nil {
		before, info = e.parent.root.value, []byte("pk_ratchet")
	}
	info = v16(v16(append(context, info...), theirs), e.opening.ratchetKey)
	e.dh = l.terms.of(ecdhSecret, "the ECDH secret of "+label, agree(e.ratchet.value, theirs))
	var kem []byte
	if e.answered != nil {
		public, secret := decapsulate(e.answered.value, e.opening.kemCiphertext)
		info = v16(v16(info, e.opening.kemCiphertext), public)
		e.kem, kem = l.terms.of(kemSecret, "the KEM secret of "+label, secret), secret
	}
	root, chain := rootStep(before, e.dh.value, kem, info)
	e.root = l.terms.of(rootKey, "the root key of "+label, root)
	for n := range e.messages {
		message, next := chainStep(chain)
		e.chain[n] = l.terms.of(chainKey, fmt.Sprintf("chain key %d of %s", n, label), chain)
		e.messages[n] = l.terms.of(messageKey, fmt.Sprintf("message key %d of %s", n, label), message)
		chain = next
	}
	e.chain[chainTerms] = l.terms.of(chainKey, fmt.Sprintf("chain key %d of %s", chainTerms, label), chain)
}

// epochs are all epochs of all explored states.
type epochs struct {
	mu    sync.Mutex
	byKey map[digest]*epoch
}

// scalarOf finds the drawn private key behind a public one.
func scalarOf(rec *recorder, public []byte) []byte {
	for _, scalar := range rec.scalars {
		if string(publicX(scalar)) == string(public) {
			return scalar
		}
	}
	panic("explorer: a ratchet key that was not drawn from the entropy of the call")
}

// seedOf finds the drawn ML-KEM seed behind a public key.
func seedOf(rec *recorder, public []byte) []byte {
	for _, seed := range rec.seeds {
		if string(kemPublic768(seed)) == string(public) {
			return seed
		}
	}
	panic("explorer: a KEM key that was not drawn from the entropy of the call")
}

package explorer

import (
	"bytes"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// alteration is a change that somebody with the sender's ECDSA key makes to a
// message in flight before signing it again.
type alteration struct {
	name   string
	change func(*fields)
}

var alterations = []alteration{
	{"one bit of the ciphertext", func(f *fields) { f.ciphertext = flipped(f.ciphertext) }},
	{"the associated data", func(f *fields) { f.authData = []byte("added") }},
	{"the position in the chain", func(f *fields) { f.n++ }},
	{"the advertised KEM key", func(f *fields) {
		if f.kemKey != nil {
			seed := make([]byte, 64)
			f.kemKey = kemPublic768(seed)
		}
	}},
	{"the ratchet key", func(f *fields) { f.ratchetKey = publicX(bytes.Repeat([]byte{1}, 32)) }},
}

// tagged: the suite has a tag that stops these changes. PQ3 has none, and its
// signature alone does not (SPEC §16.5).
func (l *lab) tagged() bool { return l.Suite == account.PQ3A || l.fault == expectsTagOfPQ3 }

func flipped(b []byte) []byte {
	out := bytes.Clone(b)
	out[0] ^= 1
	return out
}

// altered: in PQ3A, whoever can forge ECDSA signatures but does not know the
// message key can change nothing in a message. All attempts are refused and
// the recipient's state stays as it was.
func (l *lab) altered(w *world, m *letter) error {
	h := w.half(m.to, m.from)
	in := arrival{letter: m, at: l.now(w), held: l.held(w, m.to)}
	out := l.once(func() *outcome { return &outcome{broken: l.alterNow(h, in)} },
		[]byte("alter"), h.key[:], m.key[:], []byte(fmt.Sprintf("%d %v", in.at, w.devices[m.to])))
	return out.broken
}

func (l *lab) alterNow(h *half, in arrival) error {
	before := h.stored()
	for _, a := range alterations {
		wire, changed := l.resigned(in.letter, a)
		if !changed {
			continue
		}
		m, err := pq3.ParseMessage(wire)
		if err != nil {
			return fmt.Errorf("the forger's message is malformed: %w", err)
		}
		forged := in
		forged.letter = &letter{from: in.letter.from, to: in.letter.to, parsed: m}
		if o := l.tryOpen(h, h.sessions, forged); o.err == nil {
			return fmt.Errorf("%s is accepted although a forger changed %s", in.letter, a.name)
		}
		if !bytes.Equal(h.stored(), before) {
			return fmt.Errorf("I4: a forged message changed what %s has stored", names[h.me])
		}
	}
	return nil
}

// resigned makes a change, and then all that the signing key can make fit.
func (l *lab) resigned(m *letter, a alteration) (wire []byte, changed bool) {
	context := account.SessionContext(l.Suite, l.cast.party(m.from), l.cast.party(m.to))
	f := m.fields
	a.change(&f)
	if bytes.Equal(f.wire(), m.wire) {
		return nil, false
	}
	if f.flags&0x80 != 0 {
		f.digest = f.objectsDigest(context)
	}
	signature := must(l.cast.keys[m.from].SignECDSA(nil, f.covered(context)))
	f.signature = signature[:]
	return f.wire(), true
}

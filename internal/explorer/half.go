package explorer

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// moment is a time of a scene, in milliseconds after its beginning.
type moment int64

func (m moment) time() time.Time { return pq3test.Now.Add(time.Duration(m) * time.Millisecond) }

func after(d time.Duration) moment { return moment(d.Milliseconds()) }

// letter is one message on the wire. Equal bytes are one letter.
type letter struct {
	key      digest
	from, to int
	wire     []byte
	parsed   *pq3.Message
	fields   fields
	text     string
	epoch    *epoch
	// forgedWith are the halves of from's identity key that a forger signed
	// with; 0 for a letter that the device itself sealed.
	forgedWith int
	// compromised: the recipient's name could be borne by somebody else when the
	// sender's side of the session came to be. Bookkeeping for duty.go.
	compromised bool
}

func (m *letter) messageKey() *term { return m.epoch.messages[m.fields.n] }

func (m *letter) String() string {
	name := fmt.Sprintf("%s→%s %d.%d", names[m.from], names[m.to], m.fields.epoch, m.fields.n)
	if m.forgedWith != 0 {
		name = "forged " + name
	}
	return "[" + name + " of session " + fmt.Sprintf("%x", m.fields.session[:2]) + "]"
}

// acceptedStart is a row of the replay cache.
type acceptedStart struct {
	key    pq3.ReplayKey
	bundle account.BundleHash
	at     moment
}

// half is what one device has stored about one device of the other person. It
// never changes; equal stored bytes are one half.
type half struct {
	key      digest
	me, peer int
	sessions pq3.Sessions
	shades   []shade // in the order of sessions
	waiting  []*letter
	received []*letter
	accepted []acceptedStart
	gone     [][8]byte // sessions that were erased
	retired  []*term   // with the fault keepsKeys, what should have been erased

	tracked []*term // every secret of these sessions so far
	holds   []*term // those that the stored bytes contain
}

// halves are all halves of all explored states.
type halves struct {
	mu    sync.Mutex
	byKey map[digest]*half
}

func (l *lab) newHalf(me, peer int) *half {
	h := &half{me: me, peer: peer}
	h, _ = l.settle(h)
	return h
}

// settle gives a half that a transition made its place among all others. A new
// one is checked: what it holds, and whether it survives a restart.
func (l *lab) settle(h *half) (*half, error) {
	h.key = h.hash()
	l.halves.mu.Lock()
	known, ok := l.halves.byKey[h.key]
	l.halves.mu.Unlock()
	if ok {
		return known, nil
	}
	h.tracked, h.holds = nil, nil
	if err := l.inspect(h); err != nil {
		return nil, err
	}
	l.halves.mu.Lock()
	defer l.halves.mu.Unlock()
	if known, ok := l.halves.byKey[h.key]; ok {
		return known, nil // the other worker was first
	}
	l.halves.byKey[h.key] = h
	return h, nil
}

// stored is what the device has on disk about its sessions.
func (h *half) stored() []byte { return fingerprint(h.sessions) }

func fingerprint(sessions pq3.Sessions) (b []byte) {
	for _, s := range sessions {
		b = append(b, s.MarshalState()...)
		b = append(b, s.MarshalSkipped()...)
	}
	return b
}

func (h *half) hash() digest {
	parts := [][]byte{{byte(h.me), byte(h.peer)}, h.stored()}
	for i := range h.shades {
		parts = append(parts, h.shades[i].bytes())
	}
	list := func(letters []*letter) {
		parts = append(parts, binary.BigEndian.AppendUint16(nil, uint16(len(letters))))
		for _, m := range letters {
			parts = append(parts, m.key[:])
		}
	}
	list(h.waiting)
	list(h.received)
	for _, s := range h.accepted {
		parts = append(parts, s.key[:], binary.BigEndian.AppendUint64(nil, uint64(s.at)))
	}
	parts = append(parts, []byte("gone"))
	for i := range h.gone {
		parts = append(parts, h.gone[i][:])
	}
	for _, t := range h.retired {
		parts = append(parts, t.order[:])
	}
	return digestOf(parts...)
}

// restored is the half's sessions after a restart of the program.
func (l *lab) restored(h *half) (pq3.Sessions, error) {
	out := make(pq3.Sessions, len(h.sessions))
	for i, s := range h.sessions {
		var err error
		out[i], err = pq3.RestoreSession(l.cast.identity(h.me), l.cast.party(h.peer), l.policy(), s.MarshalState(), s.MarshalSkipped())
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// inspect compares a half's stored bytes with what SPEC allows it to hold, and
// with what comes back after a restart. I4 and I7.
func (l *lab) inspect(h *half) error {
	again, err := l.restored(h)
	stored := h.stored()
	if err != nil || !bytes.Equal(fingerprint(again), stored) {
		return fmt.Errorf("a restart of %s changes its stored sessions: %v", names[h.me], err)
	}
	allowed := map[*term]bool{}
	seen := map[*epoch]bool{}
	for i := range h.shades {
		for _, t := range h.shades[i].mayHold() {
			allowed[t] = true
			if !bytes.Contains(stored, t.value) {
				return fmt.Errorf("%s should hold %s and does not", names[h.me], t.name)
			}
		}
		for e := h.shades[i].now; e != nil && !seen[e]; e = e.parent {
			seen[e] = true
			h.tracked = append(h.tracked, e.secrets()...)
		}
	}
	for _, t := range h.tracked {
		if !bytes.Contains(stored, t.value) {
			continue
		}
		if !allowed[t] {
			return fmt.Errorf("I7: %s still holds %s", names[h.me], t.name)
		}
		h.holds = append(h.holds, t)
	}
	h.holds = append(h.holds, h.retired...)
	return nil
}

// secrets are all terms of an epoch that a device may have had at some time.
func (e *epoch) secrets() []*term {
	out := []*term{e.ratchet, e.root}
	if e.advertised != nil {
		out = append(out, e.advertised)
	}
	return append(append(out, e.chain[:]...), e.messages[:]...)
}

func withLetter(list []*letter, m *letter) []*letter {
	i, found := slices.BinarySearchFunc(list, m, byKey)
	if found {
		return list
	}
	return slices.Insert(slices.Clone(list), i, m)
}

func hasLetter(list []*letter, m *letter) bool {
	_, found := slices.BinarySearchFunc(list, m, byKey)
	return found
}

func byKey(a, b *letter) int { return bytes.Compare(a.key[:], b.key[:]) }

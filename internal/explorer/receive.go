package explorer

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// desk is what the real calls of a receipt may ask: prekeys and the replay
// cache of one half.
type desk struct {
	held   []*offer
	starts []acceptedStart
	blind  bool // the planted fault: no replay cache
}

// Prekey implements pq3.Prekeys.
func (d desk) Prekey(hash account.BundleHash) (*pq3.Prekey, bool) {
	for _, o := range d.held {
		if o.Hash() == hash {
			return o.Prekey, true
		}
	}
	return nil, false
}

// Seen implements pq3.ReplayCache.
func (d desk) Seen(key pq3.ReplayKey) bool {
	return !d.blind && slices.ContainsFunc(d.starts, func(s acceptedStart) bool { return s.key == key })
}

// BundleStarts implements pq3.ReplayCache.
func (d desk) BundleStarts(bundle account.BundleHash) (n int) {
	for _, s := range d.starts {
		n += int(bit(s.bundle == bundle))
	}
	return n
}

// DeviceStarts implements pq3.ReplayCache. A half knows one peer device only.
func (d desk) DeviceStarts(_ account.DeviceID, since time.Time) (n int) {
	for _, s := range d.starts {
		n += int(bit(!s.at.time().Before(since)))
	}
	return n
}

// arrival is the input of a receipt beside the half.
type arrival struct {
	letter *letter
	at     moment
	held   []*offer // prekeys whose private half still exists
	halves int      // of the peer's identity key that leaked so far
}

// receive makes the real calls for one letter and for whatever waited for it.
func (l *lab) receive(h *half, in arrival) *outcome {
	if h.find(in.letter) >= 0 {
		in.halves = 0
	}
	id := fmt.Sprintf("%d %d", in.at, in.halves)
	for _, o := range in.held {
		id += fmt.Sprintf(" %+v", o.name)
	}
	return l.once(func() *outcome { return l.receiveNow(h, in) }, []byte("receive"), h.key[:], in.letter.key[:], []byte(id))
}

func (h *half) find(m *letter) int {
	return slices.IndexFunc(h.shades, func(s shade) bool { return s.session == m.fields.session })
}

func (l *lab) receiveNow(h *half, in arrival) *outcome {
	before := h.stored()
	out := &outcome{next: h}
	first := l.open(h, in)
	switch {
	case first.broken != nil:
		return first
	case first.waits:
		out.waits, out.next = true, h.wait(in.letter)
	case first.refusal != nil:
		out.refusal, out.next = first.refusal, first.next
	default:
		out = l.drain(first, in)
	}
	if string(h.stored()) != string(before) {
		return failed("I4: opening changed the session that it was called on")
	}
	if out.broken != nil || out.next == h {
		return out
	}
	settled, err := l.settle(out.next)
	out.next, out.broken = settled, err
	return out
}

func (h *half) wait(m *letter) *half {
	if hasLetter(h.waiting, m) {
		return h
	}
	next := *h
	next.waiting = withLetter(h.waiting, m)
	return &next
}

// drain opens what has become openable. Whatever is refused is dropped.
func (l *lab) drain(out *outcome, in arrival) *outcome {
	for progress := true; progress; {
		progress = false
		for _, m := range out.next.waiting {
			in.letter = m
			one := l.open(out.next, in)
			if one.broken != nil {
				return one
			}
			if one.waits {
				continue
			}
			next := *one.next
			next.waiting = slices.DeleteFunc(slices.Clone(next.waiting), func(o *letter) bool { return o == m })
			out.next, out.read, progress = &next, append(out.read, one.read...), true
			break
		}
	}
	return out
}

// open opens one letter with the live sessions and again with those of a
// restart, compares both, and holds the result against the shade.
func (l *lab) open(h *half, in arrival) *outcome {
	live := l.tryOpen(h, h.sessions, in)
	again, err := l.restored(h)
	if err != nil {
		return failed("a restart of %s fails: %w", names[h.me], err)
	}
	if second := l.tryOpen(h, again, in); live.print() != second.print() {
		return failed("%s opens %s otherwise after a restart", names[h.me], in.letter)
	}
	if live.err != nil {
		return l.refused(h, in, live.err)
	}
	return l.finishOpen(h, in, live)
}

// opened is the raw result of the real calls.
type opened struct {
	session  *pq3.Session
	text     string
	accepted *pq3.Accepted
	err      error
}

func (o opened) print() string {
	if o.err != nil {
		return o.err.Error()
	}
	return o.text + fingerprintOf(o.session)
}

func (l *lab) tryOpen(h *half, sessions pq3.Sessions, in arrival) (out opened) {
	m := in.letter.parsed
	if s := sessions.Find(m.Session()); s != nil {
		var text []byte
		out.session, text, out.err = s.Open(in.at.time(), m)
		out.text = string(text)
		return out
	}
	d := desk{held: in.held, starts: h.accepted, blind: l.fault == noReplayCache}
	out.accepted, out.err = pq3.Accept(l.cast.identity(h.me), l.cast.party(h.peer), m,
		pq3.AcceptOptions{Policy: l.policy(), Prekeys: d, Replays: d}, in.at.time())
	if out.err == nil {
		out.session, out.text = out.accepted.Session, string(out.accepted.Plaintext)
	}
	return out
}

// refused decides whether a refusal is one that the rules call for.
func (l *lab) refused(h *half, in arrival, err error) *outcome {
	m := in.letter
	if errors.Is(err, pq3.ErrObjectsMissing) {
		if i := h.find(m); i >= 0 && h.shades[i].place(m, in.at) != waits || i < 0 && m.parsed.IsStart() {
			return failed("%s has all that %s needs and still waits", names[h.me], m)
		}
		return &outcome{next: h, waits: true}
	}
	out := &outcome{next: h, refusal: err}
	if l.fault == dropsSessionOnRefusal {
		if i := h.find(m); i >= 0 {
			next := *h
			next.sessions, next.shades = slices.Delete(slices.Clone(h.sessions), i, i+1), slices.Delete(slices.Clone(h.shades), i, i+1)
			out.next = &next
		}
	}
	if m.forgedWith == 0 && m.to == h.me && m.from == h.peer && !hasLetter(h.received, m) && !l.mayRefuse(h, in) {
		out.broken = fmt.Errorf("a genuine message is refused: %s: %w", m, err)
	}
	return out
}

// mayRefuse: the private half of its bundle is erased, its session was
// superseded and erased or is one that a forger started, or its message key
// has passed its lifetime.
func (l *lab) mayRefuse(h *half, in arrival) bool {
	m := in.letter
	if m.epoch.forged || slices.Contains(h.gone, m.fields.session) {
		return true
	}
	if i := h.find(m); i >= 0 {
		return h.shades[i].place(m, in.at) == expired
	}
	return m.epoch.number == 0 && !slices.Contains(in.held, m.epoch.offer)
}

// finishOpen checks who sent what was read, and moves the shade.
func (l *lab) finishOpen(h *half, in arrival, o opened) *outcome {
	m := in.letter
	switch {
	case o.text != m.text:
		return failed("%s arrived as another text", m)
	case m.to != h.me || m.from != h.peer:
		return failed("%s was opened by %s", m, names[h.me])
	case hasLetter(h.received, m):
		return failed("%s was received twice by %s", m, names[h.me])
	case m.forgedWith != 0 && !canImpersonate(l.Suite, m.forgedWith):
		return failed("%s accepts %s, forged with a part of the identity key", names[h.me], m)
	}
	next := *h
	if o.accepted != nil {
		next.accepted = append(slices.Clone(h.accepted), acceptedStart{o.accepted.Replay, o.accepted.Bundle, in.at})
		next.admit(o.session, shade{session: m.fields.session, now: m.epoch, receiving: m.epoch,
			compromised: canImpersonate(l.Suite, in.halves)}, in.at)
	} else if h.shades[h.find(m)].place(m, in.at) != opens {
		return failed("%s opens %s, which SPEC §8 does not allow now", names[h.me], m)
	}
	next.shades = slices.Clone(next.shades)
	sh := &next.shades[next.find(m)]
	if m.epoch.parent == sh.now && sh.sending {
		next.retire(l.fault, sh.now)
	}
	sh.open(m, in.at)
	next.sessions, _ = next.sessions.With(o.session)
	next.received = withLetter(h.received, m)
	return &outcome{next: &next, read: []*letter{m}}
}

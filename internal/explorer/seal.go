package explorer

import (
	"errors"
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// outcome is what one real call did.
type outcome struct {
	next    *half
	letter  *letter   // sealed
	read    []*letter // opened, in order
	refusal error     // why nothing was opened or sealed
	waits   bool      // put aside for its objects
	broken  error     // a check failed
}

func failed(format string, args ...any) *outcome {
	return &outcome{broken: fmt.Errorf(format, args...)}
}

// sealing is the input of a seal beside the half.
type sealing struct {
	offer  *offer // what the directory serves for the peer
	at     moment
	text   string
	force  bool
	halves int // of the peer's identity key that leaked so far
}

// starts reports whether a seal would begin a new session.
func (h *half) starts(at moment) bool {
	current := h.sessions.Sending()
	return current == nil || errors.Is(current.CanSend(at.time()), pq3.ErrNewSessionNeeded)
}

// seal makes the real call for one text to one device.
func (l *lab) seal(h *half, in sealing) *outcome {
	if !h.starts(in.at) {
		in.offer, in.halves = nil, 0
	}
	return l.once(func() *outcome { return l.sealNow(h, in) }, []byte("seal"), h.key[:], []byte(in.name()))
}

// name is the whole input as text.
func (in sealing) name() string {
	if in.offer == nil {
		return fmt.Sprintf("%d %q %v", in.at, in.text, in.force)
	}
	return fmt.Sprintf("%d %q %v %d %+v", in.at, in.text, in.force, in.halves, in.offer.name)
}

// sealNow seals from the live sessions and again from those that a restart
// brings back, with the next epoch prepared ahead of time; both must give the
// same bytes.
func (l *lab) sealNow(h *half, in sealing) *outcome {
	before := h.stored()
	live := l.trySeal(h, h.sessions, in, false)
	again, err := l.restored(h)
	if err != nil {
		return failed("a restart of %s fails: %w", names[h.me], err)
	}
	second := l.trySeal(h, again, in, true)
	if live.print() != second.print() {
		return failed("%s seals other bytes after a restart", names[h.me])
	}
	if string(h.stored()) != string(before) {
		return failed("I4: sealing changed the session that it was called on")
	}
	if live.err != nil {
		return &outcome{next: h, refusal: live.err}
	}
	return l.finishSeal(h, in, live)
}

// sealed is the raw result of the real calls.
type sealed struct {
	session *pq3.Session
	wire    []byte
	started bool
	rec     *recorder
	err     error
}

func (s sealed) print() string {
	if s.err != nil {
		return s.err.Error()
	}
	return string(s.wire) + fingerprintOf(s.session)
}

func fingerprintOf(s *pq3.Session) string { return string(fingerprint(pq3.Sessions{s})) }

func (l *lab) trySeal(h *half, sessions pq3.Sessions, in sealing, prepare bool) (out sealed) {
	out.rec = newRecorder(fmt.Sprintf("seal %x %s", h.key, in.name()))
	current := sessions.Sending()
	if in.offer != nil {
		out.started = true
		current, out.err = pq3.Initiate(l.cast.identity(h.me), l.cast.party(h.peer), in.offer.Bundle(),
			pq3.InitiateOptions{Policy: l.policy(), After: sessions.LastStart()}, in.at.time(), out.rec)
		if out.err != nil {
			return out
		}
	}
	if prepare {
		if current, out.err = current.Prepare(out.rec); out.err != nil {
			return out
		}
	}
	var force pq3.Force
	if in.force {
		force = pq3.ForceAdvertise
	}
	out.session, out.wire, out.err = current.SealWith(out.rec, in.at.time(), []byte(in.text), nil, force)
	return out
}

// finishSeal ties the message to its terms and moves the shade.
func (l *lab) finishSeal(h *half, in sealing, s sealed) *outcome {
	next := *h
	f := readFields(s.wire)
	if s.started {
		e := l.openEpoch(nil, h.me, h.peer, f, in.offer, s.rec)
		next.admit(s.session, shade{session: f.session, now: e, sending: true, compromised: in.halves == bothHalves}, in.at)
	}
	i := slices.IndexFunc(next.shades, func(sh shade) bool { return sh.session == f.session })
	next.shades = slices.Clone(next.shades)
	sh := &next.shades[i]
	e := sh.now
	if !sh.sending {
		e = l.openEpoch(sh.now, h.me, h.peer, f, nil, s.rec)
		next.retire(l.fault, e.parent)
	}
	sh.seal(e)
	if f.epoch != e.number || f.n != sh.sent-1 || f.previous != sh.previous {
		return failed("%s sealed position %d.%d after %d, SPEC §8 says %d.%d after %d",
			names[h.me], f.epoch, f.n, f.previous, e.number, sh.sent-1, sh.previous)
	}
	if text, ok := decrypt(e.messages[f.n].value, f.ciphertext); !ok || text != in.text {
		return failed("the recorder's %s does not open the message", e.messages[f.n].name)
	}
	next.sessions, _ = next.sessions.With(s.session)
	m := l.letter(&letter{from: h.me, to: h.peer, wire: s.wire, parsed: must(pq3.ParseMessage(s.wire)), fields: f,
		text: in.text, epoch: e, compromised: sh.compromised})
	settled, err := l.settle(&next)
	return &outcome{next: settled, letter: m, broken: err}
}

// admit puts a new session and its shade into their places, and notes which
// sessions it supersedes and which one falls out.
func (h *half) admit(s *pq3.Session, sh shade, at moment) {
	sessions, dropped := h.sessions.With(s)
	shades := append(slices.Clone(h.shades), sh)
	if dropped != nil {
		h.gone = append(slices.Clone(h.gone), dropped.ID())
	}
	h.sessions, h.shades = sessions, make([]shade, len(sessions))
	for i, kept := range sessions {
		j := slices.IndexFunc(shades, func(o shade) bool { return o.session == kept.ID() })
		h.shades[i] = shades[j]
		if i > 0 && h.shades[i].superseded == 0 {
			h.shades[i].superseded = at + 1
		}
	}
}

// retire keeps what an end should erase, where that is the planted fault.
func (h *half) retire(f fault, e *epoch) {
	if f != keepsUsedKeys || e == nil {
		return
	}
	kept := append(slices.Clone(h.retired), e.ratchet)
	if e.advertised != nil {
		kept = append(kept, e.advertised)
	}
	h.retired = kept
}

// expire erases the sessions that were superseded 14 days ago, as the session
// layer does (SPEC §10.4).
func (l *lab) expire(h *half, at moment) *outcome {
	old := func(s *shade) bool { return s.superseded != 0 && at+1-s.superseded >= after(pq3.SupersededLife) }
	if !slices.ContainsFunc(h.shades, func(s shade) bool { return old(&s) }) {
		return &outcome{next: h}
	}
	next := *h
	next.sessions, next.shades, next.gone = nil, nil, slices.Clone(h.gone)
	for i := range h.shades {
		if old(&h.shades[i]) {
			next.gone = append(next.gone, h.shades[i].session)
			continue
		}
		next.sessions, next.shades = append(next.sessions, h.sessions[i]), append(next.shades, h.shades[i])
	}
	settled, err := l.settle(&next)
	return &outcome{next: settled, broken: err}
}

// canImpersonate: which leaked halves of an identity key suffice to start a
// session in its name (SPEC §5.3). Bundles take both in either suite.
func canImpersonate(s account.Suite, halves int) bool {
	if s == account.PQ3 {
		return halves&halfECDSA != 0
	}
	return halves == bothHalves
}

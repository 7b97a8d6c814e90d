package explorer

import (
	"encoding/binary"
	"slices"
	"time"
)

// shade is one end of a session as SPEC §7 and §8 describe it, without any
// bytes of keys. It says what the real end must hold and may accept.
type shade struct {
	session    [8]byte
	now        *epoch // the current epoch
	sending    bool   // role S
	sent       uint32 // messages of my last sending chain
	receiving  *epoch // the peer's last epoch that arrived, or nil
	received   uint32 // the next index there
	previous   uint32 // length of my sending chain before the last
	skipped    []spot
	superseded moment // when another session was preferred; 0 never
	// compromised: see letter.
	compromised bool
}

// spot is a position whose message key waits.
type spot struct {
	epoch *epoch
	n     uint32
	at    moment
}

// skippedLife is the lifetime of a spot, SPEC §10.2.
const skippedLife = 14 * 24 * time.Hour

func (s *shade) bytes() []byte {
	b := append(s.session[:], s.now.key[:]...)
	b = append(b, bit(s.sending), bit(s.compromised))
	b = binary.BigEndian.AppendUint32(b, s.sent)
	b = binary.BigEndian.AppendUint32(b, s.received)
	b = binary.BigEndian.AppendUint64(b, uint64(s.superseded))
	for _, p := range s.skipped {
		b = append(b, p.epoch.key[:]...)
		b = binary.BigEndian.AppendUint32(b, p.n)
	}
	return b
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// mayHold lists exactly the secrets that this end needs from now on.
func (s *shade) mayHold() []*term {
	out := []*term{s.now.root}
	if s.sending {
		out = append(out, s.now.chain[s.sent], s.now.ratchet)
		if s.now.advertised != nil {
			out = append(out, s.now.advertised)
		}
	}
	if s.receiving != nil {
		out = append(out, s.receiving.chain[s.received])
	}
	for _, p := range s.skipped {
		out = append(out, p.epoch.messages[p.n])
	}
	return out
}

// seal moves the shade past one sealed message of epoch e.
func (s *shade) seal(e *epoch) {
	if !s.sending {
		s.previous = s.sent
		s.now, s.sending, s.sent = e, true, 0
	}
	s.sent++
}

// placed says what must become of a letter that has not been opened yet.
type placed uint8

const (
	opens placed = iota
	waits
	expired // its key was kept for 14 days and is gone
	misfits // no honest letter can be there
)

// place decides what the rules say about a letter of this session.
func (s *shade) place(m *letter, at moment) placed {
	carried := m.fields.flags&7 == 0 || m.fields.flags&0x80 != 0
	switch {
	case m.epoch.parent == s.now && s.sending:
		if !carried {
			return waits
		}
		return opens
	case m.epoch == s.receiving && m.fields.n >= s.received:
		return opens
	case slices.ContainsFunc(s.skipped, func(p spot) bool { return p.epoch == m.epoch && p.n == m.fields.n && p.fresh(at) }):
		return opens
	case s.receiving != nil && m.epoch.number <= s.receiving.number:
		return expired
	}
	return misfits
}

func (p spot) fresh(at moment) bool { return at-p.at <= after(skippedLife) }

// open moves the shade past one opened letter.
func (s *shade) open(m *letter, at moment) {
	s.skipped = slices.DeleteFunc(slices.Clone(s.skipped), func(p spot) bool { return !p.fresh(at) })
	if m.epoch.parent == s.now && s.sending {
		s.skipTo(m.fields.previous, at)
		s.now, s.sending, s.receiving, s.received = m.epoch, false, m.epoch, 0
	}
	if m.epoch == s.receiving && m.fields.n >= s.received {
		s.skipTo(m.fields.n, at)
		s.received++
		return
	}
	s.skipped = slices.DeleteFunc(s.skipped, func(p spot) bool { return p.epoch == m.epoch && p.n == m.fields.n })
}

func (s *shade) skipTo(n uint32, at moment) {
	for ; s.receiving != nil && s.received < n; s.received++ {
		s.skipped = append(s.skipped, spot{s.receiving, s.received, at})
	}
}

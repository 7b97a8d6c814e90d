package explorer

import (
	"errors"
	"fmt"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// end is one device in a conversation that is tried out from a state. Nothing
// of it enters the exploration.
type end struct {
	l        *lab
	me, peer int
	sessions pq3.Sessions
	desk     desk
	newest   *offer
	ent      pq3.Entropy
}

// talk checks that no session is stuck: from this state on, with every letter
// on its way lost and no further loss, a text of each device reaches each
// device of the other person within a bounded number of messages.
func (l *lab) talk(w *world) error {
	for _, a := range l.devices() {
		for _, b := range l.peers(a) {
			if a > b || w.devices[a].forged || w.devices[b].forged {
				continue // while a forger's bundle is served, somebody else answers
			}
			if err := l.talkBetween(w, a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) talkBetween(w *world, a, b int) error {
	seed := []byte(fmt.Sprintf("%v %v", w.devices[a], w.devices[b]))
	x, y := l.end(w, a, b), l.end(w, b, a)
	out := l.once(func() *outcome {
		for range 2 {
			if err := x.tell(y, l.now(w)); err != nil {
				return &outcome{broken: err}
			}
			if err := y.tell(x, l.now(w)); err != nil {
				return &outcome{broken: err}
			}
		}
		return &outcome{}
	}, []byte("talk"), x.half(w).key[:], y.half(w).key[:], seed, []byte{w.clock})
	return out.broken
}

func (l *lab) end(w *world, me, peer int) *end {
	h := w.half(me, peer)
	return &end{l: l, me: me, peer: peer, sessions: h.sessions, newest: l.served(w, me),
		desk: desk{held: l.held(w, me), starts: h.accepted},
		ent:  pq3test.NewEntropy(fmt.Sprintf("talk %x %d", h.key, w.clock))}
}

func (e *end) half(w *world) *half { return w.half(e.me, e.peer) }

// patience is how many messages in one direction may pass before one is read:
// objects ride on messages 0, 1, 3, 7 and 15 of a chain (SPEC §9.3).
const patience = 10

// tell sends texts until the other end has read one. When it says that it has
// lost the session, a new one is started from a fresh bundle (SPEC §10.6).
func (e *end) tell(other *end, at moment) error {
	fresh := false
	var last error
	for range patience {
		wire, err := e.seal(other, at, fresh)
		if err != nil {
			return fmt.Errorf("stuck: %s cannot send to %s: %w", names[e.me], names[e.peer], err)
		}
		read, err := other.open(wire, at)
		if read {
			return nil
		}
		last = err
		if fresh = err != nil && e.l.fault != neverRepairs; fresh {
			other.newest = e.l.offer(offerName{owner: other.me, generation: 100, halves: bothHalves, at: at})
			other.desk.held = append(other.desk.held, other.newest)
		}
	}
	return fmt.Errorf("stuck: %s reads none of %d messages from %s: %v", names[other.me], patience, names[e.me], last)
}

func (e *end) seal(other *end, at moment, fresh bool) ([]byte, error) {
	current := e.sessions.Sending()
	if current == nil || fresh || errors.Is(current.CanSend(at.time()), pq3.ErrNewSessionNeeded) {
		var err error
		current, err = pq3.Initiate(e.l.cast.identity(e.me), e.l.cast.party(e.peer), other.newest.Bundle(),
			pq3.InitiateOptions{Policy: e.l.policy(), After: e.sessions.LastStart()}, at.time(), e.ent)
		if err != nil {
			return nil, err
		}
	}
	next, wire, err := current.Seal(e.ent, at.time(), []byte("do you read me"), nil)
	if err != nil {
		return nil, err
	}
	e.sessions, _ = e.sessions.With(next)
	return wire, nil
}

// open reads one message. A message that must wait is no error.
func (e *end) open(wire []byte, at moment) (read bool, err error) {
	m, err := pq3.ParseMessage(wire)
	if err != nil {
		return false, err
	}
	var next *pq3.Session
	if s := e.sessions.Find(m.Session()); s != nil {
		next, _, err = s.Open(at.time(), m)
	} else {
		var accepted *pq3.Accepted
		accepted, err = pq3.Accept(e.l.cast.identity(e.me), e.l.cast.party(e.peer), m,
			pq3.AcceptOptions{Policy: e.l.policy(), Prekeys: e.desk, Replays: e.desk}, at.time())
		if err == nil {
			next = accepted.Session
			e.desk.starts = append(e.desk.starts[:len(e.desk.starts):len(e.desk.starts)], acceptedStart{accepted.Replay, accepted.Bundle, at})
		}
	}
	if errors.Is(err, pq3.ErrObjectsMissing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	e.sessions, _ = e.sessions.With(next)
	return true, nil
}

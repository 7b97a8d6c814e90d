package pq3test

import (
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// Endpoint is one device with everything a session layer must remember, kept
// in memory: live sessions with one peer device, prekeys, the replay cache and
// the messages that wait for objects.
type Endpoint struct {
	*pq3.Identity
	Ent      pq3.Entropy
	Policy   pq3.Policy
	Sessions pq3.Sessions
	Prekeys  PrekeyMap
	Replays  *ReplayLog
	Waiting  []*pq3.Message

	prekey *pq3.Prekey
}

// NewEndpoint makes a device with one published bundle.
func NewEndpoint(seed string, policy pq3.Policy, suites ...account.Suite) *Endpoint {
	e := &Endpoint{
		Identity: NewIdentity(seed, suites...), Ent: NewEntropy("run of " + seed), Policy: policy,
		Prekeys: PrekeyMap{}, Replays: &ReplayLog{},
	}
	e.Rotate(Now)
	return e
}

// Rotate publishes a new bundle, valid for 30 days.
func (e *Endpoint) Rotate(now time.Time) *account.Bundle {
	suite := e.Party().Device.Suites[len(e.Party().Device.Suites)-1]
	prekey, err := pq3.NewPrekey(e.Identity, suite, now, now.Add(pq3.BundleLife), e.Ent)
	if err != nil {
		panic(err)
	}
	e.prekey = prekey
	e.Prekeys[prekey.Hash()] = prekey
	return prekey.Bundle()
}

// Bundle is the newest bundle.
func (e *Endpoint) Bundle() *account.Bundle { return e.prekey.Bundle() }

// Send seals a text for the peer, starting a session where the protocol asks
// for one.
func (e *Endpoint) Send(peer *Endpoint, now time.Time, text string, force pq3.Force) ([]byte, error) {
	current := e.Sessions.Sending()
	if current == nil || errors.Is(current.CanSend(now), pq3.ErrNewSessionNeeded) {
		var err error
		current, err = pq3.Initiate(e.Identity, peer.Party(), peer.Bundle(),
			pq3.InitiateOptions{Policy: e.Policy, After: e.Sessions.LastStart()}, now, e.Ent)
		if err != nil {
			return nil, err
		}
	}
	next, message, err := current.SealWith(e.Ent, now, []byte(text), nil, force)
	if err != nil {
		return nil, err
	}
	e.Sessions, _ = e.Sessions.With(next)
	return message, nil
}

// Receive opens one message from the peer and whatever waited for it. A
// message that must wait itself yields no text and no error.
func (e *Endpoint) Receive(peer *Endpoint, now time.Time, wire []byte) (texts []string, err error) {
	m, err := pq3.ParseMessage(wire)
	if err != nil {
		return nil, err
	}
	text, err := e.open(peer, now, m)
	if errors.Is(err, pq3.ErrObjectsMissing) {
		e.Waiting = append(e.Waiting, m)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]string{text}, e.drain(peer, now)...), nil
}

// drain opens what has become openable. Whatever fails for good is dropped.
func (e *Endpoint) drain(peer *Endpoint, now time.Time) (texts []string) {
	var still []*pq3.Message
	for _, m := range e.Waiting {
		text, err := e.open(peer, now, m)
		switch {
		case err == nil:
			texts = append(texts, text)
		case errors.Is(err, pq3.ErrObjectsMissing):
			still = append(still, m)
		}
	}
	e.Waiting = still
	return texts
}

func (e *Endpoint) open(peer *Endpoint, now time.Time, m *pq3.Message) (string, error) {
	if s := e.Sessions.Find(m.Session()); s != nil {
		next, plaintext, err := s.Open(now, m)
		if err != nil {
			return "", err
		}
		e.Sessions, _ = e.Sessions.With(next)
		return string(plaintext), nil
	}
	accepted, err := pq3.Accept(e.Identity, peer.Party(), m,
		pq3.AcceptOptions{Policy: e.Policy, Prekeys: e.Prekeys, Replays: e.Replays}, now)
	if err != nil {
		return "", err
	}
	e.Sessions, _ = e.Sessions.With(accepted.Session)
	e.Replays.Add(accepted, peer.Party().Device.ID, now)
	return string(accepted.Plaintext), nil
}

// Restore replaces every session by what its stored form yields, as a restart
// of the program does.
func (e *Endpoint) Restore(peer *Endpoint) error {
	restored := make(pq3.Sessions, len(e.Sessions))
	for i, s := range e.Sessions {
		next, err := pq3.RestoreSession(e.Identity, peer.Party(), e.Policy, s.MarshalState(), s.MarshalSkipped())
		if err != nil {
			return err
		}
		restored[i] = next
	}
	e.Sessions = restored
	return nil
}

// Fingerprint is the whole stored state of the sessions, to compare.
func (e *Endpoint) Fingerprint() string {
	var b []byte
	for _, s := range e.Sessions {
		b = append(append(b, s.MarshalState()...), s.MarshalSkipped()...)
	}
	return string(b)
}

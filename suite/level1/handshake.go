package level1

import (
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// StartHeader is what the first messages of a session carry, until the peer
// has answered (X3DH §3.3).
type StartHeader struct {
	Identity  PublicIdentity // of the initiator
	Ephemeral [32]byte       // EK; it names the session
	PrekeyID  uint32
	OneTimeID *uint32 // nil where no one-time prekey was left
	Extra     []byte  // of the start addition
}

// initiate is X3DH for the device that writes first.
func (p *Party) initiate(ent suite.Entropy, peer *Record) (*Session, error) {
	var ephemeral secret.Key
	ent.Read(ephemeral[:])
	start := &StartHeader{Identity: p.public, Ephemeral: PublicKey(ephemeral), PrekeyID: peer.PrekeyID}
	pairs := []pair{
		{p.state.Identity.Agreement, peer.Prekey}, // DH1
		{ephemeral, peer.Identity.Agreement},      // DH2
		{ephemeral, peer.Prekey},                  // DH3
	}
	if len(peer.OneTime) > 0 {
		start.OneTimeID = &peer.OneTime[0].ID
		pairs = append(pairs, pair{ephemeral, peer.OneTime[0].Key}) // DH4
	}
	var addition []byte
	if p.design.start != nil {
		var err error
		if addition, start.Extra, err = p.design.start.Encapsulate(ent, peer.Extra); err != nil {
			return nil, err
		}
	}
	sk, err := p.design.startSecret(pairs, addition)
	if err != nil {
		return nil, err
	}
	ratchet, err := beginSending(ent, sk, peer.Prekey)
	if err != nil {
		return nil, p.design.refuse(suite.ErrPrekey, "the signed prekey is of low order")
	}
	return p.design.newSession(sk, start, true, ratchet), nil
}

// respond is X3DH for the device that is written to. It returns the device
// without the one-time prekey that it used.
func (p *Party) respond(start *StartHeader, peer *Record) (*Session, *Party, error) {
	if start.Identity != peer.Identity {
		return nil, nil, p.design.refuse(suite.ErrSignature, "the start is of another identity")
	}
	accepted := AcceptedStart{PrekeyID: start.PrekeyID, Ephemeral: start.Ephemeral}
	if slices.Contains(p.state.Starts, accepted) {
		return nil, nil, p.design.refuse(suite.ErrReplay, "this start was accepted before")
	}
	i := slices.IndexFunc(p.state.Prekeys, func(k Prekey) bool { return k.ID == start.PrekeyID })
	if i < 0 {
		return nil, nil, p.design.refuse(suite.ErrPrekey, "never made here, or erased")
	}
	prekey := p.state.Prekeys[i]
	pairs := []pair{
		{prekey.Private, start.Identity.Agreement},
		{p.state.Identity.Agreement, start.Ephemeral},
		{prekey.Private, start.Ephemeral},
	}
	next := *p
	if start.OneTimeID != nil {
		j := slices.IndexFunc(p.state.OneTime, func(o OneTime) bool { return o.ID == *start.OneTimeID })
		if j < 0 {
			return nil, nil, p.design.refuse(suite.ErrPrekey, "the one-time prekey was used, or never made here")
		}
		pairs = append(pairs, pair{p.state.OneTime[j].Private, start.Ephemeral})
		next.state.OneTime = slices.Delete(slices.Clone(p.state.OneTime), j, j+1)
	}
	next.state.Starts = append(slices.Clone(p.state.Starts), accepted)
	addition, err := p.design.decapsulate(prekey.Extra, start.Extra)
	if err != nil {
		return nil, nil, err
	}
	sk, err := p.design.startSecret(pairs, addition)
	if err != nil {
		return nil, nil, err
	}
	return p.design.newSession(sk, start, false, beginReceiving(sk, prekey.Private)), &next, nil
}

func (d *Design) decapsulate(private, header []byte) ([]byte, error) {
	if d.start == nil {
		if len(header) > 0 {
			return nil, d.refuse(suite.ErrMalformed, "a start with an addition that this level lacks")
		}
		return nil, nil
	}
	return d.start.Decapsulate(private, header)
}

// pair is one agreement to make.
type pair struct {
	private secret.Key
	public  [32]byte
}

func (d *Design) startSecret(pairs []pair, addition []byte) (secret.Key, error) {
	var agreements [][]byte
	for _, p := range pairs {
		shared, err := Agree(p.private, p.public)
		if err != nil {
			return secret.Key{}, d.refuse(suite.ErrPrekey, "a key of low order")
		}
		agreements = append(agreements, shared)
	}
	return StartSecret(d.name, agreements, addition), nil
}

func (d *Design) newSession(sk secret.Key, start *StartHeader, initiator bool, ratchet *Ratchet) *Session {
	s := &Session{Base: start.Ephemeral, Initiator: initiator, Ratchet: *ratchet}
	if initiator {
		s.Start = start
	}
	if d.second != nil {
		s.Second = d.second.Begin(sk[:], initiator)
	}
	return s
}

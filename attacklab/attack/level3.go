package attack

import (
	"cmp"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite/level3"
)

// level3Attack follows every recorded PQ3 session from epoch to epoch, with the
// root keys that it finds or derives. An epoch is open to it as soon as it has
// the root key before it, one of the two ECDH private keys and, where a KEM
// secret goes in, a way to that.
func level3Attack(in Inputs) []Plaintext {
	found := claims{}
	if in.Recording == nil {
		return nil
	}
	b := newBurglar(in)
	for _, s := range b.sessions() {
		b.follow(s)
		for _, e := range s.epochs {
			e.read(found)
		}
	}
	return found.sorted()
}

// burglar is an attacker on Level 3 with everything it has sorted.
type burglar struct {
	in      Inputs
	parties map[string]account.Party
	bundles map[account.BundleHash]*account.Bundle

	scalars map[string]stolen // by the x-coordinate of the public half
	seeds   map[string]stolen // by the encapsulation key
	states  map[pq3.SessionID][]*level3.Session
}

// stolen is a private key out of a seized state.
type stolen struct {
	key []byte
	via Via
}

func newBurglar(in Inputs) *burglar {
	b := &burglar{
		in: in, parties: map[string]account.Party{}, bundles: map[account.BundleHash]*account.Bundle{},
		scalars: map[string]stolen{}, seeds: map[string]stolen{}, states: map[pq3.SessionID][]*level3.Session{},
	}
	for _, c := range in.Recording.Crossings {
		if c.Kind == "record" || c.Kind == "bundle" {
			b.learn(c.Bytes)
		}
	}
	for _, seized := range in.Seized {
		b.ransack(seized.State)
	}
	return b
}

// learn reads a published record: who the device is, and its prekeys.
func (b *burglar) learn(record []byte) {
	r, err := level3.ParseRecord(record)
	if err != nil {
		return
	}
	if _, known := b.parties[r.Name]; !known {
		if party, err := level3.ParseOwner(r.Statement); err == nil {
			b.parties[r.Name] = party
		}
	}
	if bundle, err := account.ParseBundle(r.Bundle); err == nil {
		b.bundles[bundle.Hash()] = bundle
	}
}

// ransack takes every key out of a seized device.
func (b *burglar) ransack(state []byte) {
	s, err := level3.ParseState(state)
	if err != nil {
		return
	}
	for _, held := range s.Prekeys {
		p, err := level3.ParsePrekey(held)
		if err != nil {
			continue
		}
		b.scalars[string(p.Bundle.ECDH[:])] = stolen{p.ECDH[:], StolenPrekey}
		b.seeds[string(p.Bundle.KEM[:])] = stolen{p.KEM[:], StolenPrekey}
	}
	for _, peer := range s.Peers {
		for _, stored := range peer.Sessions {
			if session, err := level3.ParseSession(stored.State, stored.Skipped); err == nil {
				b.take(session)
			}
		}
	}
}

func (b *burglar) take(s *level3.Session) {
	b.states[s.ID] = append(b.states[s.ID], s)
	if s.Send == nil {
		return
	}
	if x, err := publicX(s.Send.RatchetKey[:]); err == nil {
		b.scalars[string(x)] = stolen{s.Send.RatchetKey[:], StolenState}
	}
	if s.Send.KEMSeed != nil {
		b.seeds[string(s.Send.KEMKey)] = stolen{s.Send.KEMSeed[:], StolenState}
	}
}

// taped is one session as the recording shows it.
type taped struct {
	id      pq3.SessionID
	starter account.Party // sends in even epochs
	other   account.Party
	epochs  []*epoch // ascending, some perhaps missing
}

// epoch is one chain of a recorded session.
type epoch struct {
	number  uint32
	opening *level3.Message // ratchet key and objects, merged from all copies
	frames  []tapedFrame

	root   []byte // nil until it is known
	chains []chain
	keys   map[uint32]found // message keys that were stolen one by one
}

type tapedFrame struct {
	number  int
	message *level3.Message
}

// chain is a chain key at a position.
type chain struct {
	index uint32
	key   []byte
	via   Via
}

// found is a message key.
type found struct {
	key []byte
	via Via
}

// sessions sorts the frames by session and epoch.
func (b *burglar) sessions() (all []*taped) {
	byID := map[pq3.SessionID]*taped{}
	for _, f := range b.in.Recording.Frames {
		m, err := level3.ParseMessage(f.Up)
		if err != nil {
			continue
		}
		s := byID[m.Session]
		if s == nil {
			s = b.newTaped(m, f)
			byID[m.Session] = s
			all = append(all, s)
		}
		s.add(m, f.Number)
	}
	for _, s := range all {
		slices.SortFunc(s.epochs, func(a, b *epoch) int { return cmp.Compare(a.number, b.number) })
		b.plant(s)
	}
	return all
}

func (b *burglar) newTaped(m *level3.Message, f harvest.Frame) *taped {
	s := &taped{id: m.Session, starter: b.parties[f.From], other: b.parties[f.To]}
	if m.Epoch%2 == 1 {
		s.starter, s.other = s.other, s.starter
	}
	return s
}

func (s *taped) add(m *level3.Message, number int) {
	e := s.epoch(m.Epoch)
	if e == nil {
		e = &epoch{number: m.Epoch, opening: m, keys: map[uint32]found{}}
		s.epochs = append(s.epochs, e)
	}
	if e.opening.Flags&level3.Carried == 0 && m.Flags&level3.Carried != 0 {
		e.opening = m
	}
	e.frames = append(e.frames, tapedFrame{number, m})
}

func (s *taped) epoch(number uint32) *epoch {
	i := slices.IndexFunc(s.epochs, func(e *epoch) bool { return e.number == number })
	if i < 0 {
		return nil
	}
	return s.epochs[i]
}

// plant puts the keys of seized states at their places.
func (b *burglar) plant(s *taped) {
	for _, seized := range b.states[s.id] {
		if e := s.epoch(seized.Epoch); e != nil && e.root == nil {
			e.root = seized.Root[:]
		}
		if c := seized.Send; c != nil {
			s.chain(seized.Epoch, chain{c.Index, c.ChainKey[:], StolenState})
		}
		if c := seized.Receive; c != nil {
			number := seized.Epoch
			if seized.Send != nil {
				number--
			}
			s.chain(number, chain{c.Index, c.ChainKey[:], StolenState})
		}
		for _, k := range seized.Skipped {
			if e := s.epoch(k.Epoch); e != nil {
				e.keys[k.Index] = found{k.MessageKey[:], StolenState}
			}
		}
	}
}

func (s *taped) chain(number uint32, c chain) {
	if e := s.epoch(number); e != nil {
		e.chains = append(e.chains, c)
	}
}

// read decrypts what the keys of an epoch open.
func (e *epoch) read(texts claims) {
	slices.SortStableFunc(e.chains, func(a, b chain) int {
		return cmp.Or(cmp.Compare(b.via, a.via), cmp.Compare(a.index, b.index))
	})
	slices.SortStableFunc(e.frames, func(a, b tapedFrame) int { return cmp.Compare(a.message.Index, b.message.Index) })
	for _, f := range e.frames {
		key, via, ok := e.key(f.message.Index)
		if !ok {
			continue
		}
		if text, err := level3.Decrypt(key, f.message.Ciphertext); err == nil {
			texts.add(f.number, text, via)
		}
	}
}

// key is the message key of a position. A chain runs forwards only.
func (e *epoch) key(index uint32) (key []byte, via Via, ok bool) {
	if k, have := e.keys[index]; have {
		return k.key, k.via, true
	}
	for i := range e.chains {
		c := &e.chains[i]
		if c.index > index {
			continue
		}
		for c.index <= index {
			mk, next := level3.ChainStep(c.key)
			e.keys[c.index] = found{mk, c.via}
			c.index, c.key = c.index+1, next
		}
		k := e.keys[index]
		return k.key, k.via, true
	}
	return nil, 0, false
}

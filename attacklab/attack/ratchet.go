package attack

import (
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level2"
)

// doubleRatchetAttack is the attacker on Levels 1 and 2 and on the sparse
// ratchet: the Double Ratchet after X3DH or PQXDH. It walks from root key to
// root key, each with the private half of one of two ratchet keys, and knows by
// the tag of a message whether a step was right.
func doubleRatchetAttack(design string) Attacker {
	return func(in Inputs) []Plaintext {
		if in.Recording == nil {
			return nil
		}
		p := newPicklock(design, in)
		p.sort()
		p.begin()
		for _, c := range p.chains {
			p.step(c)
		}
		for _, c := range p.chains {
			c.decrypt(p)
		}
		return p.texts.sorted()
	}
}

// picklock is an attacker on the Double Ratchet with everything it has sorted.
type picklock struct {
	design  string
	in      Inputs
	records map[string][]*level1.Record // by device, every one that crossed a wire
	scalars map[[32]byte]stolen         // by public half
	seeds   map[string]stolen           // of KEM prekeys and ratchet keys, by public half
	chains  []*line                     // in the order of their first message
	lines   map[lineName]*line          // the same
	roots   map[[2]string][]*root       // by sender and receiver of the chain that made them
	sparse  map[talk]*braid
	callers map[[2]string][]string // who started sessions, by pair, the lesser name first
	texts   claims
	agreed  map[[2][32]byte]agreement
}

// lineName tells sending chains apart.
type lineName struct {
	from, to string
	ratchet  [32]byte
}

// talk is one session of a pair, the lesser name first. Where both started one,
// a message without a start does not say which it is of.
type talk struct{ a, b, caller string }

// session is what messages of a session are bound to.
type session struct {
	bound  []byte // associated data
	caller string
}

// line is one sending chain as the recording shows it.
type line struct {
	lineName
	frames []lineFrame
	starts []startKey // keys of the chain at positions
	keys   map[uint32]found
	of     []session // that it may belong to
}

type lineFrame struct {
	number  int
	message *level1.Message
}

type startKey struct {
	index uint32
	key   secret.Key
	via   Via
}

// root is a root key after the step that a ratchet key made.
type root struct {
	ratchet [32]byte
	key     secret.Key
	via     Via
	of      session
	planted bool // out of a seized state or a session start
}

type agreement struct {
	shared []byte
	via    Via
	ok     bool
}

func newPicklock(design string, in Inputs) *picklock {
	p := &picklock{
		design: design, in: in, records: map[string][]*level1.Record{}, scalars: map[[32]byte]stolen{}, seeds: map[string]stolen{},
		lines: map[lineName]*line{}, roots: map[[2]string][]*root{}, sparse: map[talk]*braid{}, callers: map[[2]string][]string{},
		texts: claims{}, agreed: map[[2][32]byte]agreement{},
	}
	for _, c := range in.Recording.Crossings {
		if r, err := level1.ParseRecord(c.Bytes); err == nil {
			p.records[r.Name] = append(p.records[r.Name], r)
		}
	}
	return p
}

// sort puts every recorded message into its chain.
func (p *picklock) sort() {
	for _, f := range p.in.Recording.Frames {
		m, err := level1.ParseMessage(f.Up)
		if err != nil {
			continue
		}
		c := p.line(lineName{f.From, f.To, m.Header.Ratchet})
		c.frames = append(c.frames, lineFrame{f.Number, m})
		if pair := pairOf(f.From, f.To); m.Start != nil && !slices.Contains(p.callers[pair], f.From) {
			p.callers[pair] = append(p.callers[pair], f.From)
		}
	}
}

func pairOf(a, b string) [2]string { return [2]string{min(a, b), max(a, b)} }

func (p *picklock) line(name lineName) *line {
	c := p.lines[name]
	if c == nil {
		c = &line{lineName: name, keys: map[uint32]found{}}
		p.lines[name] = c
		p.chains = append(p.chains, c)
	}
	return c
}

// begin plants what seized states hold, then opens session starts.
func (p *picklock) begin() {
	for _, seized := range p.in.Seized {
		if s, err := level1.ParseState(seized.State); err == nil {
			p.ransack(s)
		}
	}
	for _, c := range p.chains {
		if i := slices.IndexFunc(c.frames, func(f lineFrame) bool { return f.message.Start != nil }); i >= 0 {
			p.start(c, c.frames[i].message.Start)
		}
	}
	for _, c := range p.chains {
		if callers := p.callers[pairOf(c.from, c.to)]; len(callers) == 1 {
			p.assign(c, callers[0])
		}
	}
	for _, b := range p.sparse {
		b.follow(p)
	}
}

// ransack takes every key out of a seized device.
func (p *picklock) ransack(s *level1.State) {
	p.steal(s.Identity.Agreement, StolenPrekey)
	for _, k := range s.Prekeys {
		p.steal(k.Private, StolenPrekey)
		for _, r := range p.records[s.Name] {
			if r.PrekeyID == k.ID && len(k.Extra) > 0 {
				p.seeds[string(r.Extra)] = stolen{k.Extra, StolenPrekey}
			}
		}
	}
	for _, o := range s.OneTime {
		p.steal(o.Private, StolenPrekey)
	}
	for _, peer := range s.Peers {
		for _, session := range peer.Sessions {
			p.take(s, peer.Record, session)
		}
	}
}

func (p *picklock) steal(private secret.Key, via Via) {
	p.scalars[level1.PublicKey(private)] = stolen{private[:], via}
}

// take plants the keys of one seized session.
func (p *picklock) take(s *level1.State, peer *level1.Record, stored *level1.Session) {
	of := session{level1.Associated(s.Identity.Public(), peer.Identity), s.Name}
	if !stored.Initiator {
		of = session{level1.Associated(peer.Identity, s.Identity.Public()), peer.Name}
	}
	r := &stored.Ratchet
	last := &root{ratchet: r.Peer, key: r.Root, via: StolenState, of: of, planted: true}
	made := [2]string{peer.Name, s.Name}
	if r.Own != nil {
		p.steal(*r.Own, StolenState)
		last.ratchet, made = level1.PublicKey(*r.Own), [2]string{s.Name, peer.Name}
	}
	p.roots[made] = append(p.roots[made], last)
	if r.Send != nil {
		p.plant(lineName{s.Name, peer.Name, last.ratchet}, startKey{r.Send.Index, r.Send.Key, StolenState}, of)
	}
	if r.Receive != nil {
		p.plant(lineName{peer.Name, s.Name, r.Peer}, startKey{r.Receive.Index, r.Receive.Key, StolenState}, of)
	}
	for _, k := range r.Skipped {
		if c := p.lines[lineName{peer.Name, s.Name, k.Peer}]; c != nil {
			c.keys[k.Index] = found{slices.Clone(k.MessageKey[:]), StolenState}
			c.of = append(c.of, of)
		}
	}
	if p.design == "level3-sparse" {
		p.braid(s.Name, peer.Name, of.caller).ransack(s.Name, peer.Name, stored)
	}
}

func (p *picklock) plant(name lineName, key startKey, of session) {
	if c := p.lines[name]; c != nil {
		c.starts = append(c.starts, key)
		c.of = append(c.of, of)
	}
}

// start opens a session start: SK of X3DH or PQXDH, and from it the root that
// the responder's prekey stands for.
func (p *picklock) start(c *line, s *level1.StartHeader) {
	r, oneTime := p.prekeys(c.to, s)
	if r == nil {
		return
	}
	pairs := [][2][32]byte{{s.Identity.Agreement, r.Prekey}, {s.Ephemeral, r.Identity.Agreement}, {s.Ephemeral, r.Prekey}}
	if oneTime != nil {
		pairs = append(pairs, [2][32]byte{s.Ephemeral, *oneTime})
	}
	via := Derived
	var agreements [][]byte
	for _, pair := range pairs {
		a := p.agree(pair[0], pair[1])
		if !a.ok {
			return
		}
		agreements, via = append(agreements, a.shared), min(via, a.via)
	}
	addition, viaKEM, ok := p.addition(r, s)
	if !ok {
		return
	}
	via = min(via, viaKEM)
	sk := level1.StartSecret(p.design, agreements, addition)
	made := [2]string{c.to, c.from}
	p.roots[made] = append(p.roots[made], &root{ratchet: r.Prekey, key: sk, via: via, of: session{level1.Associated(s.Identity, r.Identity), c.from}, planted: true})
	if p.design == "level3-sparse" {
		p.braid(c.from, c.to, c.from).begin(sk, via)
	}
}

// prekeys finds the record whose prekeys a start used.
func (p *picklock) prekeys(device string, s *level1.StartHeader) (signed *level1.Record, oneTime *[32]byte) {
	for _, r := range p.records[device] {
		if r.PrekeyID != s.PrekeyID {
			continue
		}
		signed = r
		for _, o := range r.OneTime {
			if s.OneTimeID != nil && o.ID == *s.OneTimeID {
				key := o.Key
				return r, &key
			}
		}
	}
	if s.OneTimeID != nil {
		return nil, nil
	}
	return signed, nil
}

// addition is the KEM secret of a start; nil at Level 1 and as a guess.
func (p *picklock) addition(r *level1.Record, s *level1.StartHeader) (kemSecret []byte, via Via, ok bool) {
	if len(s.Extra) == 0 {
		return nil, Derived, true
	}
	if stolen, have := p.seeds[string(r.Extra)]; have {
		kemSecret, err := level2.Decapsulate(stolen.key, s.Extra)
		return kemSecret, stolen.via, err == nil
	}
	if p.in.KEM == nil {
		// Level 2 is tried as if the secret had never gone in: should it ever be
		// forgotten, its claim fails. The tag of a message decides.
		return nil, Derived, p.design == "level2"
	}
	kemSecret, err := p.in.KEM.Secret(r.Extra, s.Extra)
	return kemSecret, Derived, err == nil
}

// agree computes an X25519 secret from the private half of either key.
func (p *picklock) agree(a, b [32]byte) agreement {
	name := [2][32]byte{a, b}
	if known, tried := p.agreed[name]; tried {
		return known
	}
	result := agreement{}
	for _, pair := range [][2][32]byte{{a, b}, {b, a}} {
		if p.in.Quantum == nil || result.ok {
			break
		}
		if private, err := p.in.Quantum.X25519(pair[0][:]); err == nil {
			shared, err := level1.Agree(secret.Key(private), pair[1])
			result = agreement{shared, Derived, err == nil}
		}
	}
	for _, pair := range [][2][32]byte{{a, b}, {b, a}} {
		if s, have := p.scalars[pair[0]]; have && !result.ok {
			shared, err := level1.Agree(secret.Key(s.key), pair[1])
			result = agreement{shared, s.via, err == nil}
		}
	}
	p.agreed[name] = result
	return result
}

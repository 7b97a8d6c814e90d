package attack

import (
	"cmp"
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite/level1"
	"github.com/posthorn/posthorn/suite/level3sparse"
)

// braid is the KEM ratchet of one pair of devices as the recording shows it:
// pieces of keys and ciphertexts, put together again, and the keys of every
// epoch that the attacker can open.
type braid struct {
	talk
	assigned map[lineName]bool
	pieces   map[objectName][]level3sparse.Piece
	epochs   map[uint32]epochKeys
	starts   map[direction][]startKey
	keys     map[direction]map[uint32]found
	seeds    map[string]stolen // by the encapsulation key, or its first piece
	last     uint32
}

type objectName struct {
	epoch uint32 // of the messages that carry it
	kind  level3sparse.Kind
}

// direction is one chain: the messages of a device in an epoch.
type direction struct {
	from  string
	epoch uint32
}

// epochKeys are root and proof key of an epoch.
type epochKeys struct {
	level3sparse.Keys
	via Via
}

func (p *picklock) braid(a, b, caller string) *braid {
	name := talk{min(a, b), max(a, b), caller}
	known := p.sparse[name]
	if known == nil {
		known = &braid{
			talk: name, assigned: map[lineName]bool{},
			pieces: map[objectName][]level3sparse.Piece{}, epochs: map[uint32]epochKeys{},
			starts: map[direction][]startKey{}, keys: map[direction]map[uint32]found{}, seeds: map[string]stolen{},
		}
		p.sparse[name] = known
	}
	return known
}

// assign says that a chain belongs to a session: the pieces in its messages are
// of that session's exchanges.
func (p *picklock) assign(c *line, caller string) {
	if p.design != "level3-sparse" {
		return
	}
	b := p.braid(c.from, c.to, caller)
	if b.assigned[c.lineName] {
		return
	}
	b.assigned[c.lineName] = true
	for _, f := range c.frames {
		b.add(f.message)
	}
	b.follow(p)
}

// add collects the piece that a message carries.
func (b *braid) add(m *level1.Message) {
	h, err := level3sparse.ParseHeader(m.Second)
	if err != nil {
		return
	}
	b.last = max(b.last, h.Epoch)
	name := objectName{h.Epoch, h.Kind}
	known := func(p level3sparse.Piece) bool { return p.Index == h.Piece.Index }
	if h.Kind != level3sparse.NoPiece && !slices.ContainsFunc(b.pieces[name], known) {
		b.pieces[name] = append(b.pieces[name], h.Piece)
	}
}

// begin takes the keys of epoch 0 from the secret of the session start.
func (b *braid) begin(sk secret.Key, via Via) {
	b.epochs[0] = epochKeys{level3sparse.BeginKeys(sk[:]), via}
}

// ransack takes the keys of a seized KEM ratchet.
func (b *braid) ransack(device, peer string, session *level1.Session) {
	s, err := level3sparse.ParseState(session.Second)
	if err != nil {
		return
	}
	add := func(from string, epoch, index uint32, key secret.Key) {
		d := direction{from, epoch}
		b.starts[d] = append(b.starts[d], startKey{index, key, StolenState})
	}
	add(device, s.Send.Epoch, s.Send.Index, s.Send.Key)
	add(peer, s.Receive.Epoch, s.Receive.Index, s.Receive.Key)
	newest := s.Send.Epoch
	if s.NextSend != nil {
		newest++
		add(device, newest, 0, *s.NextSend)
	}
	if s.NextReceive != nil {
		add(peer, s.Receive.Epoch+1, 0, *s.NextReceive)
	}
	for _, k := range s.Skipped {
		b.found(direction{peer, k.Epoch})[k.Index] = found{slices.Clone(k.MessageKey[:]), StolenState}
	}
	if _, have := b.epochs[newest]; !have {
		b.epochs[newest] = epochKeys{s.Keys, StolenState}
	}
	if s.Seed != nil && len(s.Object) >= level3sparse.PieceSize {
		b.seeds[string(s.Object[:level3sparse.PieceSize])] = stolen{s.Seed[:], StolenState}
	}
}

func (b *braid) found(d direction) map[uint32]found {
	if b.keys[d] == nil {
		b.keys[d] = map[uint32]found{}
	}
	return b.keys[d]
}

// follow opens every epoch that can be opened, in their order. One more than the
// pieces are of is tried: a chain may begin in an epoch that no chain assigned so
// far has reached.
func (b *braid) follow(p *picklock) {
	for e := uint32(0); e <= b.last+1; e++ {
		keys, known := b.epochs[e]
		if !known {
			continue
		}
		b.unlock(e, keys)
		if _, have := b.epochs[e+1]; have {
			continue
		}
		if kemSecret, via, ok := b.exchange(p, e); ok {
			b.epochs[e+1] = epochKeys{level3sparse.EpochKeys(keys.Keys, kemSecret), min(via, keys.via)}
		}
	}
}

// unlock puts the first chain keys of a derived epoch at their places. A seized
// state has moved on from them.
func (b *braid) unlock(e uint32, keys epochKeys) {
	if keys.Initiator == (secret.Key{}) {
		return
	}
	for _, end := range []string{b.a, b.b} {
		d, key := direction{end, e}, keys.Responder
		if end == b.caller {
			key = keys.Initiator
		}
		if !b.has(d, keys.via) {
			b.starts[d] = append(b.starts[d], startKey{0, key, keys.via})
		}
	}
}

// has reports whether a chain's beginning is there already.
func (b *braid) has(d direction, via Via) bool {
	return slices.ContainsFunc(b.starts[d], func(s startKey) bool { return s.index == 0 && s.via == via })
}

// exchange puts key and ciphertext together from their pieces and opens it.
func (b *braid) exchange(p *picklock, e uint32) (kemSecret []byte, via Via, ok bool) {
	key, ok := b.object(e, level3sparse.KeyPiece, level3sparse.KeyPieces)
	if !ok {
		return nil, 0, false
	}
	ciphertext, ok := b.object(e, level3sparse.CiphertextPiece, level3sparse.CiphertextPieces)
	if !ok {
		return nil, 0, false
	}
	if s, have := b.seeds[string(key[:level3sparse.PieceSize])]; have {
		kemSecret, err := level3sparse.Decapsulate(secret.Seed64(s.key), ciphertext)
		return kemSecret, s.via, err == nil
	}
	if p.in.KEM == nil {
		return nil, 0, false
	}
	kemSecret, err := p.in.KEM.Secret(key, ciphertext)
	return kemSecret, Derived, err == nil
}

// object is a key or ciphertext without its proof.
func (b *braid) object(e uint32, kind level3sparse.Kind, pieces int) ([]byte, bool) {
	got := b.pieces[objectName{e, kind}]
	if len(got) < pieces {
		return nil, false
	}
	object, err := level3sparse.Rebuild(got[:pieces], pieces)
	if err != nil {
		return nil, false
	}
	return object[:len(object)-level3sparse.PieceSize], true
}

// key is this ratchet's key of a message.
func (b *braid) key(from string, m *level1.Message) (key []byte, via Via, ok bool) {
	h, err := level3sparse.ParseHeader(m.Second)
	if err != nil {
		return nil, 0, false
	}
	d := direction{from, h.Epoch}
	keys := b.found(d)
	if k, have := keys[h.Index]; have {
		return k.key, k.via, true
	}
	starts := b.starts[d]
	slices.SortStableFunc(starts, func(a, b startKey) int {
		return cmp.Or(cmp.Compare(b.via, a.via), cmp.Compare(a.index, b.index))
	})
	for i := range starts {
		s := starts[i]
		if s.index > h.Index {
			continue
		}
		for s.index <= h.Index {
			mk, next := level3sparse.ChainStep(s.key)
			if _, have := keys[s.index]; !have {
				keys[s.index] = found{mk[:], s.via}
			}
			s.index, s.key = s.index+1, next
		}
		return keys[h.Index].key, keys[h.Index].via, true
	}
	return nil, 0, false
}

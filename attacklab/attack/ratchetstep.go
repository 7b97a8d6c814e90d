package attack

import (
	"cmp"
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite/level1"
)

// recent is how many of the last derived roots are tried for a chain: an honest
// one follows the last, or one before it where messages crossed.
const recent = 3

// step takes the root step that made a chain, if the attacker can.
func (p *picklock) step(c *line) {
	before := p.roots[[2]string{c.to, c.from}]
	derived := 0
	for i := len(before) - 1; i >= 0; i-- {
		r := before[i]
		if !r.planted {
			if derived == recent {
				continue
			}
			derived++
		}
		a := p.agree(c.ratchet, r.ratchet)
		if !a.ok {
			continue
		}
		next, key := level1.RootStep(r.key, a.shared)
		start := startKey{0, key, min(a.via, r.via)}
		if !c.fits(p, start, r.of) {
			continue
		}
		c.starts = append(c.starts, start)
		c.of = append(c.of, r.of)
		p.assign(c, r.of.caller)
		made := [2]string{c.from, c.to}
		if !slices.ContainsFunc(p.roots[made], func(known *root) bool { return known.ratchet == c.ratchet }) {
			p.roots[made] = append(p.roots[made], &root{ratchet: c.ratchet, key: next, via: start.via, of: r.of})
		}
		return
	}
	if len(c.of) > 0 {
		p.assign(c, c.of[0].caller)
	}
}

// fits reports whether a chain key opens one of the chain's messages.
func (c *line) fits(p *picklock, start startKey, of session) bool {
	trial := line{lineName: c.lineName, starts: []startKey{start}, keys: map[uint32]found{}, of: []session{of}}
	for _, f := range c.frames {
		key, _, ok := trial.key(f.message.Header.Index)
		if !ok {
			continue
		}
		if _, _, ok := trial.plain(p, f.message, key); ok {
			return true
		}
	}
	return false
}

// decrypt reads what the keys of a chain open.
func (c *line) decrypt(p *picklock) {
	slices.SortStableFunc(c.starts, func(a, b startKey) int {
		return cmp.Or(cmp.Compare(b.via, a.via), cmp.Compare(a.index, b.index))
	})
	slices.SortStableFunc(c.frames, func(a, b lineFrame) int {
		return cmp.Compare(a.message.Header.Index, b.message.Header.Index)
	})
	for _, f := range c.frames {
		key, via, ok := c.key(f.message.Header.Index)
		if !ok {
			continue
		}
		if text, second, ok := c.plain(p, f.message, key); ok {
			p.texts.add(f.number, text, min(via, second))
		}
	}
}

// key is the message key of a position. A chain runs forwards only.
func (c *line) key(index uint32) (key secret.Key, via Via, ok bool) {
	if k, have := c.keys[index]; have {
		return secret.Key(k.key), k.via, true
	}
	for i := range c.starts {
		s := &c.starts[i]
		if s.index > index {
			continue
		}
		for s.index <= index {
			mk, next := level1.ChainStep(s.key)
			c.keys[s.index] = found{mk[:], s.via}
			s.index, s.key = s.index+1, next
		}
		k := c.keys[index]
		return secret.Key(k.key), k.via, true
	}
	return secret.Key{}, 0, false
}

// plain decrypts a message, with the key of the second ratchet where there is
// one. The tag decides.
func (c *line) plain(p *picklock, m *level1.Message, key secret.Key) (text []byte, via Via, ok bool) {
	for _, of := range c.of {
		joined, via := key, Derived
		if len(m.Second) > 0 {
			second, viaSecond, have := p.braid(c.from, c.to, of.caller).key(c.from, m)
			if !have {
				continue
			}
			joined, via = level1.HybridKey(key, second), viaSecond
		}
		if text, err := level1.Decrypt(joined, m.Ciphertext, m.AppendHeader(slices.Clone(of.bound))); err == nil {
			return text, via, true
		}
	}
	return nil, 0, false
}

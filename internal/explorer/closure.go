package explorer

import (
	"cmp"
	"slices"
)

// clause is one way to learn a term: whoever knows the body knows the head.
type clause struct {
	head *term
	body []*term
}

// rules are what an attacker can do with one epoch whose messages were seen.
// Public values (ratchet keys, KEM keys, ciphertexts, identities) are on the
// wire and stand in no body.
func (l *lab) rules(e *epoch) (out []clause) {
	learn := func(head *term, body ...*term) { out = append(out, clause{head, body}) }
	// An ECDH secret takes the private key of either side, or a quantum
	// computer, which finds one from its public half.
	learn(e.dh, e.ratchet)
	learn(e.dh, e.agreedWith)
	if l.fault != forgetsQuantumRule {
		learn(e.dh, l.able)
	}
	inputs := []*term{e.dh}
	// A KEM secret takes the seed; P-256 being broken does not help.
	if e.kem != nil && !(l.fault == skipsKEMAnswer && e.parent != nil) {
		learn(e.kem, e.answered)
		inputs = append(inputs, e.kem)
	}
	// The root step takes all of its inputs. In epoch 0 the first is constant.
	if e.parent != nil {
		inputs = append(inputs, e.parent.root)
	}
	learn(e.root, inputs...)
	learn(e.chain[0], inputs...)
	// Root and first chain key are two parts of one output: neither gives the
	// other. The chain runs forward only.
	if l.fault == takesRootForChain {
		learn(e.chain[0], e.root)
	}
	for n := range e.messages {
		learn(e.messages[n], e.chain[n])
		learn(e.chain[n+1], e.chain[n])
	}
	return out
}

// known is everything derivable from the wire and the leaks of a state.
func (l *lab) known(w *world) map[*term]bool {
	known := make(map[*term]bool, 64)
	for _, t := range w.leaks.terms {
		known[t] = true
	}
	if w.leaks.quantum {
		known[l.able] = true
	}
	if len(known) == 0 {
		return known
	}
	epochs := w.epochs()
	for grew := true; grew; {
		grew = false
		for _, e := range epochs {
			for i := range e.clauses {
				c := &e.clauses[i]
				if !known[c.head] && all(known, c.body) {
					known[c.head], grew = true, true
				}
			}
		}
	}
	return known
}

func all(known map[*term]bool, body []*term) bool {
	for _, t := range body {
		if !known[t] {
			return false
		}
	}
	return true
}

// epochs are those of which an observer has seen a message, earlier ones
// first.
func (w *world) epochs() (out []*epoch) {
	for _, p := range w.mail {
		if p.seen() && !slices.Contains(out, p.epoch) {
			out = append(out, p.epoch)
		}
	}
	slices.SortFunc(out, func(a, b *epoch) int { return cmp.Compare(a.number, b.number) })
	return out
}

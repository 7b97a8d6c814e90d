package check

import (
	"encoding/binary"
	"strings"
)

// term is a variable or a symbol with arguments. Equal terms are one pointer:
// a bank makes each once, so big terms that repeat cost nothing.
type term struct {
	id     int
	symbol string // "" for a variable
	number int    // of a variable
	args   []*term
	ground bool
	size   int
}

// bank holds every term of one run.
type bank struct {
	terms map[string]*term
	vars  []*term
	swaps map[string]string // symmetric functions f(x, p(y)) = f(y, p(x)): f to p
}

func newBank(functions map[string]*function) *bank {
	b := &bank{terms: map[string]*term{}, swaps: map[string]string{}}
	for _, f := range functions {
		if f.swap != "" {
			b.swaps[f.name] = f.swap
		}
	}
	return b
}

func (b *bank) variable(n int) *term {
	for len(b.vars) <= n {
		b.vars = append(b.vars, &term{id: -1 - len(b.vars), number: len(b.vars), size: 1})
	}
	return b.vars[n]
}

// ordered picks one of the two forms of a symmetric term, where its arguments
// say which: substitution never changes their symbols, so the choice stays. All
// others exist in both forms, because compute makes both.
func (b *bank) ordered(symbol string, args []*term) []*term {
	p := b.swaps[symbol]
	if p == "" || args[1].symbol != p {
		return args
	}
	x, y := args[0], args[1].args[0]
	if x.isVar() || y.isVar() || x.symbol <= y.symbol {
		return args
	}
	return []*term{y, b.apply(p, x)}
}

// apply makes symbol(args...). The symbol of a tuple is "".
func (b *bank) apply(symbol string, args ...*term) *term {
	args = b.ordered(symbol, args)
	if symbol == "" {
		symbol = "()"
	}
	key := make([]byte, 0, len(symbol)+1+8*len(args))
	key = append(append(key, symbol...), 0)
	t := &term{symbol: symbol, args: args, ground: true, size: 1}
	for _, a := range args {
		key = binary.LittleEndian.AppendUint64(key, uint64(a.id))
		t.ground = t.ground && a.ground
		t.size = min(t.size+a.size, 1<<30)
	}
	if known := b.terms[string(key)]; known != nil {
		return known
	}
	t.id = len(b.terms)
	b.terms[string(key)] = t
	return t
}

func (t *term) isVar() bool { return t.symbol == "" }

func (t *term) isTuple() bool { return t.symbol == "()" }

func (t *term) String() string {
	if t.isVar() {
		return "x" + strings.Repeat("'", t.number/26) + string(rune('a'+t.number%26))
	}
	if len(t.args) == 0 {
		return t.symbol
	}
	if strings.HasPrefix(t.symbol, "new ") {
		return strings.TrimPrefix(t.symbol, "new ")
	}
	parts := make([]string, len(t.args))
	for i, a := range t.args {
		parts[i] = a.String()
	}
	return strings.TrimPrefix(t.symbol, "()") + "(" + strings.Join(parts, ", ") + ")"
}

// binding maps variables, by number, to terms that may hold further ones.
type binding []*term

func (s *binding) set(n int, t *term) {
	for len(*s) <= n {
		*s = append(*s, nil)
	}
	(*s)[n] = t
}

func (s binding) get(n int) *term {
	if n < len(s) {
		return s[n]
	}
	return nil
}

// walk follows a variable to what it is bound to.
func (s binding) walk(t *term) *term {
	for t.isVar() {
		next := s.get(t.number)
		if next == nil {
			return t
		}
		t = next
	}
	return t
}

// unify makes two terms equal by extending s, or reports that nothing does.
func (s *binding) unify(a, b *term) bool {
	a, b = s.walk(a), s.walk(b)
	switch {
	case a == b:
		return true
	case a.isVar():
		if s.occurs(a, b, map[*term]bool{}) {
			return false
		}
		s.set(a.number, b)
		return true
	case b.isVar():
		return s.unify(b, a)
	case a.symbol != b.symbol || len(a.args) != len(b.args) || a.ground && b.ground:
		return false
	}
	for i := range a.args {
		if !s.unify(a.args[i], b.args[i]) {
			return false
		}
	}
	return true
}

func (s binding) occurs(v, t *term, seen map[*term]bool) bool {
	t = s.walk(t)
	if t == v {
		return true
	}
	if t.ground || t.isVar() || seen[t] {
		return false
	}
	seen[t] = true
	for _, a := range t.args {
		if s.occurs(v, a, seen) {
			return true
		}
	}
	return false
}

// resolve replaces every bound variable of t, sharing work through memo.
func (s binding) resolve(b *bank, t *term, memo map[*term]*term) *term {
	t = s.walk(t)
	if t.ground || t.isVar() {
		return t
	}
	if done := memo[t]; done != nil {
		return done
	}
	args := make([]*term, len(t.args))
	for i, a := range t.args {
		args[i] = s.resolve(b, a, memo)
	}
	made := b.apply(t.symbol, args...)
	memo[t] = made
	return made
}

// match binds variables of pattern so that it becomes t. Variables of t stay.
func (s *binding) match(pattern, t *term, trail *[]int) bool {
	if pattern.isVar() {
		if bound := s.get(pattern.number); bound != nil {
			return bound == t
		}
		s.set(pattern.number, t)
		*trail = append(*trail, pattern.number)
		return true
	}
	if pattern == t && pattern.ground {
		return true
	}
	if pattern.ground || t.isVar() || pattern.symbol != t.symbol || len(pattern.args) != len(t.args) || pattern.size > t.size {
		return false
	}
	for i := range pattern.args {
		if !s.match(pattern.args[i], t.args[i], trail) {
			return false
		}
	}
	return true
}

func (s binding) undo(trail []int, from int) []int {
	for _, n := range trail[from:] {
		s[n] = nil
	}
	return trail[:from]
}

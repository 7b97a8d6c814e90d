package check

import (
	"slices"
	"strings"
)

// fact is a predicate about terms: "att0" and "att1" for what the attacker
// knows in a phase, "table NAME 0" for a row, "begin NAME" for an event that
// has happened, "end NAME" for one that a query asks about, "goal".
type fact struct {
	predicate string
	args      []*term
}

// isKnowledge says that the fact is about the attacker.
func (f fact) isKnowledge() bool { return strings.HasPrefix(f.predicate, "att") }

// open says that the fact is never resolved upon: events are conditions, and
// the attacker always knows something.
func (f fact) open() bool {
	return strings.HasPrefix(f.predicate, "begin ") || f.isKnowledge() && f.args[0].isVar()
}

func (f fact) size() (n int) {
	for _, a := range f.args {
		n += a.size
	}
	return n
}

func (f fact) same(g fact) bool { return f.predicate == g.predicate && slices.Equal(f.args, g.args) }

func (f fact) String() string {
	parts := make([]string, len(f.args))
	for i, a := range f.args {
		parts[i] = a.String()
	}
	return strings.TrimPrefix(f.predicate, "begin ") + "(" + strings.Join(parts, ", ") + ")"
}

// clause says that its head holds when its conditions do.
type clause struct {
	conditions []fact
	head       fact
	selected   int // the condition to resolve upon, -1 when all are open
	weight     int
	heads      map[string]int // how many conditions of each predicate
	next       int            // the first unused variable
	dropped    bool           // a kept clause says as much
}

// normal gives a clause under a substitution: variables renumbered, tuples
// taken apart, conditions that say nothing left out. A head that is a tuple
// becomes several clauses; a clause whose head is among its conditions none.
func (e *engine) normal(s binding, conditions []fact, head fact) []*clause {
	memo := map[*term]*term{}
	under := func(f fact) fact {
		g := fact{f.predicate, make([]*term, len(f.args))}
		for i, a := range f.args {
			g.args[i] = s.resolve(e.bank, a, memo)
		}
		return g
	}
	var all []fact
	for _, f := range conditions {
		all = apart(all, under(f))
	}
	var out []*clause
	for _, h := range apart(nil, under(head)) {
		if c := e.finish(all, h); c != nil {
			out = append(out, c)
		}
	}
	return out
}

// apart splits what the attacker knows of a tuple into its parts.
func apart(list []fact, f fact) []fact {
	if f.isKnowledge() && f.args[0].isTuple() {
		for _, part := range f.args[0].args {
			list = apart(list, fact{f.predicate, []*term{part}})
		}
		return list
	}
	if slices.ContainsFunc(list, f.same) {
		return list
	}
	return append(list, f)
}

func (e *engine) finish(conditions []fact, head fact) *clause {
	conditions = withoutStrangers(e.withoutIdle(conditions, head), head)
	if slices.ContainsFunc(conditions, head.same) {
		return nil
	}
	c := &clause{conditions: make([]fact, len(conditions)), selected: -1, heads: map[string]int{}}
	var renaming binding
	memo := map[*term]*term{}
	rename := func(f fact) fact {
		g := fact{f.predicate, make([]*term, len(f.args))}
		for i, a := range f.args {
			g.args[i] = e.renumber(a, &renaming, &c.next, memo)
		}
		return g
	}
	c.head = rename(head)
	c.weight = c.head.size()
	best := 0
	for i, f := range conditions {
		c.conditions[i] = rename(f)
		c.heads[f.predicate]++
		c.weight += f.size()
		if n := f.size(); !f.open() && n > best {
			best, c.selected = n, i
		}
	}
	return c
}

// withoutIdle drops what everybody knows, what the attacker knows of variables
// that stand nowhere else, and what it knows already in the earlier phase.
func (e *engine) withoutIdle(conditions []fact, head fact) []fact {
	used := map[*term]bool{}
	visit := func(f fact) {
		for _, a := range f.args {
			markVars(a, used, map[*term]bool{})
		}
	}
	visit(head)
	early := map[*term]bool{}
	for _, f := range conditions {
		if !f.isKnowledge() || !f.args[0].isVar() {
			visit(f)
		}
		if f.predicate == "att0" {
			early[f.args[0]] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(conditions), func(f fact) bool {
		if !f.isKnowledge() {
			return false
		}
		if c, constant := e.model.constants[f.args[0].symbol]; constant && !c.private {
			return true
		}
		return f.args[0].isVar() && !used[f.args[0]] || f.predicate != "att0" && early[f.args[0]]
	})
}

// withoutStrangers drops events with a variable that stands nowhere else in the
// clause. No resolution can bind it, so the event will never be one about the
// arguments of the goal, and those are all that a query asks for.
func withoutStrangers(conditions []fact, head fact) []fact {
	used := map[*term]bool{}
	seen := map[*term]bool{}
	isEvent := func(f fact) bool { return strings.HasPrefix(f.predicate, "begin ") }
	for _, f := range append(conditions[:len(conditions):len(conditions)], head) {
		for _, a := range f.args {
			if !isEvent(f) {
				markVars(a, used, seen)
			}
		}
	}
	return slices.DeleteFunc(conditions, func(f fact) bool {
		own := map[*term]bool{}
		for _, a := range f.args {
			markVars(a, own, map[*term]bool{})
		}
		for v := range own {
			if isEvent(f) && !used[v] {
				return true
			}
		}
		return false
	})
}

func markVars(t *term, used, seen map[*term]bool) {
	if t.ground || seen[t] {
		return
	}
	seen[t] = true
	if t.isVar() {
		used[t] = true
	}
	for _, a := range t.args {
		markVars(a, used, seen)
	}
}

// renumber gives variables the numbers 0, 1, 2, … in order of appearance.
func (e *engine) renumber(t *term, renaming *binding, next *int, memo map[*term]*term) *term {
	switch {
	case t.ground:
		return t
	case t.isVar():
		if renaming.get(t.number) == nil {
			renaming.set(t.number, e.bank.variable(*next))
			*next++
		}
		return renaming.get(t.number)
	case memo[t] != nil:
		return memo[t]
	}
	args := make([]*term, len(t.args))
	for i, a := range t.args {
		args[i] = e.renumber(a, renaming, next, memo)
	}
	memo[t] = e.bank.apply(t.symbol, args...)
	return memo[t]
}

// shifted gives the facts of a clause with all variables moved up by n.
func (e *engine) shifted(c *clause, n int) (conditions []fact, head fact) {
	memo := map[*term]*term{}
	var shift binding
	for i := range c.next {
		shift = append(shift, e.bank.variable(i+n))
	}
	move := func(f fact) fact {
		g := fact{f.predicate, make([]*term, len(f.args))}
		for i, a := range f.args {
			g.args[i] = e.replace(a, shift, memo)
		}
		return g
	}
	for _, f := range c.conditions {
		conditions = append(conditions, move(f))
	}
	return conditions, move(c.head)
}

// replace substitutes once, without following what it put in.
func (e *engine) replace(t *term, s binding, memo map[*term]*term) *term {
	switch {
	case t.ground:
		return t
	case t.isVar():
		return s[t.number]
	case memo[t] != nil:
		return memo[t]
	}
	args := make([]*term, len(t.args))
	for i, a := range t.args {
		args[i] = e.replace(a, s, memo)
	}
	memo[t] = e.bank.apply(t.symbol, args...)
	return memo[t]
}

// subsumes reports whether c says at least what d says: under some binding its
// head is d's and its conditions are among d's.
func (c *clause) subsumes(d *clause) bool {
	if c.head.predicate != d.head.predicate || len(c.conditions) > len(d.conditions) || c.weight > d.weight {
		return false
	}
	for p := range c.heads {
		if d.heads[p] == 0 {
			return false
		}
	}
	var s binding
	var trail []int
	for i, a := range c.head.args {
		if !s.match(a, d.head.args[i], &trail) {
			return false
		}
	}
	return c.covers(d, 0, &s, trail)
}

func (c *clause) covers(d *clause, i int, s *binding, trail []int) bool {
	if i == len(c.conditions) {
		return true
	}
	f := c.conditions[i]
	from := len(trail)
	for _, g := range d.conditions {
		if f.predicate != g.predicate {
			continue
		}
		ok := true
		for k := range f.args {
			ok = ok && s.match(f.args[k], g.args[k], &trail)
		}
		if ok && c.covers(d, i+1, s, trail) {
			return true
		}
		trail = s.undo(trail, from)
	}
	return false
}

package check

// derived reports whether solved clauses already give what c says: one of them
// has c's head, and each of its conditions is a condition of c or the head of
// another solved clause whose conditions are. Both must be solved: then every
// use of c in a derivation can be replaced without a new use of a clause that
// has yet to be resolved, so nothing is lost.
func (e *engine) derived(c *clause) bool {
	for _, g := range e.solved[c.head.predicate] {
		if !mayMeet(g.head, c.head) {
			continue
		}
		var s binding
		var trail []int
		fits := true
		for i, a := range g.head.args {
			fits = fits && s.match(a, c.head.args[i], &trail)
		}
		if fits && e.derivable(g, c, 0, s, trail) {
			return true
		}
	}
	return false
}

// derivable finds the conditions of g from the i-th on in c, or derives them.
func (e *engine) derivable(g, c *clause, i int, s binding, trail []int) bool {
	if i == len(g.conditions) {
		return true
	}
	f := g.conditions[i]
	from := len(trail)
	for _, own := range c.conditions {
		if f.predicate != own.predicate {
			continue
		}
		fits := true
		for k := range f.args {
			fits = fits && s.match(f.args[k], own.args[k], &trail)
		}
		if fits && e.derivable(g, c, i+1, s, trail) {
			return true
		}
		trail = s.undo(trail, from)
	}
	wanted, whole := e.instance(f, s)
	return whole && e.inOneStep(wanted, c) && e.derivable(g, c, i+1, s, trail)
}

// instance is a fact under a matching; whole says that no variable is left.
func (e *engine) instance(f fact, s binding) (g fact, whole bool) {
	g = fact{f.predicate, make([]*term, len(f.args))}
	memo := map[*term]*term{}
	for i, a := range f.args {
		vars := map[*term]bool{}
		markVars(a, vars, map[*term]bool{})
		for v := range vars {
			if s.get(v.number) == nil {
				return g, false
			}
		}
		g.args[i] = e.replace(a, s, memo)
	}
	return g, true
}

// inOneStep derives a fact from conditions of c with one solved clause.
func (e *engine) inOneStep(wanted fact, c *clause) bool {
	for _, d := range e.solved[wanted.predicate] {
		if !mayMeet(d.head, wanted) {
			continue
		}
		var s binding
		var trail []int
		fits := true
		for i, a := range d.head.args {
			fits = fits && s.match(a, wanted.args[i], &trail)
		}
		if fits && d.covers(c, 0, &s, trail) {
			return true
		}
	}
	return false
}

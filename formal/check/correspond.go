package check

import "fmt"

// goals adds, for a query about two events, the clause that joins them. An
// event that stands alone on the left leads to the goal directly.
func (e *engine) goals() {
	if len(e.query.left) == 1 {
		return
	}
	vars, list := e.queryVars()
	var conditions []fact
	for i, left := range e.query.left {
		conditions = append(conditions, fact{fmt.Sprintf("end %d", i), []*term{e.plain(&expr{call: true, args: left.args}, vars)}})
	}
	e.add(nil, conditions, fact{"goal", list})
}

// queryVars gives the variables of the query, by name and in order.
func (e *engine) queryVars() (vars map[string]*term, list []*term) {
	vars = map[string]*term{}
	for _, v := range e.query.vars {
		vars[v.name] = e.fresh()
		list = append(list, vars[v.name])
	}
	return vars, list
}

// asks adds the clause by which an event answers the left side of the query.
func (e *engine) asks(name string, args []*term, s state) {
	happened := e.bank.apply("", args...)
	for i, left := range e.query.left {
		if left.name != name {
			continue
		}
		if len(e.query.left) > 1 {
			e.add(s.solved, s.conditions, fact{fmt.Sprintf("end %d", i), []*term{happened}})
			continue
		}
		vars, list := e.queryVars()
		solved := s.clone().solved
		if solved.unify(happened, e.plain(&expr{call: true, args: left.args}, vars)) {
			e.add(solved, s.conditions, fact{"goal", list})
		}
	}
}

// excused reports whether the right side of the query follows from the events
// that a goal clause already has. More resolution only adds to them.
func (e *engine) excused(c *clause) bool {
	if c.head.predicate != "goal" {
		return false
	}
	for _, all := range e.query.any {
		if e.follows(c, all, nil, nil) {
			return true
		}
	}
	return false
}

// follows looks for events of the clause that match a list, and checks the
// equations under the values found. Variables of the clause stand for
// themselves: they are moved out of the way of those of the query.
func (e *engine) follows(c *clause, all []*expr, s binding, trail []int) bool {
	vars := map[string]*term{}
	for i, v := range e.query.vars {
		vars[v.name] = e.bank.variable(i)
	}
	n := len(e.query.vars)
	conditions, head := e.shifted(c, n)
	onRight := map[string]bool{}
	for _, f := range all {
		collect(f, onRight)
	}
	onLeft := map[string]bool{}
	for _, f := range e.query.left {
		collect(f, onLeft)
	}
	for i, v := range e.query.vars {
		if onLeft[v.name] {
			s.set(i, head.args[i])
		}
	}
	return e.matchAll(conditions, all, vars, s, trail)
}

func collect(x *expr, names map[string]bool) {
	if !x.call && len(x.args) == 0 {
		names[x.name] = true
	}
	for _, a := range x.args {
		collect(a, names)
	}
}

func (e *engine) matchAll(conditions []fact, all []*expr, vars map[string]*term, s binding, trail []int) bool {
	if len(all) == 0 {
		return true
	}
	first := all[0]
	if first.name == "=" {
		memo := map[*term]*term{}
		left := s.resolve(e.bank, e.plain(first.args[0], vars), memo)
		right := s.resolve(e.bank, e.plain(first.args[1], vars), memo)
		return left == right && e.matchAll(conditions, all[1:], vars, s, trail)
	}
	from := len(trail)
	for _, f := range conditions {
		if f.predicate != "begin "+first.name {
			continue
		}
		fits := true
		for i, a := range first.args {
			fits = fits && s.match(e.plain(a, vars), f.args[i], &trail)
		}
		if fits && e.matchAll(conditions, all[1:], vars, s, trail) {
			return true
		}
		trail = s.undo(trail, from)
	}
	return false
}

// restricted applies restrictions of the form "two events of one kind with
// equal arguments here have equal arguments there" to the events of a clause.
// It is nil when they cannot be equal: such a run does not exist.
func (e *engine) restricted(c *clause) *clause {
	for _, r := range e.model.restrictions {
		for i := 0; i < len(c.conditions); i++ {
			for j := i + 1; j < len(c.conditions); j++ {
				next, changed := e.equated(c, r, c.conditions[i], c.conditions[j])
				if next == nil {
					return nil
				}
				if changed {
					return e.restricted(next)
				}
			}
		}
	}
	return c
}

// equated applies one restriction to two events.
func (e *engine) equated(c *clause, r *query, f, g fact) (next *clause, changed bool) {
	predicate := "begin " + r.left[0].name
	if f.predicate != predicate || g.predicate != predicate {
		return c, false
	}
	equation := r.any[0][0]
	var s binding
	for i, a := range r.left[0].args {
		b := r.left[1].args[i]
		if a.name == b.name && f.args[i] != g.args[i] {
			return c, false
		}
		if a.name == equation.args[0].name && b.name == equation.args[1].name && !s.unify(f.args[i], g.args[i]) {
			return nil, false
		}
	}
	if len(s) == 0 {
		return c, false
	}
	made := e.normal(s, c.conditions, c.head)
	if len(made) == 0 {
		return nil, false
	}
	return made[0], true
}

package check

import (
	"fmt"
	"maps"
	"slices"
)

// lastPhase is the last phase that a model may have.
const lastPhase = 1

// state is a point of the process, reached under some conditions.
type state struct {
	values     map[string]*term // of the variables in scope
	conditions []fact
	sessions   []*term // what a fresh name depends on: sessions, inputs, rows
	solved     binding
	phase      int
	calls      string // the lines from which macros were entered
}

func (s state) clone() state {
	s.values = maps.Clone(s.values)
	s.conditions = slices.Clone(s.conditions)
	s.sessions = slices.Clone(s.sessions)
	s.solved = slices.Clone(s.solved)
	return s
}

func knows(phase int, t *term) fact { return fact{fmt.Sprintf("att%d", phase), []*term{t}} }

func tableRow(name string, phase int, args []*term) fact {
	return fact{fmt.Sprintf("table %s %d", name, phase), args}
}

// translate adds the clauses of the attacker and of the process.
func (e *engine) translate() {
	e.phases = e.lastAsked(e.model.main, 0)
	e.attacker()
	values := map[string]*term{}
	for name := range e.model.constants {
		values[name] = e.bank.apply(name)
	}
	e.process(e.model.main, state{values: values})
}

// lastAsked is the last phase in which an event of the query's left side
// happens. What comes after it cannot matter.
func (e *engine) lastAsked(p *process, phase int) (last int) {
	if p.kind == step {
		phase = p.phase
	}
	if p.kind == mark && slices.ContainsFunc(e.query.left, func(x *expr) bool { return x.name == p.name }) {
		last = phase
	}
	for _, next := range p.next {
		last = max(last, e.lastAsked(next, phase))
	}
	return last
}

// attacker adds what everybody can do: know public names, make new ones, apply
// functions, remember.
func (e *engine) attacker() {
	e.add(nil, nil, knows(0, e.bank.apply("new attacker", e.fresh())))
	for name, c := range e.model.constants {
		if !c.private {
			e.add(nil, nil, knows(0, e.bank.apply(name)))
		}
	}
	for phase := 0; phase <= e.phases; phase++ {
		for _, f := range e.model.functions {
			if !f.private {
				e.applying(f, phase)
			}
		}
		if phase == e.phases {
			break
		}
		x := e.fresh()
		e.add(nil, []fact{knows(phase, x)}, knows(phase+1, x))
		for name, kinds := range e.model.tables {
			row := e.freshList(len(kinds))
			e.add(nil, []fact{tableRow(name, phase, row)}, tableRow(name, phase+1, row))
		}
	}
}

// applying adds the clauses by which the attacker uses a function.
func (e *engine) applying(f *function, phase int) {
	args := e.freshList(len(f.args))
	var conditions []fact
	for _, a := range args {
		conditions = append(conditions, knows(phase, a))
	}
	for _, r := range e.results(f, args, nil) {
		e.add(r.solved, conditions, knows(phase, r.value))
	}
}

// result is one way in which a term can be computed.
type result struct {
	value  *term
	solved binding
}

// results applies a function to computed arguments. A destructor succeeds where
// a rule fits; a symmetric constructor has a second form.
func (e *engine) results(f *function, args []*term, solved binding) (out []result) {
	if f.rules == nil {
		out = append(out, result{e.bank.apply(f.name, args...), solved})
		if f.swap != "" {
			s, x := slices.Clone(solved), e.fresh()
			if s.unify(args[1], e.bank.apply(f.swap, x)) {
				out = append(out, result{e.bank.apply(f.name, x, e.bank.apply(f.swap, args[0])), s})
			}
		}
		return out
	}
	for _, r := range f.rules {
		vars := map[string]*term{}
		for v := range r.vars {
			vars[v] = e.fresh()
		}
		s, fits := slices.Clone(solved), true
		for i, left := range r.left {
			fits = fits && s.unify(args[i], e.plain(left, vars))
		}
		if fits {
			out = append(out, result{e.plain(r.right, vars), s})
		}
	}
	return out
}

// plain builds a term of constructors, as rules and queries have them.
func (e *engine) plain(x *expr, vars map[string]*term) *term {
	if !x.call {
		if v := vars[x.name]; v != nil {
			return v
		}
		return e.bank.apply(x.name)
	}
	args := make([]*term, len(x.args))
	for i, a := range x.args {
		args[i] = e.plain(a, vars)
	}
	return e.bank.apply(x.name, args...)
}

// compute evaluates a term of the process in every way there is.
func (e *engine) compute(x *expr, values map[string]*term, solved binding) []result {
	if !x.call {
		return []result{{values[x.name], solved}}
	}
	var out []result
	for _, l := range e.computeAll(x.args, values, solved) {
		if x.name == "" {
			out = append(out, result{e.bank.apply("", l.terms...), l.solved})
			continue
		}
		out = append(out, e.results(e.model.functions[x.name], l.terms, l.solved)...)
	}
	return out
}

type resultList struct {
	terms  []*term
	solved binding
}

func (e *engine) computeAll(list []*expr, values map[string]*term, solved binding) []resultList {
	out := []resultList{{nil, solved}}
	for _, x := range list {
		var longer []resultList
		for _, l := range out {
			for _, r := range e.compute(x, values, l.solved) {
				longer = append(longer, resultList{append(slices.Clone(l.terms), r.value), r.solved})
			}
		}
		out = longer
	}
	return out
}

// process walks through a process and adds a clause for each output, row and
// event that the query asks about.
func (e *engine) process(p *process, s state) {
	switch p.kind {
	case stop:
	case replicate:
		s = s.clone()
		s.sessions = append(s.sessions, e.fresh())
		e.process(p.next[0], s)
	case parallel:
		for _, next := range p.next {
			e.process(next, s)
		}
	case restrict:
		s = s.clone()
		s.values[p.variable.name] = e.bank.apply(fmt.Sprintf("new %s %s%d", p.variable.name, s.calls, p.line), s.sessions...)
		e.process(p.next[0], s)
	case step:
		if s.phase = p.phase; s.phase <= e.phases {
			e.process(p.next[0], s)
		}
	case call:
		e.call(p, s)
	case input:
		s = s.clone()
		x := e.fresh()
		s.conditions = append(s.conditions, knows(s.phase, x))
		e.meet(p.patterns, []*term{x}, s, true, func(s state) { e.process(p.next[0], s) })
	case lookup:
		s = s.clone()
		row := e.freshList(len(p.patterns))
		s.conditions = append(s.conditions, tableRow(p.name, s.phase, row))
		e.meet(p.patterns, row, s, true, func(s state) { e.process(p.next[0], s) })
	default:
		for _, l := range e.computeAll(p.terms, s.values, s.solved) {
			after := s.clone()
			after.solved = slices.Clone(l.solved)
			e.act(p, l.terms, after)
		}
	}
}

// act does one step whose terms are computed.
func (e *engine) act(p *process, terms []*term, s state) {
	switch p.kind {
	case output:
		e.add(s.solved, s.conditions, knows(s.phase, terms[0]))
	case insert:
		e.add(s.solved, s.conditions, tableRow(p.name, s.phase, terms))
	case mark:
		s = e.happens(p.name, terms, s)
	case bind:
		e.meet(p.patterns, terms, s, false, func(s state) { e.process(p.next[0], s) })
		return
	case test:
		if !s.solved.unify(terms[0], terms[1]) {
			return
		}
	}
	e.process(p.next[0], s)
}

// happens notes an event: as a goal if the query asks about it, and as a
// condition of all that follows if the query accepts it as a reason.
func (e *engine) happens(name string, args []*term, s state) state {
	e.asks(name, args, s)
	if e.reasons[name] && e.matters(name, args) {
		s = s.clone()
		s.conditions = append(s.conditions, fact{"begin " + name, args})
	}
	return s
}

// matters reports whether an event can be one of those on the right side of
// the query, or is one of a restriction.
func (e *engine) matters(name string, args []*term) bool {
	for _, all := range e.query.any {
		for _, f := range all {
			vars, _ := e.queryVars()
			var s binding
			if f.name == name && s.unify(e.bank.apply("", args...), e.plain(&expr{call: true, args: f.args}, vars)) {
				return true
			}
		}
	}
	return slices.ContainsFunc(e.model.restrictions, func(r *query) bool { return r.left[0].name == name })
}

func (e *engine) call(p *process, s state) {
	m := e.model.macros[p.name]
	for _, l := range e.computeAll(p.terms, s.values, s.solved) {
		inner := s.clone()
		inner.solved = slices.Clone(l.solved)
		inner.calls += fmt.Sprintf("%d/", p.line)
		for i, v := range m.params {
			inner.values[v.name] = l.terms[i]
		}
		e.process(m.body, inner)
	}
}

// meet matches terms with patterns and goes on where they fit. What comes from
// outside makes later names depend on it.
func (e *engine) meet(patterns []*pattern, terms []*term, s state, outside bool, then func(state)) {
	if len(patterns) == 0 {
		then(s)
		return
	}
	first, rest := patterns[0], func(s state) { e.meet(patterns[1:], terms[1:], s, outside, then) }
	switch {
	case first.equal != nil:
		for _, r := range e.compute(first.equal, s.values, s.solved) {
			after := s.clone()
			after.solved = slices.Clone(r.solved)
			if after.solved.unify(r.value, terms[0]) {
				rest(after)
			}
		}
	case first.tuple != nil:
		parts := e.freshList(len(first.tuple))
		after := s.clone()
		if after.solved.unify(terms[0], e.bank.apply("", parts...)) {
			e.meet(first.tuple, parts, after, outside, rest)
		}
	default:
		after := s.clone()
		after.values[first.variable.name] = terms[0]
		if outside {
			after.sessions = append(after.sessions, terms[0])
		}
		rest(after)
	}
}

func (e *engine) fresh() *term {
	e.variables++
	return e.bank.variable(e.variables - 1)
}

func (e *engine) freshList(n int) []*term {
	list := make([]*term, n)
	for i := range list {
		list[i] = e.fresh()
	}
	return list
}

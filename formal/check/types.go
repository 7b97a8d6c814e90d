package check

import "maps"

// checkTypes checks every declaration and process. It panics with a
// syntaxError.
func (m *Model) checkTypes() error {
	for _, f := range m.functions {
		m.known(f.result)
		for _, a := range f.args {
			m.known(a)
		}
	}
	for _, q := range m.queries {
		m.checkQuery(q)
	}
	for _, q := range m.restrictions {
		m.checkQuery(q)
		if len(q.left) != 2 || q.left[0].name != q.left[1].name || len(q.any) != 1 || len(q.any[0]) != 1 || q.any[0][0].name != "=" {
			fail(q.line, "the one restriction supported is e(x...) and e(y...) imply an equation")
		}
	}
	for _, d := range m.macros {
		m.checkProcess(d.body, withVars(nil, d.params))
	}
	m.checkProcess(m.main, nil)
	return nil
}

func (m *Model) known(kind string) {
	if !m.types[kind] {
		fail(0, "no type %s", kind)
	}
}

func withVars(vars map[string]string, more []typed) map[string]string {
	all := maps.Clone(vars)
	if all == nil {
		all = map[string]string{}
	}
	for _, v := range more {
		all[v.name] = v.kind
	}
	return all
}

// typeOf checks a term and gives its type. A tuple is a bitstring.
func (m *Model) typeOf(e *expr, vars map[string]string) string {
	if e.name == "" {
		for _, a := range e.args {
			m.typeOf(a, vars)
		}
		return "bitstring"
	}
	if !e.call {
		if kind, bound := vars[e.name]; bound {
			return kind
		}
		c, known := m.constants[e.name]
		if !known {
			fail(e.line, "no variable or constant %s", e.name)
		}
		return c.kind
	}
	f := m.functions[e.name]
	if f == nil {
		fail(e.line, "no function %s", e.name)
	}
	m.checkArgs(e.name, e.line, e.args, f.args, vars)
	return f.result
}

func (m *Model) checkArgs(name string, line int, args []*expr, kinds []string, vars map[string]string) {
	if len(args) != len(kinds) {
		fail(line, "%s takes %d arguments, not %d", name, len(kinds), len(args))
	}
	for i, a := range args {
		if kind := m.typeOf(a, vars); kind != kinds[i] {
			fail(line, "argument %d of %s is a %s, not a %s", i+1, name, kinds[i], kind)
		}
	}
}

func (m *Model) checkQuery(q *query) {
	vars := withVars(nil, q.vars)
	for _, v := range q.vars {
		m.known(v.kind)
	}
	facts := q.left
	for _, all := range q.any {
		facts = append(facts[:len(facts):len(facts)], all...)
	}
	for _, f := range facts {
		if f.name == "=" {
			if m.typeOf(f.args[0], vars) != m.typeOf(f.args[1], vars) {
				fail(q.line, "an equation between two types")
			}
			continue
		}
		m.checkEvent(f.name, q.line, f.args, vars)
	}
	left, right := map[string]bool{}, map[string]bool{}
	for i, f := range facts {
		if i < len(q.left) {
			collect(f, left)
		} else {
			collect(f, right)
		}
	}
	for _, v := range q.vars {
		if right[v.name] && !left[v.name] {
			fail(q.line, "%s stands on the right side only, which is not supported", v.name)
		}
	}
}

func (m *Model) checkEvent(name string, line int, args []*expr, vars map[string]string) {
	kinds, known := m.events[name]
	if !known {
		fail(line, "no event %s", name)
	}
	m.checkArgs(name, line, args, kinds, vars)
}

func (m *Model) checkProcess(p *process, vars map[string]string) {
	switch p.kind {
	case restrict:
		m.known(p.variable.kind)
		vars = withVars(vars, []typed{p.variable})
	case input:
		vars = m.checkPattern(p.patterns[0], p.patterns[0].variable.kind, vars, p.line)
	case output:
		m.typeOf(p.terms[0], vars)
	case mark:
		m.checkEvent(p.name, p.line, p.terms, vars)
	case insert, lookup:
		vars = m.checkTable(p, vars)
	case bind:
		vars = m.checkPattern(p.patterns[0], m.typeOf(p.terms[0], vars), vars, p.line)
	case test:
		if m.typeOf(p.terms[0], vars) != m.typeOf(p.terms[1], vars) {
			fail(p.line, "a comparison of two types")
		}
	case call:
		var kinds []string
		for _, v := range m.macros[p.name].params {
			kinds = append(kinds, v.kind)
		}
		m.checkArgs(p.name, p.line, p.terms, kinds, vars)
		return
	}
	for _, next := range p.next {
		m.checkProcess(next, vars)
	}
}

func (m *Model) checkTable(p *process, vars map[string]string) map[string]string {
	kinds, known := m.tables[p.name]
	if !known || len(kinds) != max(len(p.terms), len(p.patterns)) {
		fail(p.line, "no table %s of that width", p.name)
	}
	if p.kind == insert {
		m.checkArgs(p.name, p.line, p.terms, kinds, vars)
	}
	for i, pt := range p.patterns {
		vars = m.checkPattern(pt, kinds[i], vars, p.line)
	}
	return vars
}

// checkPattern checks a pattern against the type of what it meets; "" is a
// message from the network, of any type.
func (m *Model) checkPattern(p *pattern, kind string, vars map[string]string, line int) map[string]string {
	switch {
	case p.equal != nil:
		if own := m.typeOf(p.equal, vars); kind != "" && own != kind {
			fail(line, "a pattern of type %s meets a %s", own, kind)
		}
	case p.tuple != nil:
		if kind != "" && kind != "bitstring" {
			fail(line, "a %s is no tuple", kind)
		}
		for _, part := range p.tuple {
			if part.equal == nil && part.tuple == nil && part.variable.kind == "" {
				fail(line, "a variable of a tuple has a type")
			}
			vars = m.checkPattern(part, "", vars, line)
		}
	default:
		v := p.variable
		if v.kind == "" {
			v.kind = kind
		}
		m.known(v.kind)
		if kind != "" && kind != v.kind {
			fail(line, "%s is a %s, not a %s", v.name, v.kind, kind)
		}
		vars = withVars(vars, []typed{v})
	}
	return vars
}

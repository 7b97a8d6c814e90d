package check

import "strconv"

// process reads a process. Parallel ones stand in parentheses, each of them in
// parentheses of its own, so that no rule of precedence is needed.
func (p *parser) process() *process {
	line := p.line()
	switch {
	case p.accept("("):
		first := p.process()
		if p.accept(")") {
			return first
		}
		both := &process{kind: parallel, next: []*process{first}, line: line}
		for p.accept("|") {
			if p.peek() != "(" {
				p.fail("a process in parentheses")
			}
			both.next = append(both.next, p.process())
		}
		p.word(")")
		return both
	case p.accept("!"):
		return &process{kind: replicate, next: []*process{p.process()}, line: line}
	case p.accept("0"):
		return &process{kind: stop, line: line}
	}
	step := p.prefix(line)
	step.line = line
	return step
}

// prefix reads one step with what follows it.
func (p *parser) prefix(line int) *process {
	word := p.peek()
	switch word {
	case "new":
		p.at++
		v := typed{name: p.name()}
		p.word(":")
		v.kind = p.kindName()
		return p.then(&process{kind: restrict, variable: v})
	case "in":
		p.at++
		p.channel()
		bound := p.pattern(true)
		p.word(")")
		return p.then(&process{kind: input, patterns: []*pattern{bound}})
	case "out":
		p.at++
		p.channel()
		return p.then(&process{kind: output, terms: []*expr{p.closing()}})
	case "event":
		p.at++
		e := p.term()
		return p.then(&process{kind: mark, name: e.name, terms: e.args})
	case "insert":
		p.at++
		e := p.term()
		return p.then(&process{kind: insert, name: e.name, terms: e.args})
	case "phase":
		p.at++
		n, err := strconv.Atoi(p.peek())
		if err != nil || n < 1 || n > lastPhase {
			p.fail("a phase")
		}
		p.at++
		return p.then(&process{kind: step, phase: n})
	case "get", "let", "if":
		p.at++
		return p.guarded(word)
	}
	e := p.term()
	if p.model.macros[e.name] == nil {
		fail(line, "%s is no process that is defined above", e.name)
	}
	return &process{kind: call, name: e.name, terms: e.args, next: []*process{p.model.macros[e.name].body}}
}

// channel reads the one public channel that there is.
func (p *parser) channel() {
	p.word("(")
	line, name := p.line(), p.name()
	if c := p.model.constants[name]; c.kind != "channel" || c.private {
		fail(line, "%s is no public channel", name)
	}
	p.word(",")
}

func (p *parser) closing() *expr {
	e := p.term()
	p.word(")")
	return e
}

// then reads what follows a semicolon, or nothing.
func (p *parser) then(first *process) *process {
	next := &process{kind: stop, line: p.line()}
	if p.accept(";") {
		next = p.process()
	}
	first.next = []*process{next}
	return first
}

// guarded reads get, let and if, which have no else.
func (p *parser) guarded(word string) *process {
	first := &process{}
	switch word {
	case "get":
		first.kind, first.name = lookup, p.name()
		p.word("(")
		first.patterns = p.patterns(true)
		p.word("in")
	case "let":
		first.kind, first.patterns = bind, []*pattern{p.pattern(false)}
		p.word("=")
		first.terms = []*expr{p.term()}
		p.word("in")
	case "if":
		first.kind = test
		left := p.term()
		p.word("=")
		first.terms = []*expr{left, p.term()}
		p.word("then")
	}
	first.next = []*process{p.process()}
	return first
}

func (p *parser) patterns(needsTypes bool) (list []*pattern) {
	for {
		list = append(list, p.pattern(needsTypes))
		if p.accept(")") {
			return list
		}
		p.word(",")
	}
}

// pattern reads a pattern. A variable of an input or a table needs its type.
func (p *parser) pattern(needsTypes bool) *pattern {
	switch {
	case p.accept("="):
		return &pattern{equal: p.term()}
	case p.accept("("):
		return &pattern{tuple: p.patterns(needsTypes)}
	}
	v := typed{name: p.name()}
	if needsTypes || p.peek() == ":" {
		p.word(":")
		v.kind = p.kindName()
	}
	return &pattern{variable: v}
}

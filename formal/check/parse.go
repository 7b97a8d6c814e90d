package check

import (
	"fmt"
	"slices"
	"strconv"
)

// parser reads tokens. It panics with a syntaxError, which Parse returns.
type parser struct {
	tokens []token
	at     int
	model  *Model
}

type syntaxError struct{ error }

// Parse reads a model and checks its types.
func Parse(text string) (model *Model, err error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	defer func() {
		switch failure := recover().(type) {
		case nil:
		case syntaxError:
			model, err = nil, failure.error
		default:
			panic(failure)
		}
	}()
	p := &parser{tokens: tokens, model: &Model{
		types: map[string]bool{"bitstring": true, "channel": true}, functions: map[string]*function{}, constants: map[string]constant{},
		events: map[string][]string{}, tables: map[string][]string{}, macros: map[string]*macro{},
	}}
	for p.peek() != "process" {
		p.declaration()
	}
	p.word("process")
	p.model.main = p.process()
	if p.peek() != "" {
		p.fail("the end")
	}
	return p.model, p.model.checkTypes()
}

func fail(line int, format string, args ...any) {
	panic(syntaxError{fmt.Errorf("line %d: "+format, append([]any{line}, args...)...)})
}

func (p *parser) fail(want string) { fail(p.line(), "want %s, found %q", want, p.peek()) }

func (p *parser) peek() string {
	if p.at < len(p.tokens) {
		return p.tokens[p.at].text
	}
	return ""
}

func (p *parser) line() int { return p.tokens[min(p.at, len(p.tokens)-1)].line }

// word takes one token that must be there; accept takes it if it is.
func (p *parser) word(text string) {
	if !p.accept(text) {
		p.fail(strconv.Quote(text))
	}
}

func (p *parser) accept(text string) bool {
	if p.peek() != text {
		return false
	}
	p.at++
	return true
}

func (p *parser) name() string {
	word := p.peek()
	if wordLength(word) == 0 || word[0] >= '0' && word[0] <= '9' || slices.Contains(reserved, word) {
		p.fail("a name")
	}
	p.at++
	return word
}

func (p *parser) kindName() string {
	if p.accept("channel") {
		return "channel"
	}
	return p.name()
}

func (p *parser) declaration() {
	line, word := p.line(), p.peek()
	p.at++
	switch word {
	case "type":
		p.model.types[p.fresh()] = true
	case "free", "const":
		name := p.fresh()
		p.word(":")
		p.model.constants[name] = constant{kind: p.kindName(), private: p.private()}
	case "fun":
		f := &function{name: p.fresh(), args: p.kinds()}
		p.word(":")
		f.result, f.private = p.kindName(), p.private()
		p.model.functions[f.name] = f
	case "reduc":
		p.destructor()
	case "equation":
		p.equation()
	case "event":
		p.model.events[p.fresh()] = p.kinds()
	case "table":
		p.model.tables[p.fresh()] = p.kinds()
	case "query":
		p.model.queries = append(p.model.queries, p.query(line))
	case "restriction":
		p.model.restrictions = append(p.model.restrictions, p.query(line))
	case "let":
		name := p.fresh()
		m := &macro{}
		if p.accept("(") {
			m.params = p.typedList()
			p.word(")")
		}
		p.word("=")
		m.body = p.process()
		p.model.macros[name] = m
	default:
		p.at--
		p.fail("a declaration")
	}
	p.word(".")
}

// fresh is a name that nothing else has.
func (p *parser) fresh() string {
	line, name, m := p.line(), p.name(), p.model
	_, c := m.constants[name]
	_, e := m.events[name]
	_, t := m.tables[name]
	if c || e || t || m.types[name] || m.functions[name] != nil || m.macros[name] != nil {
		fail(line, "%s is declared twice", name)
	}
	return name
}

func (p *parser) private() bool {
	if !p.accept("[") {
		return false
	}
	if p.name() != "private" {
		p.at--
		p.fail("private")
	}
	p.word("]")
	return true
}

func (p *parser) kinds() (kinds []string) {
	p.word("(")
	for {
		kinds = append(kinds, p.kindName())
		if p.accept(")") {
			return kinds
		}
		p.word(",")
	}
}

func (p *parser) typedList() (list []typed) {
	for {
		name := p.name()
		p.word(":")
		list = append(list, typed{name, p.kindName()})
		if !p.accept(",") {
			return list
		}
	}
}

func (p *parser) forall() map[string]string {
	vars := map[string]string{}
	p.word("forall")
	for _, v := range p.typedList() {
		vars[v.name] = v.kind
	}
	p.word(";")
	return vars
}

func (p *parser) destructor() {
	vars := p.forall()
	line := p.line()
	name := p.fresh()
	p.word("(")
	rule := rewrite{vars: vars, left: p.terms(")")}
	p.word("=")
	rule.right = p.term()
	f := &function{name: name, rules: []rewrite{rule}, private: p.private()}
	for _, left := range rule.left {
		f.args = append(f.args, p.model.typeOf(left, vars))
	}
	f.result = p.model.typeOf(rule.right, vars)
	if len(f.args) == 0 {
		fail(line, "a destructor takes something apart")
	}
	p.model.functions[name] = f
}

// equation accepts f(x, p(y)) = f(y, p(x)) and nothing else.
func (p *parser) equation() {
	vars := p.forall()
	line, left := p.line(), p.term()
	p.word("=")
	right := p.term()
	kind := p.model.typeOf(left, vars)
	symmetric := func(a, b *expr) bool {
		return len(a.args) == 2 && len(b.args) == 2 && a.name == b.name && len(a.args[1].args) == 1 && len(b.args[1].args) == 1 &&
			a.args[1].name == b.args[1].name && !a.args[0].call && a.args[0].name == b.args[1].args[0].name
	}
	if !symmetric(left, right) || !symmetric(right, left) || p.model.typeOf(right, vars) != kind {
		fail(line, "the one equation supported is f(x, p(y)) = f(y, p(x))")
	}
	p.model.functions[left.name].swap = left.args[1].name
}

func (p *parser) query(line int) *query {
	q := &query{vars: p.typedList(), line: line}
	p.word(";")
	q.left = p.allOf()
	if !p.accept("==>") {
		return q
	}
	for {
		q.any = append(q.any, p.allOf())
		if !p.accept("||") {
			return q
		}
	}
}

// allOf is facts joined by "and", in parentheses or not.
func (p *parser) allOf() (facts []*expr) {
	closing := p.accept("(")
	for {
		facts = append(facts, p.fact())
		if !p.accept("&&") {
			break
		}
	}
	if closing {
		p.word(")")
	}
	return facts
}

// fact is an event, or an equation.
func (p *parser) fact() *expr {
	if p.accept("event") {
		p.word("(")
		e := p.term()
		p.word(")")
		return e
	}
	line, left := p.line(), p.term()
	p.word("=")
	return &expr{name: "=", args: []*expr{left, p.term()}, line: line}
}

func (p *parser) terms(end string) (list []*expr) {
	for {
		list = append(list, p.term())
		if p.accept(end) {
			return list
		}
		p.word(",")
	}
}

func (p *parser) term() *expr {
	e := &expr{line: p.line()}
	if p.accept("(") {
		e.args = p.terms(")")
		if len(e.args) == 1 {
			return e.args[0]
		}
		e.call = true
		return e
	}
	e.name = p.name()
	if p.accept("(") {
		e.call, e.args = true, p.terms(")")
	}
	return e
}

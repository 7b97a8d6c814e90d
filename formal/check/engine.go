package check

import (
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// engine decides one query of a model.
type engine struct {
	model     *Model
	query     *query
	reasons   map[string]bool // events that the query or a restriction mentions on the right
	bank      *bank
	variables int
	phases    int // the last phase that matters

	waiting queue
	solved  map[string][]*clause // by predicate of the head
	partial map[string][]*clause // by predicate of the selected condition
	filed   map[string][]*clause // both, by place of the head
	steps   int
	escape  *clause // a derivation of the left side that escapes the right one
}

// Verdict is the answer to one query.
type Verdict struct {
	True    bool
	Clauses int    // how many were kept or dropped on the way
	Why     string // what a derivation needs, when it is not true
}

// ErrGaveUp says that the clauses did not close within the limit.
var ErrGaveUp = errors.New("check: the clauses did not close within the limit")

// Queries is the number of queries of the model.
func (m *Model) Queries() int { return len(m.queries) }

// Decide answers query i, from 0. Error: ErrGaveUp after limit clauses.
func (m *Model) Decide(i, limit int) (Verdict, error) {
	e := &engine{
		model: m, query: m.queries[i], reasons: map[string]bool{}, bank: newBank(m.functions),
		solved: map[string][]*clause{}, partial: map[string][]*clause{}, filed: map[string][]*clause{},
	}
	for _, all := range e.query.any {
		for _, f := range all {
			e.reasons[f.name] = true
		}
	}
	if len(e.query.left) > 1 {
		for _, r := range m.restrictions {
			e.reasons[r.left[0].name] = true
		}
	}
	e.goals()
	e.translate()
	if err := e.saturate(limit); err != nil {
		return Verdict{}, err
	}
	v := Verdict{True: e.escape == nil, Clauses: e.steps}
	if !v.True {
		v.Why = e.escape.reasonsText()
	}
	return v, nil
}

func (c *clause) reasonsText() string {
	var parts []string
	for _, f := range c.conditions {
		if strings.HasPrefix(f.predicate, "begin ") {
			parts = append(parts, f.String())
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// add puts a clause in line.
func (e *engine) add(s binding, conditions []fact, head fact) {
	for _, c := range e.normal(s, conditions, head) {
		if c = e.restricted(c); c != nil && !e.excused(c) {
			heap.Push(&e.waiting, c)
		}
	}
}

// queue gives the lightest clause first.
type queue []*clause

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].weight < q[j].weight }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push and Pop make queue a heap.
func (q *queue) Push(c any) { *q = append(*q, c.(*clause)) }

// Pop takes the last one.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// saturate resolves until nothing new follows, or the query has an escape.
func (e *engine) saturate(limit int) error {
	for len(e.waiting) > 0 {
		c := heap.Pop(&e.waiting).(*clause)
		if e.known(c) || e.derived(c) {
			continue
		}
		if e.steps++; e.steps > limit {
			return fmt.Errorf("%w: %d", ErrGaveUp, limit)
		}
		if c.selected < 0 && c.head.predicate == "goal" {
			e.escape = c
			return nil
		}
		e.keep(c)
		if c.selected < 0 {
			for _, d := range e.partial[c.head.predicate] {
				e.resolve(c, d)
			}
			continue
		}
		for _, d := range e.solved[c.conditions[c.selected].predicate] {
			e.resolve(d, c)
		}
	}
	return nil
}

// place is where a clause is filed by its head: clauses of different places
// never subsume each other, except those filed under a variable.
func place(f fact) string {
	if len(f.args) != 1 || f.args[0].isVar() {
		return f.predicate
	}
	return f.predicate + " " + f.args[0].symbol
}

// known reports whether a kept clause says as much.
func (e *engine) known(c *clause) bool {
	says := func(d *clause) bool { return !d.dropped && d.subsumes(c) }
	return slices.ContainsFunc(e.filed[place(c.head)], says) || slices.ContainsFunc(e.filed[c.head.predicate], says)
}

// keep stores a clause and drops those that it makes needless.
func (e *engine) keep(c *clause) {
	for at, list := range e.filed {
		if !strings.HasPrefix(at, place(c.head)) {
			continue
		}
		for _, d := range list {
			d.dropped = d.dropped || c.subsumes(d)
		}
		e.filed[at] = slices.DeleteFunc(list, isDropped)
	}
	e.filed[place(c.head)] = append(e.filed[place(c.head)], c)
	set, p := e.solved, c.head.predicate
	if c.selected >= 0 {
		set, p = e.partial, c.conditions[c.selected].predicate
	}
	set[p] = append(slices.DeleteFunc(set[p], isDropped), c)
}

func isDropped(c *clause) bool { return c.dropped }

// resolve puts a solved clause in the place of the selected condition of d.
func (e *engine) resolve(c, d *clause) {
	if c.dropped || d.dropped {
		return
	}
	selected := d.conditions[d.selected]
	if !mayMeet(c.head, selected) {
		return
	}
	conditions, head := e.shifted(c, d.next)
	var s binding
	for i := range head.args {
		if !s.unify(head.args[i], selected.args[i]) {
			return
		}
	}
	for i, f := range d.conditions {
		if i != d.selected {
			conditions = append(conditions, f)
		}
	}
	e.add(s, conditions, d.head)
}

// mayMeet rules most pairs out at a glance.
func mayMeet(a, b fact) bool {
	if len(a.args) != len(b.args) {
		return false
	}
	for i := range a.args {
		x, y := a.args[i], b.args[i]
		if !x.isVar() && !y.isVar() && (x.symbol != y.symbol || len(x.args) != len(y.args)) {
			return false
		}
	}
	return true
}

package explorer

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// Report is the result of exploring one scene.
type Report struct {
	Scene     string
	States    int // distinct
	Depth     int // steps from the beginning to the farthest of them
	Frontier  int // states found and not yet explored
	Steps     int // tried, those that lead to known states included
	RealCalls int // distinct calls of package pq3, each made twice
	Complete  bool
	Took      time.Duration
	Reached   Reach // what the real calls came upon
	tally     tally
	Broken    *Counterexample // nil when every promise was kept
}

// Counterexample is a shortest way to a broken promise.
type Counterexample struct {
	Trace []string
	Err   error
}

// String is one line for each step, and then what broke.
func (c *Counterexample) String() string {
	var b strings.Builder
	for i, step := range c.Trace {
		fmt.Fprintf(&b, "%3d. %s\n", i+1, step)
	}
	return b.String() + "  => " + c.Err.Error()
}

// String is the report in one line.
func (r *Report) String() string {
	end := "up to the bound"
	if r.Complete {
		end = "complete"
	}
	t := r.tally
	tight := 100.0
	if t.allowed > 0 {
		tight = 100 * float64(t.derivable) / float64(t.allowed)
	}
	return fmt.Sprintf("%-20s %8d states, depth %2d, frontier %7d, %9d steps, %7d real calls, %s, %.0f s, %.0f states/s; "+
		"%d judgements, %d derivable of %d allowed (%.1f %%); %d thefts read %d; %d talks",
		r.Scene, r.States, r.Depth, r.Frontier, r.Steps, r.RealCalls, end, r.Took.Seconds(), float64(r.States)/max(r.Took.Seconds(), 0.001),
		t.letters, t.derivable, t.allowed, tight, t.thefts, t.stolen, t.talks)
}

// origin says how a state was first reached.
type origin struct {
	parent uint32
	choice uint16 // place in the list of the parent's actions
}

// search is a breadth-first search. Of an explored state only its hash and its
// origin are kept; whole states exist for two levels at a time.
type search struct {
	*lab
	most     int // states
	seen     map[digest]struct{}
	origins  []origin
	progress func(Report)
	report   Report
	begun    time.Time
	spoke    time.Time
}

// node is a state of the current level.
type node struct {
	*world
	id    digest
	index uint32
}

// found is one successor of a node.
type found struct {
	node
	choice uint16
}

// expansion is all that one node gives.
type expansion struct {
	successors []found
	steps      int
	sum        tally
	choice     int // of the step that broke something, or -1 for the state itself
	err        error
}

// Explore visits the states of a scene, nearest first, until all are done, most
// is reached, or a promise is broken. workers bounds the processors it uses; the
// result does not depend on it. progress, if not nil, is called every few
// seconds.
func Explore(s Scene, most, workers int, progress func(Report)) Report {
	return explore(newLab(s, noFault), most, workers, progress)
}

func explore(l *lab, most, workers int, progress func(Report)) Report {
	x := &search{lab: l, most: most, seen: map[digest]struct{}{}, progress: progress, begun: time.Now()}
	x.report.Scene, x.spoke = l.Name, x.begun
	start := l.begin()
	x.seen[start.hash()] = struct{}{}
	x.origins = []origin{{}}
	level := []node{{world: start, id: start.hash()}}
	for len(level) > 0 && x.report.Broken == nil {
		level = x.level(level, workers)
		if len(level) > 0 {
			x.report.Depth++
		}
	}
	x.report.Frontier = 0
	x.report.Complete = len(x.origins) < most && x.report.Broken == nil
	x.finish()
	x.report.Reached = l.reached()
	return x.report
}

func (x *search) finish() {
	x.report.States, x.report.Took, x.report.RealCalls = len(x.origins), time.Since(x.begun), len(x.calls.byInput)
}

// batch is how many states are expanded between two merges.
const batch = 2048

// level judges and expands all states of a level and returns the next one.
// Workers share a batch; the merge follows the order of the states, so that
// every run finds the same states in the same order.
func (x *search) level(level []node, workers int) (next []node) {
	for from := 0; from < len(level); from += batch {
		part := level[from:min(from+batch, len(level))]
		full := len(x.origins) >= x.most
		for i, e := range x.expandAll(part, workers, full) {
			x.report.Steps += e.steps
			x.report.tally.add(e.sum)
			if e.err != nil {
				x.report.Broken = x.counterexample(part[i], e)
				return nil
			}
			for _, f := range e.successors {
				if _, known := x.seen[f.id]; known || len(x.origins) >= x.most {
					continue
				}
				x.seen[f.id] = struct{}{}
				f.index = uint32(len(x.origins))
				x.origins = append(x.origins, origin{part[i].index, f.choice})
				next = append(next, f.node)
			}
			part[i].world = nil
		}
		if x.progress != nil && time.Since(x.spoke) > 5*time.Second {
			x.spoke = time.Now()
			x.finish()
			x.report.Frontier = len(level) - from - len(part) + len(next)
			x.progress(x.report)
		}
	}
	return next
}

func (x *search) expandAll(part []node, workers int, full bool) []expansion {
	out := make([]expansion, len(part))
	var wait sync.WaitGroup
	for k := range workers {
		wait.Go(func() {
			for i := k; i < len(part); i += workers {
				out[i] = x.expand(part[i], full)
			}
		})
	}
	wait.Wait()
	return out
}

// expand judges a state and tries everything that can happen next. When the
// bound is reached, states that are known already are judged only.
func (x *search) expand(n node, full bool) (e expansion) {
	e.choice = -1
	if e.err = x.check(n.world, n.id, &e.sum); e.err != nil || full {
		return e
	}
	mine := map[digest]struct{}{n.id: {}}
	terminal := true
	for i, a := range x.actions(n.world) {
		e.steps++
		w, err := x.after(n.world, a)
		if err != nil {
			e.choice, e.err = i, err
			return e
		}
		if w == n.world {
			continue
		}
		terminal = false
		id := w.hash()
		if _, known := mine[id]; known {
			continue
		}
		mine[id] = struct{}{}
		if _, known := x.seen[id]; known {
			continue // nobody writes to seen while workers run
		}
		e.successors = append(e.successors, found{node{world: w, id: id}, uint16(i)})
	}
	if terminal {
		e.sum.talks++
		e.err = x.talk(n.world)
	}
	return e
}

// counterexample rebuilds the way to a state by taking the same choices again.
func (x *search) counterexample(n node, e expansion) *Counterexample {
	var choices []int
	for i := n.index; i != 0; i = x.origins[i].parent {
		choices = append([]int{int(x.origins[i].choice)}, choices...)
	}
	if e.choice >= 0 {
		choices = append(choices, e.choice)
	}
	c := &Counterexample{Err: e.err}
	w := x.begin()
	for _, choice := range choices {
		a := x.actions(w)[choice]
		c.Trace = append(c.Trace, a.String())
		next, err := x.after(w, a)
		if err != nil {
			break
		}
		w = next
	}
	return c
}

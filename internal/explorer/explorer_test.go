package explorer

import (
	"flag"
	"testing"
)

var states = flag.Int("states", 32_000, "distinct states to explore, over all scenes")

// TestExplore explores every scene for its share of the states. A scene that is
// done with fewer leaves the rest to those behind it. Ten steps is the least
// depth that a release run of 10^6 states accepts.
func TestExplore(t *testing.T) {
	scenes, left := Scenes(), *states
	var sum tally
	for i, s := range scenes {
		r := Explore(s, left/(len(scenes)-i), 2, func(r Report) { t.Log(r.String()) })
		t.Log(r.String())
		if r.Broken != nil {
			t.Errorf("%s:\n%s", s.Name, r.Broken)
		}
		if *states >= 1_000_000 && r.Depth < 10 {
			t.Errorf("%s: depth %d, at least 10", s.Name, r.Depth)
		}
		left -= r.States
		sum.add(r.tally)
	}
	t.Logf("%d distinct states in %d scenes; %d of %d messages that the analysis allows to be known are derivable",
		*states-left, len(scenes), sum.derivable, sum.allowed)
	if left > 0 {
		t.Errorf("the scenes have %d states less than asked for", left)
	}
	if sum.stolen == 0 || sum.talks == 0 {
		t.Errorf("a judge had nothing to do: %+v", sum)
	}
}

// TestSameResultForAnyNumberOfWorkers: order, counts and verdicts depend on the
// scene alone.
func TestSameResultForAnyNumberOfWorkers(t *testing.T) {
	plain := func(r Report) Report {
		r.Took = 0
		return r
	}
	s := Scenes()[1]
	one, two := plain(Explore(s, 3000, 1, nil)), plain(Explore(s, 3000, 2, nil))
	if one != two {
		t.Errorf("one worker: %v\ntwo: %v", &one, &two)
	}
}

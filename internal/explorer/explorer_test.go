package explorer

import (
	"flag"
	"reflect"
	"testing"

	"github.com/posthorn/posthorn/account"
)

var states = flag.Int("states", 32_000, "distinct states to explore, over all scenes")

// releaseStates is the size from which a run must also be deep and must have
// met everything that release wants.
const releaseStates = 1_000_000

// TestExplore explores every scene for its share of the states. A scene that is
// done with fewer leaves the rest to those behind it.
func TestExplore(t *testing.T) {
	scenes, left := Scenes(), *states
	var sum tally
	var reach Reach
	for i, s := range scenes {
		r := Explore(s, left/(len(scenes)-i), 2, func(r Report) { t.Log(r.String()) })
		t.Logf("%s\n      %s", r.String(), r.Reached)
		if r.Broken != nil {
			t.Errorf("%s:\n%s", s.Name, r.Broken)
		}
		if *states >= releaseStates && r.Depth < 10 {
			t.Errorf("%s: depth %d, at least 10", s.Name, r.Depth)
		}
		left -= r.States
		sum.add(r.tally)
		reach.Add(r.Reached)
	}
	t.Logf("%d distinct states in %d scenes: %d messages judged, %d derivable of %d that may be known; %d thefts read %d messages; %d talks\n      %s",
		*states-left, len(scenes), sum.letters, sum.derivable, sum.allowed, sum.thefts, sum.stolen, sum.talks, reach)
	if left > 0 {
		t.Errorf("the scenes have %d states less than asked for", left)
	}
	if sum.stolen == 0 || sum.talks == 0 || reach.Skipped == 0 || reach.Waiting == 0 || reach.Parallel == 0 {
		t.Errorf("something never happened: %+v %s", sum, reach)
	}
	if *states >= releaseStates {
		wantRefusals(t, reach)
	}
}

// wantRefusals: forged bundles and starts, messages for others, erased prekeys,
// replayed starts and replayed positions must have come up and been refused.
func wantRefusals(t *testing.T, reach Reach) {
	t.Helper()
	for _, check := range []string{"V-17", "V-35", "V-40", "V-42", "V-43", "V-48"} {
		if reach.Refusals[check] == 0 {
			t.Errorf("nothing was refused by %s", check)
		}
	}
	if reach.Rekeys < 2 {
		t.Errorf("%d KEM rekeys in a session, at least 2", reach.Rekeys)
	}
}

// TestPairWithoutLeaks explores a scene of five texts to its end, so that every
// commit sees late messages of earlier epochs and a rekey.
func TestPairWithoutLeaks(t *testing.T) {
	for _, suite := range []account.Suite{account.PQ3, account.PQ3A} {
		r := Explore(Scene{Name: "pair, " + suite.String(), Suite: suite, Devices: [2]int{1, 1}, Sends: [2]int{3, 2}}, 10_000, 2, nil)
		t.Logf("%s\n      %s", r.String(), r.Reached)
		if r.Broken != nil {
			t.Errorf("%s", r.Broken)
		} else if !r.Complete || r.Reached.Epoch < 4 || r.Reached.Rekeys == 0 {
			t.Errorf("not explored to the end: %s %s", r.String(), r.Reached)
		}
	}
}

// TestSameResultForAnyNumberOfWorkers: order, counts and verdicts depend on the
// scene alone.
func TestSameResultForAnyNumberOfWorkers(t *testing.T) {
	plain := func(r Report) Report {
		r.Took = 0
		return r
	}
	s := Scenes()[0]
	one, two := plain(Explore(s, 3000, 1, nil)), plain(Explore(s, 3000, 2, nil))
	if !reflect.DeepEqual(one, two) {
		t.Errorf("one worker: %v\ntwo: %v", &one, &two)
	}
}

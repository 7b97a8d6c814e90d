package explorer

import (
	"flag"
	"testing"
)

var states = flag.Int("states", 8*2000, "distinct states to explore in all")

func TestExplore(t *testing.T) {
	scenes := Scenes()
	left := *states
	for i, s := range scenes {
		r := Explore(s, left/(len(scenes)-i), 2, func(r Report) { t.Log(r.String()) })
		t.Log(r.String())
		if r.Broken != nil {
			t.Error(r.Broken)
		}
		left -= r.States
	}
}

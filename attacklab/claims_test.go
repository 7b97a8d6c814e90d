package attacklab

import (
	"testing"

	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
)

func TestSmoke(t *testing.T) {
	all, err := scenario.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		for _, l := range Levels() {
			run, err := simulation.Play(s, l.Suite, 1)
			if err != nil {
				t.Error(err)
				continue
			}
			t.Logf("== %s %s: %d texts %d frames %d unopened", s.Name, l.Key, run.Written(), len(run.Sent), run.Unopened)
			for _, a := range s.Attacks {
				r := Assail(run, l, a, 1)
				t.Logf("%-60s read %d before %d opening %d window %d/%d/%ds healed %v q %d %v", a, r.Read, r.Before, r.Opening, r.Window, r.WindowTurns, r.WindowSeconds, r.Healed, r.Questions, r.Seized)
			}
		}
	}
}

func TestSmokeActive(t *testing.T) {
	all, _ := scenario.Builtin()
	for _, s := range all {
		for _, l := range Levels() {
			if len(s.Actives) == 0 {
				continue
			}
			run, err := simulation.Play(s, l.Suite, 1)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range s.Actives {
				got, ok, err := Try(run, l, a, 1)
				t.Log(ok, err, got)
			}
		}
	}
}

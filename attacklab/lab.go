package attacklab

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
)

// Schema is the name and version of the JSON form of Results.
const Schema = "posthorn.lab/1"

// quickTexts is the length to which a quick run cuts every conversation.
const quickTexts = 70

// Sentinels for errors.Is. An ErrUnknown is an *UnknownError.
var (
	ErrUnknown = errors.New("attacklab: there is no such scenario or level")
	ErrTwice   = errors.New("attacklab: two scenarios have one name")
)

// UnknownError names what there is not.
type UnknownError struct{ Kind, Name string } // Kind is "scenario" or "level"

// Error names kind and name.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("attacklab: there is no %s %q", e.Kind, e.Name)
}

// Unwrap is ErrUnknown.
func (e *UnknownError) Unwrap() error { return ErrUnknown }

// Options say what to run. They are all that a result depends on.
type Options struct {
	Quick  bool     `json:"quick"`
	Seed   uint64   `json:"seed"` // added to each scenario's own
	Levels []string `json:"levels"`
	// Scenarios are the texts of the scenario files, in the order of their names.
	Scenarios []string `json:"scenarios"`
	// AttacksOnly leaves out the sweep, the paces and the healing.
	AttacksOnly bool `json:"attacks_only,omitempty"`
}

// Results are everything that a run found. Equal Options give equal Results.
type Results struct {
	Schema  string  `json:"schema"`
	Note    string  `json:"note"`
	Options Options `json:"options"`
	// Inputs is the SHA-256 of Options as JSON, in hexadecimal: with it a change
	// to a scenario's text shows, even one that changes no result.
	Inputs   string    `json:"options_sha256"`
	Readings []Reading `json:"readings"`
	Attempts []Attempt `json:"attempts"`
	Costs    []Cost    `json:"costs"`
	Paces    []Pace    `json:"rekey_paces"`
	Sweep    []Point   `json:"seizure_sweep"`
	Healing  []Healing `json:"healing"`
}

// Note is what every result says of itself.
const Note = "The lab hands the attacker the classical private keys. No quantum computer is used."

// Select makes Options from names. No names stand for all scenarios and all
// levels. extra are further scenario files, already read. Errors: ErrUnknown,
// ErrTwice, scenario.ErrSyntax.
func Select(names, levels []string, extra []*scenario.Scenario, seed uint64, quick bool) (Options, error) {
	o := Options{Quick: quick, Seed: seed}
	all, err := scenario.Builtin()
	if err != nil {
		return o, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(s *scenario.Scenario) bool { return s.Name == name }) {
			return o, &UnknownError{"scenario", name}
		}
	}
	all = slices.DeleteFunc(all, func(s *scenario.Scenario) bool { return !slices.Contains(names, s.Name) && len(names)+len(extra) > 0 })
	taken := map[string]bool{}
	for _, s := range append(all, extra...) {
		if taken[s.Name] {
			return o, fmt.Errorf("%w: %s", ErrTwice, s.Name)
		}
		taken[s.Name] = true
		o.Scenarios = append(o.Scenarios, s.Text)
	}
	for _, key := range levels {
		if _, ok := LevelOf(key); !ok {
			return o, &UnknownError{"level", key}
		}
	}
	for _, l := range Levels() {
		if len(levels) == 0 || slices.Contains(levels, l.Key) {
			o.Levels = append(o.Levels, l.Key)
		}
	}
	return o, nil
}

// task is a part of a run that needs nothing of the others.
type task func() (func(*Results), error)

// Run plays every chosen scenario on every chosen level, lets every attacker at
// it, and measures rekeys and healing. progress, if not nil, is called from one
// goroutine at a time as parts get done. Two parts run at once.
func Run(o Options, progress func(done, total int)) (*Results, error) {
	scenarios, levels, err := o.resolve()
	if err != nil {
		return nil, err
	}
	var tasks []task
	for _, s := range scenarios {
		for _, l := range levels {
			tasks = append(tasks, func() (func(*Results), error) { return assault(s, l, s.Seed+o.Seed) })
		}
	}
	if !o.AttacksOnly {
		tasks = append(tasks, o.figures(scenarios, levels)...)
	}
	merge, err := parallel(tasks, progress)
	if err != nil {
		return nil, err
	}
	r := &Results{
		Schema: Schema, Note: Note, Options: o, Inputs: o.digest(),
		Readings: []Reading{}, Attempts: []Attempt{}, Costs: []Cost{}, Paces: []Pace{}, Sweep: []Point{}, Healing: []Healing{},
	}
	for _, add := range merge {
		add(r)
	}
	return r, nil
}

func (o Options) digest() string {
	b, err := json.Marshal(o)
	if err != nil {
		panic("attacklab: options are strings and numbers: " + err.Error())
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// resolve reads the scenarios and finds the levels.
func (o Options) resolve() (scenarios []*scenario.Scenario, levels []Level, err error) {
	for _, text := range o.Scenarios {
		s, err := scenario.Parse(text)
		if err != nil {
			return nil, nil, err
		}
		if o.Quick {
			s = s.Shortened(quickTexts)
		}
		scenarios = append(scenarios, s)
	}
	for _, key := range o.Levels {
		l, ok := LevelOf(key)
		if !ok {
			return nil, nil, &UnknownError{"level", key}
		}
		levels = append(levels, l)
	}
	return scenarios, levels, nil
}

// assault is one conversation and all its attackers.
func assault(s *scenario.Scenario, l Level, seed uint64) (func(*Results), error) {
	run, err := simulation.Play(s, l.Suite, seed)
	if err != nil {
		return nil, err
	}
	var readings []Reading
	for _, a := range s.Attacks {
		readings = append(readings, Assail(run, l, a, seed))
	}
	var attempts []Attempt
	for _, a := range s.Actives {
		attempt, ok, err := Try(run, l, a, seed)
		if err != nil {
			return nil, err
		}
		if ok {
			attempts = append(attempts, attempt)
		}
	}
	cost := costOf(run, l, seed)
	return func(r *Results) {
		r.Readings = append(r.Readings, readings...)
		r.Attempts = append(r.Attempts, attempts...)
		r.Costs = append(r.Costs, cost)
	}, nil
}

// parallel does all tasks, two at a time, and gives their outcomes in order.
func parallel(tasks []task, progress func(done, total int)) ([]func(*Results), error) {
	outcomes, failures := make([]func(*Results), len(tasks)), make([]error, len(tasks))
	next := make(chan int)
	var mu sync.Mutex
	var group sync.WaitGroup
	done := 0
	for range 2 {
		group.Go(func() {
			for i := range next {
				outcomes[i], failures[i] = tasks[i]()
				mu.Lock()
				done++
				if progress != nil {
					progress(done, len(tasks))
				}
				mu.Unlock()
			}
		})
	}
	for i := range tasks {
		next <- i
	}
	close(next)
	group.Wait()
	return outcomes, errors.Join(failures...)
}

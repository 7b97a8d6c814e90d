package attacklab

import (
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level3"
	"github.com/posthorn/posthorn/suite/level3sparse"
)

// Cost is what a conversation weighed on the wire, in bytes of all messages
// that devices sent, receipts included.
type Cost struct {
	Scenario string `json:"scenario"`
	Level    string `json:"level"`
	Seed     uint64 `json:"seed"`
	Texts    int    `json:"texts"`
	Frames   int    `json:"messages_on_the_wire"`
	Total    int    `json:"bytes"`
	Header   int    `json:"bytes_header"`
	Proof    int    `json:"bytes_signatures_and_tags"`
	Text     int    `json:"bytes_ciphertext"`
	Start    int    `json:"bytes_session_start"`
	Rekey    int    `json:"bytes_rekeys"`
	Rekeys   int    `json:"rekeys"`
	Unopened int    `json:"never_opened"`
}

func costOf(run *simulation.Run, l Level, seed uint64) Cost {
	c := Cost{Scenario: run.Scenario.Name, Level: l.Key, Seed: seed, Texts: run.Written(), Frames: len(run.Sent), Unopened: run.Unopened}
	for i := range run.Sent {
		a := &run.Sent[i].Anatomy
		c.Total += a.Total
		c.Header += a.Header()
		c.Proof += a.Proof
		c.Text += a.Text
		c.Start += a.Start
		c.Rekey += a.Rekey
		c.Rekeys = max(c.Rekeys, run.Sent[i].Rekeys)
	}
	return c
}

// Pace is how often a way of rekeying completes, and what it costs, between
// the first and the last rekey of a long conversation without losses.
type Pace struct {
	Scenario string `json:"scenario"`
	Way      string `json:"way"` // "every message", "paced", "sparse"
	Messages int    `json:"messages"`
	Rekeys   int    `json:"rekeys"`
	Bytes    int    `json:"post_quantum_bytes"`
	// BytesPerMessage and MessagesPerRekey are in tenths.
	BytesPerMessage  int `json:"bytes_per_message_tenths"`
	MessagesPerRekey int `json:"messages_per_rekey_tenths"`
}

// Ways are the ways of rekeying that Pace compares.
func Ways() map[string]suite.Suite {
	return map[string]suite.Suite{
		"every message": level3.New(level3.Options{Suite: account.PQ3, Repeat: true}),
		"paced":         level3.New(level3.Options{Suite: account.PQ3A}),
		"sparse":        level3sparse.New(),
	}
}

// wayOrder is the order in which they are shown.
var wayOrder = []string{"every message", "paced", "sparse"}

// ErrNoRekeys says that a conversation was too short to measure how often a
// rekey completes.
var ErrNoRekeys = errors.New("attacklab: no two rekeys complete")

// PaceOf measures one way of rekeying in the traffic of a scenario.
func PaceOf(s *scenario.Scenario, way string, level suite.Suite, texts int) (Pace, error) {
	long := *s
	long.Messages = texts
	run, err := simulation.Play(&long, level, s.Seed)
	if err != nil {
		return Pace{}, err
	}
	p := Pace{Scenario: s.Name, Way: way}
	first, last := -1, -1
	for i := 1; i < len(run.Sent); i++ {
		if run.Sent[i].Rekeys > run.Sent[i-1].Rekeys {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if last <= first {
		return p, fmt.Errorf("%w in %d texts of %s (%s)", ErrNoRekeys, texts, s.Name, way)
	}
	for i := first; i < last; i++ {
		p.Bytes += run.Sent[i].Anatomy.Rekey
	}
	p.Messages, p.Rekeys = last-first, run.Sent[last].Rekeys-run.Sent[first].Rekeys
	p.BytesPerMessage = rounded(10*p.Bytes, p.Messages)
	p.MessagesPerRekey = rounded(10*p.Messages, p.Rekeys)
	return p, nil
}

func rounded(a, b int) int { return (2*a + b) / (2 * b) }

// Point is one moment of a sweep: what a thief of that moment reads of the
// whole conversation.
type Point struct {
	Level   string `json:"level"`
	Message int    `json:"before_text"`
	Texts   int    `json:"texts"`
	Thief   int    `json:"read_by_thief"`              // without a quantum computer
	Quantum int    `json:"read_by_thief_with_quantum"` // with one, later
}

// sweepOf seizes Bob's device at many moments of one conversation.
func sweepOf(s *scenario.Scenario, l Level, seed uint64, points int) ([]Point, error) {
	run, err := simulation.Play(s, l.Suite, seed)
	if err != nil {
		return nil, err
	}
	var all []Point
	for i := range points {
		m := 2 + i*(run.Written()-3)/(points-1)
		at := []scenario.Seizure{{Device: s.Devices[1], Where: scenario.AtMessage, At: m}}
		thief := Assail(run, l, scenario.Attack{Recording: true, Seizures: at}, seed)
		quantum := Assail(run, l, scenario.Attack{Recording: true, Seizures: at, Quantum: true}, seed)
		all = append(all, Point{l.Key, m, run.Written(), thief.Read, quantum.Read})
	}
	return all, nil
}

// Healing is how long a seized state and a quantum computer are of use at one
// rekey interval, over many moments of seizure, and what that interval costs.
type Healing struct {
	Scenario string `json:"scenario"`
	Way      string `json:"way"`
	Interval int    `json:"every_messages"`
	Moments  int    `json:"moments"`
	Mean     int    `json:"window_mean_tenths"`
	Worst    int    `json:"window_worst"`
	Bound    int    `json:"window_bound"` // by the contract; 0 where it has none
	Bytes    int    `json:"post_quantum_bytes_per_message_tenths"`
}

// healingOf measures one interval in the traffic of a scenario.
func healingOf(s *scenario.Scenario, way string, l Level, interval, moments int) (Healing, error) {
	run, err := simulation.Play(s, l.Suite, s.Seed)
	if err != nil {
		return Healing{}, err
	}
	h := Healing{Scenario: s.Name, Way: way, Interval: interval, Moments: moments}
	if way != "sparse" {
		h.Bound = interval + 3*max(s.Turns[0].High, s.Turns[1].High)
	}
	sum := 0
	for i := range moments {
		m := run.Written()/10 + i*run.Written()/(2*moments)
		device := s.Devices[i%2]
		r := Assail(run, l, scenario.Attack{Recording: true, Quantum: true,
			Seizures: []scenario.Seizure{{Device: device, Where: scenario.AtMessage, At: m}}}, s.Seed)
		sum += r.Window
		h.Worst = max(h.Worst, r.Window)
	}
	c := costOf(run, l, s.Seed)
	h.Mean, h.Bytes = rounded(10*sum, moments), rounded(10*c.Rekey, c.Frames)
	return h, nil
}

// intervals are the rekey intervals that healing is measured at.
func (o Options) intervals() []int {
	if o.Quick {
		return []int{10, 50}
	}
	return []int{5, 10, 20, 30, 40, 50}
}

// figures are the tasks beyond the attacks: the paces, the sweep, the healing.
// Those that belong to Level 3 are made when it is chosen.
func (o Options) figures(scenarios []*scenario.Scenario, levels []Level) (tasks []task) {
	paces, points, moments := 2_000, 24, 16
	if o.Quick {
		paces, points, moments = 240, 5, 4
	}
	ours := false
	for _, l := range levels {
		ours = ours || l.Key == "3A"
	}
	for _, s := range scenarios {
		if !s.Figures {
			continue
		}
		if s.Name == "alternation" {
			tasks = append(tasks, sweeps(s, levels, points, o.Seed)...)
		}
		if !ours {
			continue
		}
		for _, way := range wayOrder {
			if o.Quick && s.Turns[0].High > 10 {
				break // long chains need long conversations
			}
			if level, ok := Ways()[way]; ok {
				tasks = append(tasks, paceTask(s, way, level, paces))
			}
		}
		if s.Name == "alternation" || s.Name == "bursts-10" {
			tasks = append(tasks, healings(s, o.intervals(), moments)...)
		}
	}
	return tasks
}

func sweeps(s *scenario.Scenario, levels []Level, points int, seed uint64) (tasks []task) {
	for _, l := range levels {
		tasks = append(tasks, func() (func(*Results), error) {
			all, err := sweepOf(s, l, s.Seed+seed, points)
			return func(r *Results) { r.Sweep = append(r.Sweep, all...) }, err
		})
	}
	return tasks
}

func paceTask(s *scenario.Scenario, way string, level suite.Suite, texts int) task {
	return func() (func(*Results), error) {
		p, err := PaceOf(s, way, level, texts)
		if errors.Is(err, ErrNoRekeys) {
			err = nil // shown as such: no rekeys, no bytes
		}
		return func(r *Results) { r.Paces = append(r.Paces, p) }, err
	}
}

func healings(s *scenario.Scenario, intervals []int, moments int) (tasks []task) {
	add := func(way string, level suite.Suite, interval int) {
		l := Level{Key: way, Suite: level}
		tasks = append(tasks, func() (func(*Results), error) {
			h, err := healingOf(s, way, l, interval, moments)
			return func(r *Results) { r.Healing = append(r.Healing, h) }, err
		})
	}
	for _, n := range intervals {
		add("paced", level3.New(level3.Options{Suite: account.PQ3A, Policy: pq3.Policy{EveryMessages: n}}), n)
	}
	add("every message", Ways()["every message"], 50)
	if sparse, ok := Ways()["sparse"]; ok {
		add("sparse", sparse, 0)
	}
	return tasks
}

// Time plays a conversation on a level and gives the microseconds that sealing
// and opening one message took together, by the given clock. It is the one
// figure that no seed reproduces.
func Time(l Level, now func() time.Time) (micros int, err error) {
	all, err := scenario.Builtin()
	if err != nil {
		return 0, err
	}
	for _, s := range all {
		if s.Name == "alternation" {
			from := now()
			run, err := simulation.Play(s.Shortened(100), l.Suite, 1)
			if err != nil {
				return 0, err
			}
			return int(now().Sub(from).Microseconds()) / len(run.Sent), nil
		}
	}
	return 0, &UnknownError{"scenario", "alternation"}
}

package attacklab

import (
	"strconv"
	"strings"
	"time"

	"github.com/posthorn/posthorn/attacklab/attack"
	"github.com/posthorn/posthorn/attacklab/compromise"
	"github.com/posthorn/posthorn/attacklab/harvest"
	"github.com/posthorn/posthorn/attacklab/oracle"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/suite/seeded"
)

// Reading is what one attacker read of one conversation: a row of the results.
// Counts are of texts that people wrote; a text that went to several devices
// counts once, and as read if one copy was read.
type Reading struct {
	Scenario string   `json:"scenario"`
	Level    string   `json:"level"`
	Seed     uint64   `json:"seed"`
	Attacker string   `json:"attacker"`
	Seized   []Moment `json:"seized,omitempty"`
	Texts    int      `json:"texts"`
	Read     int      `json:"read"`
	// Before counts texts that the seized devices had finished with before the
	// seizure, opened by other means than a stolen prekey.
	Before int `json:"read_before_seizure"`
	// Opening counts texts, earlier or later, that only a prekey opened which a
	// seized device still held: the opening of a session.
	Opening int `json:"read_opening_by_stolen_prekey"`
	// Window is how long the last seizure was of use otherwise: texts, changes
	// of the writer and seconds until the last text that was read.
	Window        int   `json:"window_texts"`
	WindowTurns   int   `json:"window_direction_changes"`
	WindowSeconds int64 `json:"window_seconds"`
	// Healed: something that was written after the window could not be read.
	Healed bool `json:"healed"`
	// Questions is how often the oracles were asked.
	Questions int `json:"oracle_questions"`
	// Strip has a character for each text: # read, o read by a stolen prekey
	// alone, . not read.
	Strip string `json:"strip"`
}

// Moment is a seizure as it took place.
type Moment struct {
	Device  string `json:"device"`
	Message int    `json:"before_text"`
}

// Assail lets an attacker loose on a conversation and scores what it reads.
func Assail(run *simulation.Run, level Level, a scenario.Attack, seed uint64) Reading {
	moments := place(run, a, seed)
	in, questions := Equip(run, a, moments)
	texts := attack.On(run.Suite.Name())(in)
	r := score(run, texts, moments)
	r.Scenario, r.Level, r.Seed, r.Attacker = run.Scenario.Name, level.Key, seed, a.String()
	r.Questions = questions()
	return r
}

// place decides when each seizure happens. What is left to chance depends on
// scenario, seed and position alone, so that every level is hit at the same
// moment.
func place(run *simulation.Run, a scenario.Attack, seed uint64) (moments []Moment) {
	for i, s := range a.Seizures {
		at := s.At
		switch s.Where {
		case scenario.AtStart:
			at = 2
		case scenario.AtRandom:
			at = between(run.Written()/5, run.Written()*3/5, run.Scenario.Name, seed, uint64(i))
		}
		moments = append(moments, Moment{s.Device, min(at, run.Written()-1)})
	}
	return moments
}

// between is a number from low to high that follows from a name and numbers.
func between(low, high int, name string, numbers ...uint64) int {
	var label strings.Builder
	label.WriteString("seizure of " + name)
	for _, n := range numbers {
		label.WriteString("/" + decimal(n))
	}
	var b [4]byte
	seeded.New(label.String()).Read(b[:])
	n := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	return low + n%(high-low+1)
}

// Equip gives an attacker what its description says and nothing else.
func Equip(run *simulation.Run, a scenario.Attack, moments []Moment) (in attack.Inputs, questions func() int) {
	var sight sight
	if a.Server {
		in.Server = run.Server
	}
	if a.Recording {
		in.Recording = run.Recording
		sight.recording = run.Recording
	}
	for _, m := range moments {
		seized := run.Seize(m.Device, m.Message)
		in.Seized = append(in.Seized, seized)
		sight.seized = append(sight.seized, seized)
	}
	quantum, kem := oracle.NewQuantum(run.Table, sight), oracle.NewKEM(run.Table, sight)
	if a.Quantum {
		in.Quantum = quantum
	}
	if a.KEM {
		in.KEM = kem
	}
	return in, func() int { return quantum.Questions() + kem.Questions() }
}

// sight is what the oracle answers about: what this attacker holds.
type sight struct {
	recording *harvest.Recording
	seized    []compromise.Seized
}

// Holds reports whether a value lies in the recording or in a seized state.
func (s sight) Holds(value []byte) bool {
	if s.recording.Holds(value) {
		return true
	}
	for _, seized := range s.seized {
		if seized.Holds(value) {
			return true
		}
	}
	return false
}

// score holds the attacker's claims against the truth.
func score(run *simulation.Run, claims []attack.Plaintext, moments []Moment) (r Reading) {
	r.Texts, r.Seized = run.Written(), moments
	strip := []byte(strings.Repeat(".", r.Texts))
	via := make([]attack.Via, r.Texts)
	past := make([]bool, r.Texts)
	for _, c := range claims {
		sent := &run.Sent[c.Frame]
		if sent.Message < 0 || string(c.Text) != string(sent.Text) {
			continue
		}
		strip[sent.Message] = '#'
		if via[sent.Message] == 0 || c.Via > via[sent.Message] {
			via[sent.Message] = c.Via
		}
		past[sent.Message] = past[sent.Message] || finished(sent, moments)
	}
	for m := range strip {
		if strip[m] != '#' {
			continue
		}
		r.Read++
		switch {
		case via[m] == attack.StolenPrekey:
			r.Opening++
			strip[m] = 'o'
		case past[m]:
			r.Before++
		}
	}
	r.Strip = string(strip)
	r.window(run, moments)
	return r
}

// finished reports whether all seized devices had done with a frame.
func finished(sent *simulation.Sent, moments []Moment) bool {
	for _, m := range moments {
		if !sent.Past(m.Device, m.Message) {
			return false
		}
	}
	return len(moments) > 0
}

// window measures from the last seizure to the last text that was read.
func (r *Reading) window(run *simulation.Run, moments []Moment) {
	if len(moments) == 0 {
		return
	}
	from := 0
	for _, m := range moments {
		from = max(from, m.Message)
	}
	last := strings.LastIndexByte(r.Strip, '#')
	r.Healed = last < r.Texts-1
	if last < from {
		return
	}
	r.Window = last - from + 1
	r.WindowSeconds = int64(run.MomentOf(last).Sub(run.MomentOf(from)) / time.Second)
	writer := ""
	for i := range run.Sent {
		s := &run.Sent[i]
		if s.Message < from || s.Message > last {
			continue
		}
		if writer != "" && s.From != writer {
			r.WindowTurns++
		}
		writer = s.From
	}
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }

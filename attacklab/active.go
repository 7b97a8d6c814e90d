package attacklab

import (
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/attacklab/attack"
	"github.com/posthorn/posthorn/attacklab/scenario"
	"github.com/posthorn/posthorn/attacklab/simulation"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/seeded"
)

// Attempt is one active attack: what was tried, and whether it worked.
type Attempt struct {
	Scenario  string `json:"scenario"`
	Level     string `json:"level"`
	Seed      uint64 `json:"seed"`
	Attack    string `json:"attack"`
	Needs     string `json:"attacker_has"`
	Succeeded bool   `json:"succeeded"`
	Outcome   string `json:"outcome"`
}

// needs is what the attacker has, in words.
var needs = map[scenario.Active]string{
	scenario.Impersonate: "a quantum computer now, not later",
	scenario.Edit:        "the sender's signing keys",
	scenario.Strip:       "the sender's signing keys",
	scenario.Withhold:    "control of the network",
	scenario.Replay:      "a recording, and a way to send",
}

// scene is a conversation into which an attacker sends.
type scene struct {
	run  *simulation.Run
	seed uint64
	a, b string // devices
}

// Try makes an active attack on a conversation at Level 3. Other levels have
// no rekeys to strip and nothing that Posthorn claims; ok is false for them.
func Try(run *simulation.Run, level Level, a scenario.Active, seed uint64) (attempt Attempt, ok bool, err error) {
	if level.Key != "3" && level.Key != "3A" {
		return Attempt{}, false, nil
	}
	s := &scene{run: run, seed: seed, a: run.Scenario.Devices[0], b: run.Scenario.Devices[1]}
	attempt = Attempt{Scenario: run.Scenario.Name, Level: level.Key, Seed: seed, Attack: string(a), Needs: needs[a]}
	play := map[scenario.Active]func() (bool, string, error){
		scenario.Impersonate: s.impersonate, scenario.Edit: s.edit, scenario.Strip: s.strip,
		scenario.Withhold: s.withhold, scenario.Replay: s.replay,
	}[a]
	attempt.Succeeded, attempt.Outcome, err = play()
	return attempt, true, err
}

// impersonate forges a session start from Alice to Bob, and lets Bob judge.
func (s *scene) impersonate() (bool, string, error) {
	in, _ := Equip(s.run, scenario.Attack{Recording: true, Quantum: true}, nil)
	last := s.run.Written() - 1
	text := []byte("this is not " + s.a)
	wire, err := attack.Impersonate(in, seeded.New(fmt.Sprintf("forger %d", s.seed)), s.run.MomentOf(last), s.a, s.b, text)
	if err != nil {
		return false, "", err
	}
	return s.judge(s.run.Device(s.b, last), s.run.MomentOf(last), wire, text)
}

// judge lets a device open what an attacker made.
func (s *scene) judge(device suite.Party, now time.Time, wire, want []byte) (bool, string, error) {
	_, text, err := device.Open(now, s.a, wire)
	if err == nil && string(text) == string(want) {
		return true, "accepted as genuine", nil
	}
	if err == nil {
		return false, "", errors.New("attacklab: the device opened something that nobody made")
	}
	return false, "refused: " + reason(err), nil
}

// edit changes a text of Alice's on its way.
func (s *scene) edit() (bool, string, error) {
	m := s.textFrom(s.a, s.run.Written()/2)
	in := s.thief(m)
	frame := s.frameOf(m)
	sent := s.run.Sent[frame]
	guess, instead := []byte(s.a), []byte("mallory")[:len(s.a)]
	wire, err := attack.Edit(in, s.run.Recording.Frames[frame].Up, s.a, s.b, guess, instead)
	if err != nil {
		return false, "", err
	}
	want := append(append([]byte(nil), instead...), sent.Text[len(guess):]...)
	return s.judge(s.run.Device(s.b, m), sent.At, wire, want)
}

// strip cuts the answer to Bob's KEM key out of a message of Alice's.
func (s *scene) strip() (bool, string, error) {
	m, ok := s.answer()
	if !ok {
		return false, "", errors.New("attacklab: no message of the scenario carries a rekey")
	}
	frame := s.frameOf(m)
	wire, err := attack.Strip(s.thief(m), s.run.Recording.Frames[frame].Up, s.a, s.b)
	if err != nil {
		return false, "", err
	}
	return s.judge(s.run.Device(s.b, m), s.run.Sent[frame].At, wire, s.run.Sent[frame].Text)
}

// thief has a recording, and Alice's device as it was at the start: the
// session of today is not in it.
func (s *scene) thief(message int) attack.Inputs {
	in, _ := Equip(s.run, scenario.Attack{Recording: true}, []Moment{{s.a, 0}})
	return in
}

// textFrom is the first text from a number on that a device wrote.
func (s *scene) textFrom(device string, from int) int {
	for i := range s.run.Sent {
		if sent := &s.run.Sent[i]; sent.From == device && sent.Message >= from {
			return sent.Message
		}
	}
	return from
}

// answer is a text of Alice's, the first that completes a rekey.
func (s *scene) answer() (message int, ok bool) {
	rekeys := 0
	for i := range s.run.Sent {
		sent := &s.run.Sent[i]
		if sent.Rekeys > rekeys && sent.From == s.a && sent.Message >= 0 {
			return sent.Message, true
		}
		rekeys = max(rekeys, sent.Rekeys)
	}
	return 0, false
}

func (s *scene) frameOf(message int) int {
	for i := range s.run.Sent {
		if s.run.Sent[i].Message == message {
			return i
		}
	}
	return 0
}

// withhold drops every message that carries rekey objects, for a hundred texts
// in turn. It succeeds if a text gets through on a chain whose objects did not.
func (s *scene) withhold() (bool, string, error) {
	m := s.run.Written() / 3
	alice, bob := s.run.Device(s.a, m), s.run.Device(s.b, m)
	before := max(alice.Rekeys(s.b), bob.Rekeys(s.a))
	ent, now := seeded.New(fmt.Sprintf("withheld %d", s.seed)), s.run.MomentOf(m)
	sides := [2]suite.Party{alice, bob}
	names := [2]string{s.a, s.b}
	stalled, dropped := 0, 0
	for i := range 100 {
		from, to := i%2, 1-i%2
		now = now.Add(time.Minute)
		next, wire, err := sides[from].Seal(ent, now, names[to], []byte("is anybody there"))
		if err != nil {
			return false, "", err
		}
		sides[from] = next
		if attack.CarriesRekey(wire) {
			dropped++
			continue
		}
		opened, _, err := sides[to].Open(now, names[from], wire)
		if errors.Is(err, suite.ErrWaiting) {
			stalled++
			continue
		}
		if err != nil {
			return false, "", err
		}
		sides[to] = opened
	}
	after := max(sides[0].Rekeys(s.b), sides[1].Rekeys(s.a))
	if stalled == 0 {
		return true, fmt.Sprintf("%d dropped, and the conversation went on", dropped), nil
	}
	return after > before, fmt.Sprintf("both sides stop and see it: %d messages dropped, %d wait for them, none goes on with old keys", dropped, stalled), nil
}

// replay delivers the recorded start of the session again, at the end.
func (s *scene) replay() (bool, string, error) {
	last := s.run.Written() - 1
	return s.judge(s.run.Device(s.b, last), s.run.MomentOf(last), s.run.Recording.Frames[0].Down, s.run.Sent[0].Text)
}

// reasons are refusals in a few words, the most precise first.
var reasons = []struct {
	is    error
	words string
}{
	{pq3.ErrRekeyMissing, "the rekey that was due is missing"},
	{suite.ErrSignature, "the signature is not the sender's"},
	{suite.ErrReplay, "received before"},
	{suite.ErrUndecryptable, "sealed under other keys, or altered"},
	{suite.ErrMalformed, "not in the one form that is allowed"},
	{suite.ErrWaiting, "waits for objects that never come"},
	{suite.ErrPrekey, "the prekey is gone"},
}

func reason(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.is) {
			return r.words
		}
	}
	return err.Error()
}

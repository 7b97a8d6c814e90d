package scenario

import (
	"slices"
	"strconv"
	"strings"
)

// attack reads "recording + quantum + seize bob at random".
func (p *parser) attack(text string) {
	var a Attack
	for _, part := range strings.Split(text, "+") {
		words := strings.Fields(part)
		switch {
		case len(words) == 4 && words[0] == "seize" && words[2] == "at":
			a.Seizures = append(a.Seizures, p.seizure(words[1], words[3]))
		case len(words) != 1:
			p.fail("an attacker is parts joined by +, such as recording + quantum")
		case words[0] == "server":
			a.Server = true
		case words[0] == "recording":
			a.Recording = true
		case words[0] == "quantum":
			a.Quantum = true
		case words[0] == "kem-broken":
			a.KEM = true
		default:
			p.fail("no attacker has %q", words[0])
		}
	}
	if a.String() != text || len(p.s.Attacks) == maxLines || len(a.Seizures) > 2 {
		p.fail("%q: parts once each, in the order server, recording, seize, quantum, kem-broken; at most two seizures", text)
	}
	p.s.Attacks = append(p.s.Attacks, a)
}

func (p *parser) seizure(device, where string) Seizure {
	s := Seizure{Device: device}
	switch where {
	case "start":
		s.Where = AtStart
	case "random":
		s.Where = AtRandom
	default:
		s.Where, s.At = AtMessage, p.number(where, 2, maxMessages)
	}
	return s
}

func (s Seizure) place() string {
	switch s.Where {
	case AtStart:
		return "start"
	case AtRandom:
		return "random"
	}
	return strconv.Itoa(s.At)
}

func (p *parser) active(text string) {
	if !slices.Contains(actives, Active(text)) || slices.Contains(p.s.Actives, Active(text)) {
		p.fail("%q: one of impersonate, edit, strip, withhold, replay, once each", text)
	}
	p.s.Actives = append(p.s.Actives, Active(text))
}

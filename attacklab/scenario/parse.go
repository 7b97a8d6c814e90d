package scenario

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ErrSyntax is wrapped by every refusal of Parse, which names the line.
var ErrSyntax = errors.New("scenario: not a scenario")

const (
	maxText     = 64 << 10
	maxMessages = 20_000
	maxDevices  = 4
	maxLines    = 32 // attacks, absences, active attacks
	maxSpan     = 60 * 24 * time.Hour
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// parser reads one file; the first refusal stands.
type parser struct {
	s    *Scenario
	seen map[string]bool
	err  error
}

// Parse reads a scenario. Error: ErrSyntax, with the number of the line.
func Parse(text string) (*Scenario, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: longer than 64 KiB", ErrSyntax)
	}
	p := &parser{s: &Scenario{Seed: 1, Text: text}, seen: map[string]bool{}}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		p.line(word, strings.TrimSpace(rest))
		if p.err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrSyntax, i+1, p.err)
		}
	}
	if p.whole(); p.err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, p.err)
	}
	return p.s, nil
}

// repeated are the words that a scenario may have several times.
var repeated = []string{"attack", "active", "away"}

func (p *parser) line(word, rest string) {
	if p.seen[word] && !slices.Contains(repeated, word) {
		p.fail("%q stands twice", word)
		return
	}
	p.seen[word] = true
	s := p.s
	switch word {
	case "scenario":
		s.Name = p.match(nameForm, rest)
	case "title":
		s.Title = p.sentence(rest)
	case "about":
		s.About = p.sentence(rest)
	case "seed":
		s.Seed = uint64(p.number(rest, 0, 1<<40))
	case "devices":
		s.Devices = strings.Fields(rest)
	case "messages":
		s.Messages = p.number(rest, 2, maxMessages)
	case "turns":
		p.turns(strings.Fields(rest))
	case "gap":
		s.Gap = p.span(rest)
	case "pause":
		s.Pause = p.span(rest)
	case "keepalive":
		s.Keepalive = p.span(rest).High
	case "receipts", "figures":
		p.flag(word, rest)
	case "network":
		p.network(strings.Fields(rest))
	case "away":
		p.away(strings.Fields(rest))
	case "attack":
		p.attack(rest)
	case "active":
		p.active(rest)
	default:
		p.fail("no such word: %q", word)
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *parser) match(form *regexp.Regexp, text string) string {
	if !form.MatchString(text) {
		p.fail("%q: lower-case letters, digits and hyphens, at most 40", text)
	}
	return text
}

func (p *parser) sentence(text string) string {
	if text == "" || len(text) > 300 {
		p.fail("1 to 300 bytes of text are wanted")
	}
	return text
}

func (p *parser) number(text string, low, high int) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high || strconv.Itoa(n) != text {
		p.fail("%q: a number from %d to %d is wanted", text, low, high)
		return low
	}
	return n
}

// bounds splits "LOW..HIGH"; one value stands for both.
func bounds(text string) (low, high string) {
	if low, high, ok := strings.Cut(text, ".."); ok {
		return low, high
	}
	return text, text
}

func (p *parser) span(text string) (s Span) {
	low, high := bounds(text)
	s = Span{p.duration(low), p.duration(high)}
	if s.Low > s.High {
		p.fail("%q: the first is greater than the second", text)
	}
	return s
}

func (p *parser) duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxSpan || d%time.Millisecond != 0 {
		p.fail("%q: a duration in whole milliseconds of at most 60 days is wanted, such as 200ms or 36h", text)
		return 0
	}
	return d
}

func (p *parser) turns(words []string) {
	if len(words) != 2 {
		p.fail("turns wants two numbers or ranges")
		return
	}
	for i, w := range words {
		low, high := bounds(w)
		r := Range{p.number(low, 0, 500), p.number(high, 0, 500)}
		if r.Low > r.High || r.High == 0 {
			p.fail("%q: an owner writes at least now and then", w)
		}
		p.s.Turns[i] = r
	}
}

func (p *parser) flag(word, rest string) {
	if rest != "on" {
		p.fail("%s is on, or the line is left out", word)
	}
	if word == "receipts" {
		p.s.Receipts = true
	} else {
		p.s.Figures = true
	}
}

func (p *parser) network(words []string) {
	if len(words) == 0 || len(words)%2 != 0 {
		p.fail("network wants pairs such as latency 200ms..2s loss 5%%")
	}
	n := &p.s.Network
	for pair := range slices.Chunk(words, 2) {
		if len(pair) < 2 {
			return
		}
		switch pair[0] {
		case "latency":
			n.Latency = p.span(pair[1])
		case "late":
			n.Late = p.span(pair[1])
		case "loss":
			n.Loss = p.percent(pair[1])
		case "reorder":
			n.Reorder = p.percent(pair[1])
		default:
			p.fail("the network has no %q", pair[0])
		}
	}
}

func (p *parser) percent(text string) int {
	digits, ok := strings.CutSuffix(text, "%")
	if !ok {
		p.fail("%q: percent are wanted, such as 5%%", text)
	}
	return p.number(digits, 0, 90)
}

func (p *parser) away(words []string) {
	if len(words) != 2 || len(p.s.Away) == maxLines {
		p.fail("away wants a device and a span, such as bob 48h..240h")
		return
	}
	s := p.span(words[1])
	p.s.Away = append(p.s.Away, Absence{words[0], s.Low, s.High})
}

// whole checks what no line can know alone.
func (p *parser) whole() {
	s := p.s
	for word, missing := range map[string]bool{
		"scenario": s.Name == "", "title": s.Title == "", "about": s.About == "",
		"devices": len(s.Devices) == 0, "messages": s.Messages == 0, "turns": s.Turns[0].High == 0,
	} {
		if missing {
			p.fail("a scenario says its %s", word)
		}
	}
	p.devices()
	for _, a := range s.Away {
		p.known(a.Device)
	}
	for _, a := range s.Attacks {
		for _, seizure := range a.Seizures {
			p.known(seizure.Device)
			if seizure.At >= s.Messages {
				p.fail("a seizure after the last message")
			}
		}
	}
	if len(s.Attacks)+len(s.Actives) == 0 && !s.Figures {
		p.fail("a scenario has an attack, or figures")
	}
}

func (p *parser) devices() {
	owners := p.s.Owners()
	sorted := slices.Compact(slices.Sorted(slices.Values(p.s.Devices)))
	if len(owners) != 2 || len(p.s.Devices) > maxDevices || len(sorted) != len(p.s.Devices) {
		p.fail("two owners with at most four devices of different names are wanted")
		return
	}
	for _, d := range p.s.Devices {
		p.match(nameForm, d)
	}
}

func (p *parser) known(device string) {
	if !slices.Contains(p.s.Devices, device) {
		p.fail("no device %q", device)
	}
}

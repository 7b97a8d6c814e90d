package scenario

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/decodertest"
)

const small = `scenario small
title A title
about What it is about.
devices alice bob bob-laptop
messages 10
turns 1..3 2
gap 5s
pause 1m..2m
network latency 200ms..2s loss 5% reorder 20% late 1m
away bob 48h..240h
receipts on
attack recording + seize bob at 4 + seize alice at random + quantum
active edit
`

func TestParseReadsEveryWord(t *testing.T) {
	s, err := Parse(small)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "small" || s.Seed != 1 || len(s.Devices) != 3 || s.Turns != [2]Range{{1, 3}, {2, 2}} ||
		s.Pause != (Span{time.Minute, 2 * time.Minute}) || s.Network.Loss != 5 || s.Network.Late.High != time.Minute || !s.Receipts {
		t.Errorf("read as %+v", s)
	}
	if got := s.Attacks[0].String(); got != "recording + seize bob at 4 + seize alice at random + quantum" {
		t.Errorf("the attack became %q", got)
	}
	if back, there := s.Reachable("bob", 50*time.Hour); there || back != 240*time.Hour {
		t.Error("bob is away on the third day")
	}
	if q := s.Shortened(3); q.Messages != 3 || q.Attacks[0].Seizures[0].At != 2 || s.Attacks[0].Seizures[0].At != 4 {
		t.Errorf("shortened to %+v", q)
	}
}

// Each line that says nothing or too much is refused, and named.
func TestParseIsStrict(t *testing.T) {
	for what, change := range map[string][2]string{
		"unknown word":      {"gap 5s", "gasp 5s"},
		"word twice":        {"gap 5s", "title B"},
		"no number":         {"messages 10", "messages ten"},
		"too many":          {"messages 10", "messages 20001"},
		"backwards":         {"1m..2m", "2m..1m"},
		"three owners":      {"bob-laptop", "carol"},
		"device twice":      {"bob-laptop", "bob"},
		"unknown device":    {"away bob", "away carol"},
		"seizure too late":  {"at 4", "at 10"},
		"unknown part":      {"+ quantum", "+ luck"},
		"order of parts":    {"recording + seize bob at 4", "seize bob at 4 + recording"},
		"unknown attack":    {"active edit", "active wish"},
		"percent":           {"loss 5%", "loss 5"},
		"nobody writes":     {"turns 1..3 2", "turns 1..3 0"},
		"receipts off":      {"receipts on", "receipts off"},
		"no attack at all":  {"attack recording + seize bob at 4 + seize alice at random + quantum\nactive edit\n", ""},
		"missing title":     {"title A title\n", ""},
		"fraction of a ms":  {"gap 5s", "gap 5us"},
		"leading zero":      {"messages 10", "messages 010"},
		"network, odd word": {"late 1m", "late"},
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		if text == small {
			t.Fatalf("%s: nothing changed", what)
		}
		if _, err := Parse(text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestBuiltinScenariosParse(t *testing.T) {
	all, err := Builtin()
	if err != nil || len(all) < 8 {
		t.Fatalf("%d scenarios, %v", len(all), err)
	}
	for i, s := range all {
		if i > 0 && all[i-1].Name >= s.Name {
			t.Errorf("%s is out of order", s.Name)
		}
	}
}

// FuzzParse: no text makes Parse panic, and what it accepts names its attacks
// as they were written.
func FuzzParse(f *testing.F) {
	decodertest.Seed(f, "small", small)
	decodertest.Seed(f, "empty", "")
	decodertest.Seed(f, "comment", "# nothing\nscenario x")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("another error: %v", err)
			}
			return
		}
		for _, a := range s.Attacks {
			if !strings.Contains(text, a.String()) {
				t.Fatalf("attack %q is not in the text", a)
			}
		}
	})
}

package kt

import (
	"reflect"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/decodertest"
)

func somePins() *Pins {
	l := town(1)
	return &Pins{
		Policy: l.policy.Hash(), Head: must(l.policy.Checkpoint(l.checkpoint(5))).Head,
		Names: []PinnedName{{"alice", Label{2, Value{1}}}, {"bob", Label{0, Value{2}}}},
	}
}

func TestPinsNameThePolicyAndTheHead(t *testing.T) {
	want := somePins()
	got := must(ParsePins(want.Marshal()))
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v", got)
	}
	l, other := town(1), town(2)
	if got.Policy != l.policy.Hash() || got.Policy == other.policy.Hash() {
		t.Error("the hash does not tell two policies apart")
	}
	if err := l.policy.CheckHead(got.Head); err != nil {
		t.Error(err)
	}
	refusedBy(t, "V-193", other.policy.CheckHead(got.Head))
	rest := len(want.Marshal()) - len((&Pins{Policy: want.Policy, Head: want.Head}).Marshal())
	if size := want.Names[0].Size() + want.Names[1].Size(); size != rest {
		t.Errorf("the names take %d bytes, not %d", rest, size)
	}
}

func TestV280PinsOfAnotherForm(t *testing.T) {
	whole := somePins().Marshal()
	for name, spoil := range map[string]func(*Pins){
		"twice a name":   func(p *Pins) { p.Names[1].Name = "alice" },
		"out of order":   func(p *Pins) { p.Names[0], p.Names[1] = p.Names[1], p.Names[0] },
		"not a name":     func(p *Pins) { p.Names[1].Name = "B b" },
		"the own marker": func(p *Pins) { p.Names[1].Name = "~own" },
		"an empty log":   func(p *Pins) { p.Head.Size = 0 },
	} {
		p := somePins()
		spoil(p)
		_, err := ParsePins(p.Marshal())
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-280", err) })
	}
	for cut := range len(whole) {
		_, err := ParsePins(whole[:cut])
		if end := len(whole) - somePins().Names[1].Size(); cut != end && cut != end-somePins().Names[0].Size() {
			refusedBy(t, "V-280", err)
		}
	}
	_, err := ParsePins(append(whole, 0))
	refusedBy(t, "V-280", err)
	whole[0]++
	_, err = ParsePins(whole)
	refusedBy(t, "V-280", err)
}

func FuzzParsePins(f *testing.F) {
	whole := somePins()
	decodertest.Seed(f, "names", whole.Marshal())
	whole.Names = nil
	decodertest.Seed(f, "no-names", whole.Marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, ok := decodertest.Canonical(t, raw, ParsePins, (*Pins).Marshal)
		if !ok {
			return
		}
		last := account.Name("")
		for _, n := range p.Names {
			if n.Name <= last {
				t.Fatal("names out of order")
			}
			last = n.Name
		}
	})
}

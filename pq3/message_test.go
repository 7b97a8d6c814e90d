package pq3_test

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
)

// wires are one message of each kind: start, advertisement, answer, plain, and
// one of a chain with objects that does not carry them.
func wires(t *testing.T, suite account.Suite) (p *pair, all [][]byte) {
	p = newPair(t, pq3.Policy{}, suite)
	all = append(all, p.say(p.alice, 1)...)
	all = append(all, p.say(p.bob, 3)...)
	all = append(all, p.say(p.alice, 1)...)
	all = append(all, p.say(p.bob, 1)...)
	return p, all
}

func parseRefused(t *testing.T, wire []byte, check string, sentinel error) {
	t.Helper()
	_, err := pq3.ParseMessage(wire)
	wantRefusal(t, err, check, sentinel)
}

func TestParseAndMarshalAreInverse(t *testing.T) {
	for _, suite := range bothSuites {
		p, all := wires(t, suite)
		for _, wire := range all {
			same := pq3.Forge(p.alice.Identity, p.bob.Party(), wire, func(f *pq3.Fields) { f.KeepStartNames, f.KeepDigest = true, true })
			if !bytes.Equal(same[:len(same)-64], wire[:len(wire)-64]) {
				t.Errorf("%s: a message does not encode to its own bytes", suite)
			}
		}
	}
}

func TestV30TruncatedExtendedOversizedOrUnknownVersionRefused(t *testing.T) {
	for _, suite := range bothSuites {
		_, all := wires(t, suite)
		for _, wire := range all {
			for n := 14; n < len(wire); n += 7 {
				parseRefused(t, wire[:n], "V-30", pq3.ErrMalformed)
			}
			parseRefused(t, append(bytes.Clone(wire), 0), "V-30", pq3.ErrMalformed)
			for _, version := range []byte{0, 3, 0x81, 0xff} {
				parseRefused(t, append([]byte{version}, wire[1:]...), "V-30", pq3.ErrMalformed)
			}
		}
	}
	parseRefused(t, nil, "V-30", pq3.ErrMalformed)
	parseRefused(t, bytes.Repeat([]byte{1}, pq3.MaxMessage+1), "V-30", pq3.ErrMalformed)
}

// TestV31EveryFlagCombination: of 256 flag bytes a start may have two, a later
// epoch seven.
func TestV31EveryFlagCombination(t *testing.T) {
	_, all := wires(t, account.PQ3A)
	for _, c := range []struct {
		wire  []byte
		legal string
	}{
		{all[0], "\x06\x86"},
		{all[len(all)-1], "\x00\x01\x02\x03\x81\x82\x83"},
	} {
		for flags := range 256 {
			wire := bytes.Clone(c.wire)
			wire[1] = byte(flags)
			_, err := pq3.ParseMessage(wire)
			if bytes.IndexByte([]byte(c.legal), byte(flags)) < 0 {
				wantRefusal(t, err, "V-31", pq3.ErrMalformed)
			} else if err != nil && flags == int(c.wire[1]) {
				t.Errorf("flags %#x: %v", flags, err)
			}
		}
	}
}

func TestV32LargeMessageWithoutItsObjectsRefused(t *testing.T) {
	p, all := wires(t, account.PQ3A)
	lacking := all[3] // third of Bob's first chain
	parseRefused(t, p.forge(p.bob, lacking, func(f *pq3.Fields) { f.Ciphertext = make([]byte, 4096) }), "V-32", pq3.ErrMalformed)
	if _, err := pq3.ParseMessage(p.forge(p.bob, lacking, func(f *pq3.Fields) { f.Ciphertext = make([]byte, 3968) })); err != nil {
		t.Errorf("just below the bound: %v", err)
	}
}

// TestTA21GapOfAMillion: indices beyond any chain are refused by the parser,
// before any key is derived.
func TestTA21GapOfAMillion(t *testing.T) {
	t.Run("V-33 index and previous length have a bound", func(t *testing.T) {
		p, all := wires(t, account.PQ3A)
		plain := all[len(all)-1]
		for _, n := range []uint32{500, 501, 1_000_000, 1<<32 - 1} {
			parseRefused(t, p.forge(p.bob, plain, func(f *pq3.Fields) { f.Index = n }), "V-33", pq3.ErrSkipLimit)
			parseRefused(t, p.forge(p.bob, plain, func(f *pq3.Fields) { f.Previous = max(n, 501) }), "V-33", pq3.ErrSkipLimit)
		}
	})
}

func TestV34CiphertextOfNoPaddedLengthRefused(t *testing.T) {
	p, all := wires(t, account.PQ3A)
	for _, n := range []int{0, 1, 127, 129, 143, 145, 1025} {
		wire := p.forge(p.bob, all[5], func(f *pq3.Fields) { f.Ciphertext = make([]byte, n) })
		parseRefused(t, wire, "V-34", pq3.ErrMalformed)
	}
}

// TestI8LengthRevealsThePaddedSizeOnly: the wire length of a plain message
// depends on nothing but Padmé over the framed length with a floor of 128.
func TestI8LengthRevealsThePaddedSizeOnly(t *testing.T) {
	p := newPair(t, pq3.Policy{}, account.PQ3A)
	p.talk(3)
	s := p.alice.Sessions.Sending()
	sizes := map[int]bool{}
	for n := 0; n <= 4096; n += 13 {
		_, wire, err := s.Seal(p.alice.Ent, p.now, make([]byte, n), nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := 156 + pq3.PaddedSize(4+n); len(wire) != want {
			t.Errorf("%d bytes of text: %d on the wire, want %d", n, len(wire), want)
		}
		sizes[len(wire)] = true
	}
	if len(sizes) > 80 {
		t.Errorf("%d different sizes up to 4 KiB", len(sizes))
	}
}

func TestV55PaddingIsCanonical(t *testing.T) {
	p := newPair(t, pq3.Policy{}, account.PQ3A)
	p.talk(3)
	p.say(p.alice, 1)
	s := p.alice.Sessions.Sending()
	frame := func(length uint32, n int, last byte) []byte {
		b := make([]byte, n)
		b[0], b[1], b[2], b[3] = byte(length>>24), byte(length>>16), byte(length>>8), byte(length)
		b[n-1] = last
		return b
	}
	for name, f := range map[string][]byte{
		"longer than the frame": frame(125, 128, 0),
		"a huge length":         frame(1<<32-1, 128, 0),
		"padded too much":       frame(10, 144, 0),
		"not zero":              frame(10, 128, 1),
	} {
		t.Run(name, func(t *testing.T) {
			p.refuses(p.bob, pq3.SealFrame(s, p.alice.Ent, f), "V-55", pq3.ErrMalformed)
		})
	}
}

// TestSizes prints the sizes of SPEC appendix A and holds their bounds.
func TestSizes(t *testing.T) {
	p := newPair(t, pq3.Policy{}, account.PQ3A)
	row := func(name string, wire []byte, most int) {
		t.Logf("%-44s %5d bytes", name, len(wire))
		if len(wire) > most {
			t.Errorf("%s: %d bytes, at most %d", name, len(wire), most)
		}
	}
	text := string(bytes.Repeat([]byte("x"), 64))
	send := func(from bool) []byte {
		e := p.alice
		if !from {
			e = p.bob
		}
		wire := p.seal(e, text)
		p.deliver(p.peer(e), wire)
		return wire
	}
	row("PQ3A first message, 64-byte text", send(true), 5500)
	send(true)
	row("PQ3A start chain, objects not carried", send(true), 300)
	row("advertises a KEM key", send(false), 1500)
	row("answers it", send(true), 1400)
	row("ordinary message, 64-byte text", send(false), 300)
	q := newPair(t, pq3.Policy{}, account.PQ3)
	row("PQ3 first message, 64-byte text", q.seal(q.alice, text), 2100)
}

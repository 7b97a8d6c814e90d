package account

import (
	"bytes"
	"testing"

	"github.com/posthorn/posthorn/internal/codec"
	"pgregory.net/rapid"
)

func TestBindingLayout(t *testing.T) {
	p := newActor("alice").party("alice")
	digest := p.Device.Key.Digest()
	tagged := codec.AppendV16(codec.AppendV16(codec.AppendV16(nil, p.Account[:]), p.Device.ID[:]), digest[:])
	paper := codec.AppendV16(codec.AppendV16(codec.AppendV16(nil, []byte(p.Account.String())), p.Device.ID[:]), p.Device.Key.ECDSABytes())
	if !bytes.Equal(p.Binding(PQ3A), tagged) || !bytes.Equal(p.Binding(PQ3), paper) {
		t.Fatal("a binding is not the one of SPEC §4.3")
	}
	want := append(codec.AppendV16(nil, []byte(PQ3.Label())), append(bytes.Clone(paper), paper...)...)
	if !bytes.Equal(SessionContext(PQ3, p, p), want) {
		t.Fatal("a session context is not the one of SPEC §4.3")
	}
}

// Two contexts are equal only when suite, sender and receiver are. Accounts and
// devices are drawn from few values that overlap at their ends, so that a
// shifted boundary would show as a collision.
func TestSessionContextIsInjective(t *testing.T) {
	keys := []*VerifyingKey{newActor("a").Key, newActor("b").Key}
	type end struct {
		account ID
		device  DeviceID
		key     int
	}
	type triple struct {
		suite    Suite
		from, to end
	}
	seen := map[string]triple{}
	rapid.Check(t, func(t *rapid.T) {
		drawEnd := func(label string) (e end) {
			fill := rapid.SampledFrom([]byte{0, 32, 48})
			a, d := fill.Draw(t, label+" account"), fill.Draw(t, label+" device")
			cut := rapid.IntRange(0, 32).Draw(t, label+" cut")
			for i := range e.account {
				e.account[i] = a
			}
			for i := range e.device {
				e.device[i] = d
			}
			copy(e.account[48-cut:], e.device[:])
			copy(e.device[:cut], e.account[:])
			e.key = rapid.IntRange(0, 1).Draw(t, label+" key")
			return e
		}
		x := triple{rapid.SampledFrom([]Suite{PQ3, PQ3A}).Draw(t, "suite"), drawEnd("from"), drawEnd("to")}
		party := func(e end) Party { return Party{e.account, &Device{ID: e.device, Key: keys[e.key]}} }
		bytes := string(SessionContext(x.suite, party(x.from), party(x.to)))
		if other, ok := seen[bytes]; ok && other != x {
			t.Fatalf("one context for %v and %v", other, x)
		}
		seen[bytes] = x
	})
}

func TestSessionContextDependsOnDirection(t *testing.T) {
	a, b := newActor("alice").party("alice"), newActor("bob").party("bob")
	for _, s := range []Suite{PQ3, PQ3A} {
		if bytes.Equal(SessionContext(s, a, b), SessionContext(s, b, a)) {
			t.Error("both directions have one context")
		}
	}
}

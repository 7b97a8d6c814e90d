package check

import (
	"strings"
	"testing"
)

const handshake = `
free c: channel.
type key.
fun pk(key): bitstring.
fun aenc(bitstring, bitstring): bitstring.
reduc forall k: key, m: bitstring; adec(k, aenc(pk(k), m)) = m.
event Sent(bitstring, bitstring).
event Known(bitstring, bitstring).
event Leaked(bitstring).
`

func decide(t *testing.T, text string) Verdict {
	t.Helper()
	m, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := m.Decide(0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestSecrecy decides small models whose answer is plain.
func TestSecrecy(t *testing.T) {
	body := `
let Sender(to: bitstring) = new m: bitstring; out(c, aenc(to, m)); event Sent(to, m); in(c, =m); event Known(to, m).
process new k: key; let p = pk(k) in out(c, p); ( (!Sender(p)) | (event Leaked(p); out(c, k)) )`
	if v := decide(t, handshake+"query p: bitstring, m: bitstring; event(Known(p, m)) ==> event(Leaked(p))."+body); !v.True {
		t.Errorf("secret unless the key leaks: escapes with %s", v.Why)
	}
	if v := decide(t, handshake+"query p: bitstring, m: bitstring; event(Known(p, m))."+body); v.True {
		t.Error("the key leaks, so the text can be known")
	}
}

// TestRefusals wants everything outside the language to be refused, not read
// as something else.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"else":        {"process new k: key; if k = k then 0 else 0", "the end"},
		"type":        {"process new k: key; out(c, adec(k, pk(pk(k))))", "argument 1 of pk"},
		"variable":    {"process out(c, unknown)", "no variable"},
		"declared":    {"type key. process 0", "declared twice"},
		"channel":     {"process new d: channel; out(d, c)", "no public channel"},
		"bare |":      {"process ( out(c, c) | out(c, c) )", "in parentheses"},
		"equation":    {"equation forall k: key; pk(k) = pk(k). process 0", "one equation"},
		"restriction": {"restriction a: bitstring; event(Leaked(a)) ==> event(Leaked(a)). process 0", "one restriction"},
		"reserved":    {"fun secret(key): key. process 0", "a name"},
	} {
		if _, err := Parse(handshake + c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: want an error with %q, got %v", name, c.want, err)
		}
	}
}

// TestSymmetry wants both ends of a Diffie-Hellman exchange to meet, and the
// attacker to need one of the secrets.
func TestSymmetry(t *testing.T) {
	const exchange = `
free c: channel.
type scalar. type point. type key.
fun pub(scalar): point.
fun dh(scalar, point): key.
equation forall x: scalar, y: scalar; dh(x, pub(y)) = dh(y, pub(x)).
fun enc(key, bitstring): bitstring.
reduc forall k: key, m: bitstring; dec(k, enc(k, m)) = m.
event Read(bitstring). event Known(bitstring).
`
	body := `process new a: scalar; new b: scalar; new m: bitstring; out(c, (pub(a), pub(b), enc(dh(a, pub(b)), m)));
( (in(c, x: bitstring); let y = dec(dh(b, pub(a)), x) in event Read(y)) | (in(c, =m); event Known(m)) )`
	if v := decide(t, exchange+"query m: bitstring; event(Read(m)). "+body); v.True {
		t.Error("the other end reads the text, by the other form of the secret")
	}
	if v := decide(t, exchange+"query m: bitstring; event(Known(m)). "+body); !v.True {
		t.Errorf("nobody else does: escapes with %s", v.Why)
	}
}

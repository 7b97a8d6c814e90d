package check

import "testing"

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

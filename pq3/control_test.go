package pq3_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

func sealedControl(t *testing.T) (p *pair, c *pq3.Control, sealed []byte) {
	t.Helper()
	p = newPair(t, pq3.Policy{})
	m, err := pq3.ParseMessage(p.seal(p.alice, "for a session that Bob lost"))
	if err != nil {
		t.Fatal(err)
	}
	c = pq3.ControlAbout(m, pq3.ControlSessionUnknown, p.now, p.bob.Ent)
	sealed, err = pq3.SealControl(p.bob.Identity, p.alice.Party(), c, p.bob.Ent)
	if err != nil {
		t.Fatal(err)
	}
	return p, c, sealed
}

func TestControlMessageArrives(t *testing.T) {
	p, c, sealed := sealedControl(t)
	got, err := pq3.OpenControl(p.alice.Identity, p.bob.Party(), sealed, p.now)
	if err != nil || *got != *c {
		t.Fatalf("got %+v, %v", got, err)
	}
	if pq3.KindOf(sealed) != pq3.KindControl || pq3.KindOf([]byte{2}) != pq3.KindMessage || pq3.KindOf(nil) != pq3.KindUnknown || pq3.KindOf([]byte{9}) != pq3.KindUnknown {
		t.Error("KindOf takes a payload for another kind")
	}
}

func TestV62MalformedControlRefused(t *testing.T) {
	p, _, sealed := sealedControl(t)
	unknown := bytes.Clone(sealed)
	unknown[1] = 3
	for _, bad := range [][]byte{nil, sealed[:90], sealed[1:], append(bytes.Clone(sealed), 0), unknown} {
		_, err := pq3.OpenControl(p.alice.Identity, p.bob.Party(), bad, p.now)
		wantRefusal(t, err, "V-62", pq3.ErrMalformed)
	}
}

// TestV63ControlNeedsBothSignatures flips a bit in every field and signature.
func TestV63ControlNeedsBothSignatures(t *testing.T) {
	p, _, sealed := sealedControl(t)
	for at := 2; at < len(sealed); at += 9 {
		_, err := pq3.OpenControl(p.alice.Identity, p.bob.Party(), flipped(sealed, at), p.now)
		wantRefusal(t, err, "V-63", pq3.ErrSignature)
	}
	_, err := pq3.OpenControl(p.alice.Identity, pq3test.NewIdentity("carol").Party(), sealed, p.now)
	wantRefusal(t, err, "V-63", pq3.ErrSignature)
	_, err = pq3.OpenControl(p.bob.Identity, p.alice.Party(), sealed, p.now)
	wantRefusal(t, err, "V-63", pq3.ErrSignature)
}

func TestV64ControlTimeWindow(t *testing.T) {
	p, _, sealed := sealedControl(t)
	for after, ok := range map[time.Duration]bool{
		24 * time.Hour: true, 24*time.Hour + time.Millisecond: false,
		-5 * time.Minute: true, -5*time.Minute - time.Millisecond: false,
	} {
		_, err := pq3.OpenControl(p.alice.Identity, p.bob.Party(), sealed, p.now.Add(after))
		if ok && err != nil {
			t.Errorf("%v later: %v", after, err)
		} else if !ok {
			wantRefusal(t, err, "V-64", pq3.ErrFreshness)
		}
	}
}

package pairing

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const goldenFile = "testdata/pairing.json"

// golden is one pairing as it goes over the wire, from a seed. The new device is
// held to what the old one has answered.
type golden struct {
	Code, Slot, Hello, Reply, Application, Verdict string
}

const goldenSeed = 40

func recordGolden(t *testing.T) golden {
	p := paired(t, goldenSeed)
	_, application, err := p.device.Seal([]byte("application"))
	if err != nil {
		t.Fatal(err)
	}
	old, _, err := p.old.Open(application, began)
	if err != nil {
		t.Fatal(err)
	}
	_, verdict, err := old.Seal(Linked.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	slot := p.code.Slot()
	return golden{p.code.Text(), hex.EncodeToString(slot[:]), hex.EncodeToString(p.hello), hex.EncodeToString(p.reply),
		hex.EncodeToString(application), hex.EncodeToString(verdict)}
}

func TestVectorsOfAPairing(t *testing.T) {
	if *update {
		raw, err := json.MarshalIndent(recordGolden(t), "", "  ")
		if err == nil {
			err = os.WriteFile(goldenFile, append(raw, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	d := newDice(goldenSeed)
	code, invited := NewCode(d.Read), d.invitation()
	slot := code.Slot()
	if code.Text() != g.Code || hex.EncodeToString(slot[:]) != g.Slot {
		t.Fatal("code or slot are others")
	}
	waiting, hello := Begin(code, began, d)
	if hex.EncodeToString(hello) != g.Hello {
		t.Fatal("the hello is another")
	}
	session, invitation, err := waiting.Finish(unhex(t, g.Reply), began)
	if err != nil || !bytes.Equal(invitation.Marshal(), invited.Marshal()) {
		t.Fatal("the invitation does not open: ", err)
	}
	session, application, err := session.Seal([]byte("application"))
	if err != nil || hex.EncodeToString(application) != g.Application {
		t.Fatal("the application is another: ", err)
	}
	if _, verdict, err := session.Open(unhex(t, g.Verdict), began); err != nil || !bytes.Equal(verdict, Linked.Marshal()) {
		t.Fatal("the verdict does not open: ", err)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

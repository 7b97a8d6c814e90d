package secret

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// holder is a struct of someone else's that was printed by mistake.
type holder struct {
	Name string
	Key  Key
	Seed *Seed64
	List []Key
	Any  Bytes
	Map  map[string]Key
}

func secrets() (Key, Seed64) {
	var k Key
	var s Seed64
	for i := range s {
		s[i] = byte(0xa0 + i)
	}
	copy(k[:], s[32:])
	return k, s
}

func values() []any {
	k, s := secrets()
	h := holder{"n", k, &s, []Key{k}, s[:], map[string]Key{"k": k}}
	return []any{k, &k, s, &s, h, &h, []Key{k}, []*Key{&k}, map[string]Seed64{"s": s}, Bytes(s[:]), []Bytes{k[:]}}
}

// leaks looks for the middle of a secret in each form in which Go prints bytes.
func leaks(text string) bool {
	k, s := secrets()
	for _, b := range [][]byte{k[4:12], s[4:12]} {
		decimal := strings.Trim(fmt.Sprint(b), "[]")
		forms := []string{string(b), hex.EncodeToString(b), fmt.Sprintf("% x", b), decimal,
			strings.ReplaceAll(decimal, " ", ","), strings.Trim(fmt.Sprintf("%#v", b), "[]byte{}"), fmt.Sprintf("%o", b)}
		for _, form := range forms {
			if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
				return true
			}
		}
	}
	return false
}

func TestLeakDetectorSeesPlainBytes(t *testing.T) {
	k, _ := secrets()
	for _, verb := range []string{"%v", "%x", "%X", "% x", "%s", "%#v", "%d"} {
		if !leaks(fmt.Sprintf(verb, k[:])) {
			t.Errorf("%s of plain bytes passes as safe", verb)
		}
	}
}

func TestNoVerbPrintsASecret(t *testing.T) {
	for _, v := range values() {
		for verb := 'A'; verb <= 'z'; verb++ {
			if verb == 'w' || verb == 'p' {
				continue // fmt asks no method for these two; vet refuses them for such operands
			}
			for _, flags := range []string{"", "+", "#", " ", "0", "-", "80", ".3"} {
				format := "%" + flags + string(verb)
				if got := fmt.Sprintf(format, v); leaks(got) {
					t.Errorf("%s of %T prints the secret", format, v)
				}
			}
		}
		if leaks(fmt.Sprint(v)+fmt.Sprintln(v)) || leaks(fmt.Errorf("failed on %v: %+v", v, v).Error()) {
			t.Errorf("%T reaches a text", v)
		}
	}
}

func TestNoLogHoldsASecret(t *testing.T) {
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		for _, v := range values() {
			slog.New(h).With("with", v).WithGroup("group").Error("failed", "value", v, slog.Group("g", "inner", v))
		}
	}
	if leaks(out.String()) || !strings.Contains(out.String(), redacted) {
		t.Error("a secret reached the log")
	}
}

func TestNoEncodingHoldsASecret(t *testing.T) {
	for _, v := range values() {
		asJSON, err := json.Marshal(v)
		if err != nil || leaks(string(asJSON)) || !strings.Contains(string(asJSON), redacted) {
			t.Errorf("JSON of %T: %s, %v", v, asJSON, err)
		}
	}
	k, s := secrets()
	for _, v := range []any{k, s} {
		if asXML, err := xml.Marshal(v); err != nil || leaks(string(asXML)) {
			t.Errorf("%T reaches XML: %v", v, err)
		}
	}
}

func TestWipe(t *testing.T) {
	k, s := secrets()
	k.Wipe()
	s.Wipe()
	if k != (Key{}) || s != (Seed64{}) {
		t.Error("bytes are left")
	}
}

package pq3_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/pq3"
)

// TestA52NothingPrintsItsKeys prints sessions and prekeys in every way there
// is: fmt reaches through their unexported fields.
func TestA52NothingPrintsItsKeys(t *testing.T) {
	for _, suite := range bothSuites {
		p := newPair(t, pq3.Policy{}, suite)
		p.talk(2)
		s := p.alice.Sessions.Sending()
		root := s.MarshalState()[83:115] // SPEC §10.1
		for _, v := range []any{s, *s, p.alice.Sessions} {
			wantNothingOf(t, v, root)
		}
		for _, prekey := range p.alice.Prekeys {
			private := prekey.Marshal()[1:97]
			for _, v := range []any{prekey, *prekey} {
				wantNothingOf(t, v, private[:32])
				wantNothingOf(t, v, private[32:])
			}
		}
		wantNothingOf(t, pq3.SkippedRow{Keys: root}, root)
	}
}

// wantNothingOf looks for a piece of a key in every text that Go makes of v.
func wantNothingOf(t *testing.T, v any, key []byte) {
	t.Helper()
	piece := key[4:12]
	decimal := strings.Trim(fmt.Sprint(piece), "[]")
	literal := strings.Trim(strings.TrimPrefix(fmt.Sprintf("%#v", piece), "[]byte"), "{}")
	asJSON, _ := json.Marshal(v)
	text := string(asJSON)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "% x", "%o"} {
		text += fmt.Sprintf(verb, v)
	}
	for _, form := range []string{hex.EncodeToString(piece), fmt.Sprintf("% x", piece), decimal, literal} {
		if strings.Contains(text, form) {
			t.Errorf("%T prints a key", v)
			return
		}
	}
}

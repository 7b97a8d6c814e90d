package client

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/client/localdb"
)

// TestA52NoValuePrintsItsKeys prints everything of this engine that holds keys,
// in every way there is.
func TestA52NoValuePrintsItsKeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.say(alice, bob, "hello")
	seeds := alice.profile.KeySeeds
	for _, v := range []any{alice, alice.profile, &alice.profile, seeds, &seeds, alice.key, alice.me} {
		wantPrintless(t, v, seeds.ECDSA[:], seeds.MLDSA[:])
	}
	w.read(alice, func(tx *localdb.Tx) error {
		sessions, err := tx.AllSessions()
		prekeys, err2 := tx.Prekeys()
		root, private := sessions[0].State[83:115], prekeys[0].Private[1:97] // SPEC §10.1
		for _, v := range []any{sessions, sessions[0], &sessions[0], prekeys, prekeys[0], tx, alice.db} {
			wantPrintless(t, v, root, private[:32], private[32:])
		}
		return errors.Join(err, err2)
	})
}

// wantPrintless looks for keys in every text that Go makes of a value.
func wantPrintless(t *testing.T, v any, keys ...[]byte) {
	t.Helper()
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Error("failed", "value", v)
	slog.New(slog.NewTextHandler(&log, nil)).Error("failed", "value", v)
	asJSON, _ := json.Marshal(v) // some cannot be encoded, which is as good
	text := log.String() + string(asJSON) + fmt.Errorf("failed on %v", v).Error()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "% x"} {
		text += fmt.Sprintf(verb, v)
	}
	for _, key := range keys {
		if printed(text, key[4:12]) {
			t.Errorf("%T prints a key", v)
		}
	}
}

// printed looks for bytes in each form in which Go prints them.
func printed(text string, b []byte) bool {
	decimal := strings.Trim(fmt.Sprint(b), "[]")
	forms := []string{
		hex.EncodeToString(b), fmt.Sprintf("% x", b), decimal, strings.ReplaceAll(decimal, " ", ","),
		strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", b), "[]byte{"), "}"), strings.Trim(fmt.Sprintf("%o", b), "[]"),
	}
	for from := range 3 { // base64 begins a group at one of three bytes
		forms = append(forms, base64.StdEncoding.EncodeToString(b[from:from+6]))
	}
	if strings.Contains(text, string(b)) {
		return true // before the case goes, and with it all that is no UTF-8
	}
	text = strings.ToLower(text)
	for _, form := range forms {
		if strings.Contains(text, strings.ToLower(form)) {
			return true
		}
	}
	return false
}

// TestPrintedSeesPlainBytes keeps the test above from passing blindly.
func TestPrintedSeesPlainBytes(t *testing.T) {
	b := []byte{200, 100, 3, 44, 5, 161, 7, 88}
	if asJSON, err := json.Marshal([][]byte{b, b[1:], b[2:]}); err != nil || !printed(string(asJSON), b) {
		t.Error("JSON of plain bytes passes")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%d", "%o", "% x"} {
		if !printed(fmt.Sprintf("<"+verb+">", b), b) {
			t.Errorf("%s of plain bytes passes", verb)
		}
	}
}

package witness

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// someLog is a log that can show whatever history it likes.
type someLog struct {
	t       *testing.T
	origin  string
	signers []note.Signer
	keys    []string
	hashes  []tlog.Hash
	size    int64
}

func newLog(t *testing.T, origin string) *someLog {
	t.Helper()
	ed, edKey, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	ml, mlKey, err := fnote.GenerateMLDSAKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	edSigner, err := note.NewSigner(ed)
	if err != nil {
		t.Fatal(err)
	}
	mlSigner, err := fnote.NewMLDSASigner(ml)
	if err != nil {
		t.Fatal(err)
	}
	return &someLog{t: t, origin: origin, signers: []note.Signer{edSigner, mlSigner}, keys: []string{edKey, mlKey}}
}

// ReadHashes implements tlog.HashReader.
func (l *someLog) ReadHashes(indexes []int64) (list []tlog.Hash, err error) {
	for _, i := range indexes {
		list = append(list, l.hashes[i])
	}
	return list, nil
}

// grow appends entries.
func (l *someLog) grow(entries ...string) *someLog {
	l.t.Helper()
	for _, e := range entries {
		hashes, err := tlog.StoredHashes(l.size, []byte(e), l)
		if err != nil {
			l.t.Fatal(err)
		}
		l.hashes = append(l.hashes, hashes...)
		l.size++
	}
	return l
}

// forked is another history with the same keys.
func (l *someLog) forked(entries ...string) *someLog {
	f := *l
	f.hashes, f.size = nil, 0
	return f.grow(entries...)
}

func (l *someLog) root(size int64) []byte {
	l.t.Helper()
	if size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot()
	}
	h, err := tlog.TreeHash(size, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return h[:]
}

// checkpoint is signed with the keys at some places.
func (l *someLog) checkpoint(size int64, by ...int) []byte {
	l.t.Helper()
	var signers []note.Signer
	for _, i := range by {
		signers = append(signers, l.signers[i])
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", l.origin, size, base64.StdEncoding.EncodeToString(l.root(size)))
	signed, err := note.Sign(&note.Note{Text: text}, signers...)
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

// request asks for a size by somebody who says what was cosigned last.
func (l *someLog) request(old, size int64) string {
	l.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "old %d\n", old)
	if old > 0 && old < size {
		proof, err := tlog.ProveTree(size, old, l)
		if err != nil {
			l.t.Fatal(err)
		}
		for _, h := range proof {
			fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(h[:]))
		}
	}
	return b.String() + "\n" + string(l.checkpoint(size, 0, 1))
}

func openFor(t *testing.T, file string, logs ...*someLog) *Witness {
	t.Helper()
	var keys []string
	for _, l := range logs {
		keys = append(keys, l.keys...)
	}
	w, err := Open(file, "", keys)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// ask posts a request and returns status, type and body.
func ask(t *testing.T, w http.Handler, body string) (int, string, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/add-checkpoint", strings.NewReader(body))
	out := httptest.NewRecorder()
	w.ServeHTTP(out, r)
	return out.Code, out.Header().Get("Content-Type"), out.Body.String()
}

func wantSigned(t *testing.T, w *Witness, body string) {
	t.Helper()
	status, _, lines := ask(t, w, body)
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, lines)
	}
	_, checkpoint, _ := strings.Cut(body, "\n\n")
	var known []note.Verifier
	for _, key := range w.Keys() {
		v, err := fnote.NewVerifierForCosignatureV1(key)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, v)
	}
	n, err := note.Open([]byte(checkpoint+lines), note.VerifierList(known...))
	if err != nil || len(n.Sigs) != 2 {
		t.Fatalf("not cosigned both ways: %v", err)
	}
}

func wantStatus(t *testing.T, w http.Handler, body string, want int) {
	t.Helper()
	if status, _, text := ask(t, w, body); status != want {
		t.Errorf("%d %q, want %d", status, text, want)
	}
}

func TestWitnessCosignsWhatContinues(t *testing.T) {
	l := newLog(t, "example.org/log").grow("a", "b", "c")
	w := openFor(t, filepath.Join(t.TempDir(), "state.json"), l)
	wantSigned(t, w, l.request(0, 2))
	wantSigned(t, w, l.request(2, 3))
	wantSigned(t, w, l.request(3, 3)) // again: a newer time
	l.grow("d", "e", "f", "g", "h")
	wantSigned(t, w, l.request(3, 8))
	status, kind, size := ask(t, w, l.request(2, 8))
	if status != http.StatusConflict || kind != "text/x.tlog.size" || size != "8\n" {
		t.Errorf("%d %s %q", status, kind, size)
	}
}

func TestWitnessRefusals(t *testing.T) {
	l := newLog(t, "example.org/log").grow("a", "b", "c", "d", "e")
	w := openFor(t, filepath.Join(t.TempDir(), "state.json"), l)
	wantSigned(t, w, l.request(0, 3))
	fork := l.forked("a", "b", "x", "d", "e")
	cut := l.request(3, 5)
	cut = cut[:strings.IndexByte(cut, '\n')+1] + cut[strings.Index(cut, "\n\n")+1:]
	for name, c := range map[string]struct {
		body string
		want int
	}{
		"another root of one size":   {fork.request(3, 3), http.StatusConflict},
		"a fork that grew":           {fork.request(3, 5), http.StatusUnprocessableEntity},
		"no proof":                   {cut, http.StatusUnprocessableEntity},
		"a rollback":                 {l.request(2, 2), http.StatusConflict},
		"an old size beyond it":      {l.request(3, 2), http.StatusBadRequest},
		"another log":                {newLog(t, "example.org/other").grow("a").request(0, 1), http.StatusNotFound},
		"other keys":                 {newLog(t, "example.org/log").grow("a", "b", "c", "d").request(3, 4), http.StatusForbidden},
		"one of two keys":            {"old 3\n\n" + string(l.checkpoint(3, 0)), http.StatusForbidden},
		"the other of two keys":      {"old 3\n\n" + string(l.checkpoint(3, 1)), http.StatusForbidden},
		"nothing":                    {"", http.StatusBadRequest},
		"no old size":                {"\n\n" + string(l.checkpoint(3, 0, 1)), http.StatusBadRequest},
		"a size with a zero before":  {"old 03\n\n" + string(l.checkpoint(3, 0, 1)), http.StatusBadRequest},
		"a hash of another length":   {"old 3\nAAAA\n\n" + string(l.checkpoint(5, 0, 1)), http.StatusBadRequest},
		"a proof for the same size":  {"old 3\n" + base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\n" + string(l.checkpoint(3, 0, 1)), http.StatusUnprocessableEntity},
		"more than a request can be": {"old 3\n" + strings.Repeat(base64.StdEncoding.EncodeToString(make([]byte, 32))+"\n", 5000), http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) { wantStatus(t, w, c.body, c.want) })
	}
	wantSigned(t, w, l.request(3, 5)) // none of it changed anything
}

func TestWitnessOfAnEmptyLog(t *testing.T) {
	l := newLog(t, "example.org/log")
	w := openFor(t, filepath.Join(t.TempDir(), "state.json"), l)
	wantSigned(t, w, l.request(0, 0))
	l.grow("a")
	wantSigned(t, w, l.request(0, 1))
	wantStatus(t, w, l.request(0, 0), http.StatusConflict)
}

// What was signed is known after a restart, and also when the process ends
// between the write and the signature.
func TestWitnessRemembers(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	l := newLog(t, "example.org/log").grow("a", "b", "c")
	w := openFor(t, file, l)
	keys := w.Keys()
	wantSigned(t, w, l.request(0, 3))
	w = openFor(t, file, l)
	if w.Keys() != keys {
		t.Error("other keys after a restart")
	}
	wantStatus(t, w, l.request(0, 3), http.StatusConflict)
	wantStatus(t, w, l.forked("x", "y", "z").request(3, 3), http.StatusConflict)
	wantSigned(t, w, l.request(3, 3))
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A witness that cannot write signs nothing, and has not forgotten afterwards.
func TestWitnessSignsNothingThatIsNotStored(t *testing.T) {
	folder := t.TempDir()
	if os.Geteuid() == 0 {
		// root writes anywhere; a file in place of the folder stops it too
		folder = filepath.Join(folder, "inner")
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(folder, "state.json")
	l := newLog(t, "example.org/log").grow("a", "b", "c")
	w := openFor(t, file, l)
	wantSigned(t, w, l.request(0, 2))
	moved := folder + "-away"
	if err := os.Rename(folder, moved); err != nil {
		t.Fatal(err)
	}
	status, _, text := ask(t, w, l.request(2, 3))
	if status != http.StatusInternalServerError || strings.Contains(text, "\u2014") {
		t.Errorf("%d %q", status, text)
	}
	if err := os.Rename(moved, folder); err != nil {
		t.Fatal(err)
	}
	wantSigned(t, w, l.request(2, 3))
}

func TestDamagedStateIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.json")
	l := newLog(t, "example.org/log")
	openFor(t, file, l)
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range [][]byte{nil, raw[:len(raw)/2], bytes.Replace(raw, []byte("posthornd.witness/1"), []byte("posthornd.witness/9"), 1)} {
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(file, "", l.keys); err == nil {
			t.Errorf("%d bytes of %d are taken", len(damaged), len(raw))
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "new"), "", []string{"not a key"}); err == nil {
		t.Error("a log without a key is taken")
	}
}

//go:build testhooks

package secret

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// line is what a reader of the secrets file relies on.
type line struct {
	Kind string    `json:"kind"`
	Hex  string    `json:"hex"`
	At   time.Time `json:"at"`
}

// forget lets the next Created look at the environment again.
func forget(t *testing.T) {
	t.Helper()
	reset := func() {
		record.Lock()
		defer record.Unlock()
		if record.file != nil {
			_ = record.file.Close()
		}
		record.file, record.opened = nil, false
	}
	reset()
	t.Cleanup(reset)
}

func TestCreatedWritesWholeLines(t *testing.T) {
	name := filepath.Join(t.TempDir(), "secrets")
	t.Setenv(secretsFile, name)
	forget(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 50 {
				Created("chain key", []byte{byte(i), byte(j)})
			}
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for _, l := range readLines(t, name) {
		b, err := hex.DecodeString(l.Hex)
		if err != nil || l.Kind != "chain key" || time.Since(l.At) > time.Minute {
			t.Fatalf("line %+v, %v", l, err)
		}
		seen[string(b)] = true
	}
	if len(seen) != 400 {
		t.Errorf("%d different secrets of 400", len(seen))
	}
	if mode, err := os.Stat(name); err != nil || mode.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", mode.Mode(), err)
	}
	for i, b := range record.line {
		if b != 0 {
			t.Fatalf("byte %d of the line is left", i)
		}
	}
}

func TestCreatedWithoutTheVariable(t *testing.T) {
	t.Setenv(secretsFile, "")
	forget(t)
	Created("root key", make([]byte, 32))
	if record.file != nil {
		t.Error("a file was opened")
	}
}

func readLines(t *testing.T, name string) (lines []line) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	for s := bufio.NewScanner(file); s.Scan(); {
		var l line
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatalf("%q: %v", s.Text(), err)
		}
		lines = append(lines, l)
	}
	return lines
}

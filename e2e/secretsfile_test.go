//go:build testhooks

package e2e

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// created is one line of a secrets file.
type created struct {
	Kind string    `json:"kind"`
	Hex  string    `json:"hex"`
	At   time.Time `json:"at"`

	bytes []byte
}

// readSecrets reads a secrets file.
func readSecrets(t testing.TB, file string) (all []created) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var c created
		err := json.Unmarshal(lines.Bytes(), &c)
		if err == nil {
			c.bytes, err = hex.DecodeString(c.Hex)
		}
		if err != nil || c.Kind == "" || c.At.IsZero() {
			t.Fatalf("%s: %q: %v", file, lines.Text(), err)
		}
		all = append(all, c)
	}
	return all
}

// countKinds counts the secrets of each kind.
func countKinds(all []created) map[string]int {
	kinds := map[string]int{}
	for _, c := range all {
		kinds[c.Kind]++
	}
	return kinds
}

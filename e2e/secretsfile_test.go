//go:build testhooks

package e2e

import (
	"bytes"
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

// readSecrets reads the whole lines of a secrets file.
func readSecrets(t testing.TB, file string) (all []created) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // a line may be just being written
	for line := range bytes.Lines(text) {
		var c created
		err := json.Unmarshal(line, &c)
		if err == nil {
			c.bytes, err = hex.DecodeString(c.Hex)
		}
		if err != nil || c.Kind == "" || c.At.IsZero() {
			t.Fatalf("%s: %q: %v", file, line, err)
		}
		all = append(all, c)
	}
	return all
}

// awaitQuiet waits until nobody has made a secret for five seconds.
func awaitQuiet(t testing.TB, files ...string) {
	t.Helper()
	count := func() (n int) {
		for _, file := range files {
			n += len(readSecrets(t, file))
		}
		return n
	}
	const quiet = 5 * time.Second
	last, since := count(), time.Now()
	for end := time.Now().Add(patience); time.Since(since) < quiet; time.Sleep(100 * time.Millisecond) {
		if n := count(); n != last {
			last, since = n, time.Now()
		}
		if time.Now().After(end) {
			t.Fatalf("not quiet within %v", patience)
		}
	}
}

// countKinds counts the secrets of each kind.
func countKinds(all []created) map[string]int {
	kinds := map[string]int{}
	for _, c := range all {
		kinds[c.Kind]++
	}
	return kinds
}

package vectors

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

//go:embed testdata
var data embed.FS

// Hex is a byte string that JSON has in hexadecimal.
type Hex []byte

// UnmarshalText reads hexadecimal of either case.
func (h *Hex) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// MarshalText writes lower-case hexadecimal.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// Read unpacks a file. Its name is the path below testdata without ".gz".
func Read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := unpack(file)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return b
}

func unpack(file string) ([]byte, error) {
	packed, err := data.ReadFile("testdata/" + file + ".gz")
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// Groups reads the test groups of a Wycheproof or ACVP file.
func Groups[G any](t testing.TB, file string) []G {
	t.Helper()
	var content struct {
		TestGroups []G `json:"testGroups"`
	}
	if err := json.Unmarshal(Read(t, file), &content); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return content.TestGroups
}

// Lines reads a file of one hexadecimal string a line.
func Lines(t testing.TB, file string) (list [][]byte) {
	t.Helper()
	for line := range strings.Lines(string(Read(t, file))) {
		b, err := hex.DecodeString(strings.TrimSpace(line))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list = append(list, b)
	}
	return list
}

// Values reads a file of "name = value" lines.
func Values(t testing.TB, file string) map[string]string {
	t.Helper()
	values := map[string]string{}
	for line := range strings.Lines(string(Read(t, file))) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

// Bytes decodes one hexadecimal value of a Values map.
func Bytes(t testing.TB, values map[string]string, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(values[name])
	if err != nil || len(b) == 0 {
		t.Fatalf("%s is not hexadecimal: %v", name, err)
	}
	return b
}

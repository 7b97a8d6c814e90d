package vectors

import "testing"

// MACTest is one HMAC vector.
type MACTest struct {
	ID     int    `json:"tcId"`
	Key    Hex    `json:"key"`
	Msg    Hex    `json:"msg"`
	Tag    Hex    `json:"tag"` // possibly cut short
	Result string `json:"result"`
}

// Valid reports whether Tag is the MAC's.
func (c MACTest) Valid() bool { return c.Result == "valid" }

// MACs reads a file of HMAC vectors.
func MACs(t testing.TB, file string) (tests []MACTest) {
	t.Helper()
	type group struct{ Tests []MACTest }
	for _, g := range Groups[group](t, file) {
		tests = append(tests, g.Tests...)
	}
	return tests
}

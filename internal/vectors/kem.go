package vectors

import (
	"strings"
	"testing"
)

// KEMTest is one ML-KEM vector of a Wycheproof or ACVP file. Fields that the
// file does not have are nil.
type KEMTest struct {
	ID         int    `json:"tcId"`
	Result     string `json:"result"`
	Set        string `json:"-"` // "ML-KEM-768" and so on
	Function   string `json:"-"` // ACVP: "encapsulation" or "decapsulation"
	Seed       Hex    `json:"seed"`
	D          Hex    `json:"d"`
	Z          Hex    `json:"z"`
	EK         Hex    `json:"ek"`
	M          Hex    `json:"m"`
	Ciphertext Hex    `json:"c"`
	Secret     Hex    `json:"K"` // the decoder also takes ACVP's "k"
}

type kemGroup struct {
	ID       int       `json:"tgId"`
	Set      string    `json:"parameterSet"`
	Function string    `json:"function"`
	Tests    []KEMTest `json:"tests"`
}

// KEM reads a file of ML-KEM vectors. An ACVP prompt is joined with the
// results that its project keeps in a second file.
func KEM(t testing.TB, file string) (tests []KEMTest) {
	t.Helper()
	results := map[int]KEMTest{}
	if folder, ok := strings.CutSuffix(file, "/prompt.json"); ok {
		for _, g := range Groups[kemGroup](t, folder+"/expectedResults.json") {
			for _, c := range g.Tests {
				results[c.ID] = c
			}
		}
	}
	for _, g := range Groups[kemGroup](t, file) {
		for _, c := range g.Tests {
			tests = append(tests, c.join(g, results[c.ID]))
		}
	}
	return tests
}

// join adds what the group and the file of results say.
func (c KEMTest) join(g kemGroup, result KEMTest) KEMTest {
	c.Set, c.Function = g.Set, g.Function
	if c.D != nil {
		c.Seed = append(append(Hex{}, c.D...), c.Z...)
	}
	if c.EK == nil {
		c.EK = result.EK
	}
	if c.Ciphertext == nil {
		c.Ciphertext = result.Ciphertext
	}
	if c.Secret == nil {
		c.Secret = result.Secret
	}
	return c
}

// Valid reports whether the operation must succeed with the stated values.
// ACVP's vectors all must.
func (c KEMTest) Valid() bool { return c.Result != "invalid" }

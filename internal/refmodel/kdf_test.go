package refmodel

import (
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"
)

// upward is the bytes first, first+1, … .
func upward(first byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = first + byte(i)
	}
	return out
}

func filled(b byte, n int) []byte { return bytes.Repeat([]byte{b}, n) }

// knownContext is dst of the two devices of SPEC §17.1 under a suite string.
func knownContext(suite string, fromAlice bool) []byte {
	alice := cat(v16([]byte("alice@example.org")), v16(filled(0xa1, 32)), v16(cat([]byte{2}, filled(0xa2, 32))))
	bob := cat(v16([]byte("bob@example.org")), v16(filled(0xb1, 32)), v16(cat([]byte{3}, filled(0xb2, 32))))
	if fromAlice {
		return cat(v16([]byte(suite)), alice, bob)
	}
	return cat(v16([]byte(suite)), bob, alice)
}

// TestPublishedKeySchedule computes every value of SPEC §17.1 and looks for it
// there.
func TestPublishedKeySchedule(t *testing.T) {
	spec, err := os.ReadFile("../../SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	published := func(name string, value []byte) {
		if !strings.Contains(string(spec), name+" "+hex.EncodeToString(value)) {
			t.Errorf("SPEC §17.1 does not say %s %x", name, value)
		}
	}
	start := func(suite string) (root, chain []byte) {
		info := startInfo(knownContext(suite, true), filled(0x11, 32), filled(0x22, 32), filled(0x33, 1568), filled(0x44, 1568))
		return rootStep(make([]byte, 32), upward(0, 32), upward(0x20, 32), info, "")
	}
	const legacy = "OPQ3-v1/P256/MLKEM1024/MLKEM768/HKDF-SHA384/AES256CTR/ECDSA-P256-SHA256"
	root, chain := start(legacy)
	key := messageKey(chain, 0)
	material := expand(key, "aes-ctr", 48)
	published("rk_0 ", root)
	published("ck_0 ", chain)
	published("mk_0 ", key)
	published("ck_1 ", expand(chain, "chainKeyDerivation", 32))
	published("ind_0", proofOf(PQ3, key, nil, ""))
	published("block", material[:16])
	published("key  ", material[16:])
	for _, epoch := range []struct {
		name                        string
		answer, answered, kemSecret []byte
	}{
		{"no KEM  rk", nil, nil, nil},
		{"KEM     rk", filled(0x66, 1088), filled(0x77, 1184), upward(0x60, 32)},
	} {
		info := epochInfo(knownContext(legacy, false), filled(0x22, 32), filled(0x55, 32), epoch.answer, epoch.answered)
		next, first := rootStep(root, upward(0x40, 32), epoch.kemSecret, info, "")
		published(epoch.name, next)
		published("        ck", first)
	}
	root, chain = start(string(suiteString(PQ3)))
	published("rk_0 ", root)
	published("ck_0 ", chain)
	published("mk_0 ", messageKey(chain, 0))
}

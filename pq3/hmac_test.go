package pq3

import (
	"bytes"
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"
	"strings"
	"testing"
)

// TestMACIsHMAC holds both forms against crypto/hmac, at every key length up
// to a block and at inputs around the border between the two forms.
func TestMACIsHMAC(t *testing.T) {
	for keySize := range blockSize + 1 {
		for _, size := range []int{0, 1, 20, 48, shortInput, shortInput + 1, 500} {
			key, input := count(7, keySize), count(99, size)
			reference := hmac.New(sha512.New384, key)
			reference.Write(input)
			want := reference.Sum(nil)
			short, long := macShort(key, input), macLong(key, input[:size/2], input[size/2:])
			if !bytes.Equal(short[:], want) || !bytes.Equal(long[:], want) {
				t.Fatalf("key of %d bytes, input of %d: %x and %x, want %x", keySize, size, short, long, want)
			}
		}
	}
}

// TestExpandIsHKDF holds extract and both expansions against crypto/hkdf.
func TestExpandIsHKDF(t *testing.T) {
	for _, label := range []string{labelMessage, labelChain, labelIndicator, labelCipher, labelMAC} {
		for size := 1; size <= hashSize; size++ {
			got := make([]byte, size)
			expandLabel(got, count(3, 32), label)
			wantExpanded(t, got, count(3, 32), label)
		}
	}
	for _, size := range []int{1, 48, 49, 64, 96, 97, 500} {
		info, got := strings.Repeat("i", size), make([]byte, size)
		expandLong(got, count(3, 48), labelRoot, []byte(info))
		wantExpanded(t, got, count(3, 48), labelRoot+info)
	}
	got := extract(count(1, 32), count(2, 48))
	if want, err := hkdf.Extract(sha512.New384, count(2, 48), count(1, 32)); err != nil || !bytes.Equal(got[:], want) {
		t.Errorf("extract: %x, want %x, %v", got, want, err)
	}
}

func wantExpanded(t *testing.T, got, key []byte, info string) {
	t.Helper()
	want, err := hkdf.Expand(sha512.New384, key, info, len(got))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes for %.20q: %x, want %x, %v", len(got), info, got, want, err)
	}
}

// TestRatchetStepsAllocateNothing: key material stays on the stack, except in
// FIPS mode, where the module computes the whole HMAC.
func TestRatchetStepsAllocateNothing(t *testing.T) {
	if fips140.Enabled() {
		return
	}
	ck := chainKey{}
	if n := testing.AllocsPerRun(100, func() { _, ck = ck.step() }); n != 0 {
		t.Errorf("a chain step allocates %v times", n)
	}
	mk, _ := ck.step()
	if n := testing.AllocsPerRun(100, func() { mk.indicator() }); n != 0 {
		t.Errorf("an indicator allocates %v times", n)
	}
}

package pq3_test

import (
	"bytes"
	"crypto/aes"
	"crypto/sha256"
	"fmt"
	"testing"

	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/pq3"
)

type hkdfGroup struct {
	Tests []struct {
		ID     int         `json:"tcId"`
		Input  vectors.Hex `json:"ikm"`
		Salt   vectors.Hex `json:"salt"`
		Info   vectors.Hex `json:"info"`
		Size   int         `json:"size"`
		Output vectors.Hex `json:"okm"`
		Result string      `json:"result"`
	}
}

// TestVectorsHKDF: Extract is one MAC, so it runs in every form as well.
func TestVectorsHKDF(t *testing.T) {
	tally := vectors.Count(t, "pq3", vectors.HKDF384)
	short := 0
	for _, g := range vectors.Groups[hkdfGroup](t, vectors.HKDF384) {
		for _, c := range g.Tests {
			if c.Result == "invalid" {
				tally.Skipped(vectors.NoLimit)
				continue
			}
			for _, prk := range pq3.VectorMAC(c.Salt, c.Input) {
				forms := pq3.VectorExpand(prk, c.Info, c.Size)
				short += len(forms) - 1
				for _, got := range forms {
					if !bytes.Equal(got, c.Output) {
						t.Errorf("%d: %x, want %x", c.ID, got, c.Output)
					}
				}
			}
			tally.Ran(vectors.Derived)
		}
	}
	if short == 0 {
		t.Error("no vector ran through the short form")
	}
}

// TestVectorsHMAC: short and long messages, keys up to and beyond a block.
func TestVectorsHMAC(t *testing.T) {
	tally := vectors.Count(t, "pq3", vectors.HMAC384)
	short := 0
	for _, c := range vectors.MACs(t, vectors.HMAC384) {
		forms := pq3.VectorMAC(c.Key, c.Msg)
		short += len(forms) - 1
		for _, got := range forms {
			if same := bytes.Equal(got[:len(c.Tag)], c.Tag); same != c.Valid() {
				t.Errorf("%d: a %s tag: equal is %v", c.ID, c.Result, same)
			}
		}
		if c.Valid() {
			tally.Ran(vectors.TagEqual)
		} else {
			tally.Ran(vectors.TagOther)
		}
	}
	if short == 0 {
		t.Error("no vector ran through the short form")
	}
}

// TestVectorsTag ties the tag of suite PQ3A to the MAC of TestVectorsHMAC: it
// is that MAC under a derived key, cut to 32 bytes. SPEC §6.3.
func TestVectorsTag(t *testing.T) {
	for n := range 300 {
		mk := sha256.Sum256(fmt.Appendf(nil, "tag %d", n))
		covered := bytes.Repeat([]byte{byte(n)}, 7*n)
		want := pq3.VectorMAC(expanded(mk, "mac"), covered)[0]
		if got := pq3.VectorTag(mk, covered); !bytes.Equal(got[:], want[:32]) {
			t.Fatalf("%d bytes: tag %x, want %x", len(covered), got, want[:32])
		}
	}
}

// expanded is 48 bytes from a message key.
func expanded(mk [32]byte, label string) []byte {
	return pq3.VectorExpand(mk[:], []byte(label), 48)[0]
}

// plainCTR is AES-256 in counter mode as SPEC §3.1 says it: the block is a
// 128-bit big-endian integer that counts up.
func plainCTR(t *testing.T, key, block, text []byte) []byte {
	t.Helper()
	c, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	counter, pad := [16]byte(block), [16]byte{}
	out := make([]byte, len(text))
	for i := range text {
		if i%16 == 0 {
			c.Encrypt(pad[:], counter[:])
			for at := 15; at >= 0; at-- {
				if counter[at]++; counter[at] != 0 {
					break
				}
			}
		}
		out[i] = text[i] ^ pad[i%16]
	}
	return out
}

// TestVectorsCTR runs the vectors of NIST through plainCTR, and holds the
// encryption of messages against it. A message derives its own key and first
// block, so NIST's cannot be put into it.
func TestVectorsCTR(t *testing.T) {
	tally := vectors.Count(t, "pq3", vectors.AESCTR)
	v := vectors.Values(t, vectors.AESCTR)
	key, block := vectors.Bytes(t, v, "key"), vectors.Bytes(t, v, "counter")
	plain, cipher := vectors.Bytes(t, v, "plaintext"), vectors.Bytes(t, v, "ciphertext")
	for n := range 200 {
		sameCTR(t, sha256.Sum256(fmt.Appendf(nil, "message %d", n)), n)
	}
	for _, c := range [][2][]byte{{plain, cipher}, {cipher, plain}} {
		if got := plainCTR(t, key, block, c[0]); !bytes.Equal(got, c[1]) {
			t.Errorf("%x, want %x", got, c[1])
		}
		tally.Ran(vectors.PlainCTR)
	}
}

// TestVectorsCTRWrapsAround: the counter is 128 bits wide, not 8, 16 or 32. The
// key was searched for: the low 32 bits of its first block end within a
// message of the greatest length.
func TestVectorsCTRWrapsAround(t *testing.T) {
	low := map[string]int{"8": 0, "16": 0}
	for n := range 4096 {
		mk := sha256.Sum256(fmt.Appendf(nil, "counter %d", n))
		block := sameCTR(t, mk, 1+n%700)
		blocks := (n%700 + 16) / 16
		if int(block[15])+blocks > 0x100 {
			low["8"]++
		}
		if int(block[14])<<8+int(block[15])+blocks > 0x10000 {
			low["16"]++
		}
	}
	t.Logf("4,096 messages: %d carried out of 8 bits, %d out of 16", low["8"], low["16"])
	if low["8"] < 100 || low["16"] == 0 {
		t.Errorf("too few carries: %v", low)
	}
	mk := sha256.Sum256([]byte("counter wrap 48172"))
	if block := sameCTR(t, mk, pq3.MaxMessage); !bytes.Equal(block[12:14], []byte{0xff, 0xff}) || int(block[14])<<8+int(block[15]) < 0x10000-pq3.MaxMessage/16 {
		t.Errorf("first block %x does not wrap", block)
	}
}

// sameCTR encrypts n bytes as a message does and by plainCTR, and returns the
// first counter block.
func sameCTR(t *testing.T, mk [32]byte, n int) []byte {
	t.Helper()
	text := bytes.Repeat(mk[:], n/len(mk)+1)[:n]
	material := expanded(mk, "aes-ctr")
	want := plainCTR(t, material[16:], material[:16], text)
	pq3.VectorCrypt(mk, text)
	if !bytes.Equal(text, want) {
		t.Fatalf("%d bytes are encrypted in another way", n)
	}
	return material[:16]
}

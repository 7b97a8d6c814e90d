package attachment

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden file")

// vector is one file under testdata/attachments.json. File and sealed bytes are
// given as their SHA-384, and whole where they are short.
type vector struct {
	Key          string `json:"key"`
	Size         uint64 `json:"size"`
	File         string `json:"file"` // byte i is (i*7 + i/251) mod 256
	PaddedSize   uint64 `json:"padded_size"`
	SealedSize   uint64 `json:"sealed_size"`
	FirstSealed  string `json:"first_sealed"` // the first 32 bytes
	LastSealed   string `json:"last_sealed"`  // the last 32 bytes
	SealedDigest string `json:"sealed_digest"`
}

const golden = "testdata/attachments.json"

func vectorOf(t *testing.T, key byte, size uint64) vector {
	file := make([]byte, size)
	for i := range file {
		file[i] = byte(i*7 + i/251)
	}
	c := cipherOf(t, key, size)
	b, digest := sealed(t, c, file)
	sum := sha512.Sum384(file)
	return vector{
		Key: hex.EncodeToString(keyOf(key)[:]), Size: size, File: hex.EncodeToString(sum[:]),
		PaddedSize: PaddedSize(size), SealedSize: SealedSize(size),
		FirstSealed: hex.EncodeToString(b[:32]), LastSealed: hex.EncodeToString(b[len(b)-32:]), SealedDigest: hex.EncodeToString(digest[:]),
	}
}

func TestGoldenFiles(t *testing.T) {
	var now []vector
	for i, size := range sizes {
		now = append(now, vectorOf(t, byte(i), size))
	}
	encoded, err := json.MarshalIndent(now, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	encoded = append(encoded, '\n')
	if *update {
		if err := os.WriteFile(golden, encoded, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if stored, err := os.ReadFile(golden); err != nil || string(stored) != string(encoded) {
		t.Fatalf("%s is not what this code makes; make vectors rewrites it: %v", golden, err)
	}
}

// SPEC §12.1 and §12.2 once more, word by word, without the package.
func TestGoldenFilesFromTheText(t *testing.T) {
	encoded, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(encoded, &all); err != nil || len(all) != len(sizes) {
		t.Fatalf("%d vectors, %v", len(all), err)
	}
	for _, v := range all {
		padded := make([]byte, v.PaddedSize)
		for i := range v.Size {
			padded[i] = byte(i*7 + i/251)
		}
		key, _ := hex.DecodeString(v.Key)
		extracted := hmac.New(sha512.New384, key) // HKDF-Expand, one block
		extracted.Write([]byte("posthorn/attachment/v1\x01"))
		block, err := aes.NewCipher(extracted.Sum(nil)[:32])
		if err != nil {
			t.Fatal(err)
		}
		gcm, _ := cipher.NewGCM(block)
		ad := binary.BigEndian.AppendUint64([]byte("posthorn/attachment/v1"), v.Size)
		var whole []byte
		n := (len(padded) + 65535) / 65536
		for i := range n {
			nonce := [12]byte{7: byte(i >> 24), 8: byte(i >> 16), 9: byte(i >> 8), 10: byte(i)}
			if i == n-1 {
				nonce[11] = 1
			}
			whole = gcm.Seal(whole, nonce[:], padded[65536*i:min(len(padded), 65536*(i+1))], ad)
		}
		if sum := sha512.Sum384(whole); hex.EncodeToString(sum[:]) != v.SealedDigest || uint64(len(whole)) != v.SealedSize {
			t.Errorf("%d bytes: the text and the golden file differ", v.Size)
		}
	}
}

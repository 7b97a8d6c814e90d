package level1

import (
	"encoding/hex"
	"testing"

	"github.com/posthorn/posthorn/internal/secret"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestVectorsX25519 is RFC 7748 §6.1, and a point of low order.
func TestVectorsX25519(t *testing.T) {
	private := secret.Key(unhex(t, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"))
	if got := PublicKey(private); hex.EncodeToString(got[:]) != "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a" {
		t.Errorf("public key %x", got)
	}
	peer := [32]byte(unhex(t, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"))
	got, err := Agree(private, peer)
	if err != nil || hex.EncodeToString(got) != "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742" {
		t.Errorf("secret %x, %v", got, err)
	}
	if _, err := Agree(private, [32]byte{}); err == nil {
		t.Error("agreed with a point of low order")
	}
}

// TestVectorsHKDF are test cases 1 and 3 of RFC 5869.
func TestVectorsHKDF(t *testing.T) {
	input := unhex(t, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b")
	for _, c := range []struct{ salt, info, want string }{
		{"000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
		{"", "", "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	} {
		got := derive(input, unhex(t, c.salt), string(unhex(t, c.info)), 42)
		if hex.EncodeToString(got) != c.want {
			t.Errorf("got %x, want %s", got, c.want)
		}
	}
}

// TestEncryptRefusesEveryChange: of length, text, tag, padding, key and
// associated data.
func TestEncryptRefusesEveryChange(t *testing.T) {
	key := secret.Key{1}
	for n := range 40 {
		text := make([]byte, n)
		sealed := Encrypt(key, text, []byte("ad"))
		if got, err := Decrypt(key, sealed, []byte("ad")); err != nil || len(got) != n {
			t.Fatalf("%d bytes come back as %d, %v", n, len(got), err)
		}
		for i := range sealed {
			altered := append([]byte(nil), sealed...)
			altered[i] ^= 1
			if _, err := Decrypt(key, altered, []byte("ad")); err == nil {
				t.Fatalf("byte %d of %d altered", i, len(sealed))
			}
			if _, err := Decrypt(key, sealed[:i], []byte("ad")); err == nil {
				t.Fatalf("cut to %d of %d", i, len(sealed))
			}
		}
		if _, err := Decrypt(secret.Key{2}, sealed, []byte("ad")); err == nil {
			t.Fatal("another key")
		}
		if _, err := Decrypt(key, sealed, []byte("da")); err == nil {
			t.Fatal("other associated data")
		}
	}
}

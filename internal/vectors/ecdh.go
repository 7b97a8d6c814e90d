package vectors

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"testing"
)

// The files with ECDH vectors on P-256. They hold one series of points in four
// wrappings.
const (
	ECDHPoint = "wycheproof/ecdh_secp256r1_ecpoint_test.json"
	ECDHSPKI  = "wycheproof/ecdh_secp256r1_test.json"
	ECDHPEM   = "wycheproof/ecdh_secp256r1_pem_test.json"
	ECDHJWK   = "wycheproof/ecdh_secp256r1_webcrypto_test.json"
)

// ECDHFiles lists the four.
func ECDHFiles() []string { return []string{ECDHPoint, ECDHSPKI, ECDHPEM, ECDHJWK} }

// ECDHTest is one ECDH vector, taken out of its wrapping.
type ECDHTest struct {
	ID      int
	Result  string // "valid", "invalid" or "acceptable"
	Encoded []byte // the public key in the file's encoding
	// X is the x-coordinate, or nil when the encoding has none of 32 bytes
	// for this curve. Whether it is one of the curve is left open.
	X       []byte
	Private []byte // the scalar, 32 bytes; nil when the wrapping hides it
	Shared  []byte
}

// Valid reports whether the vector's keys must agree on Shared.
func (c ECDHTest) Valid() bool { return c.Result == "valid" }

type ecdhRaw struct {
	ID      int             `json:"tcId"`
	Result  string          `json:"result"`
	Public  json.RawMessage `json:"public"`
	Private json.RawMessage `json:"private"`
	Shared  Hex             `json:"shared"`
}

// ECDH reads one of the four files.
func ECDH(t testing.TB, file string) (tests []ECDHTest) {
	t.Helper()
	type group struct{ Tests []ecdhRaw }
	for _, g := range Groups[group](t, file) {
		for _, raw := range g.Tests {
			tests = append(tests, raw.unwrap(t, file))
		}
	}
	return tests
}

func (raw ecdhRaw) unwrap(t testing.TB, file string) ECDHTest {
	t.Helper()
	c := ECDHTest{ID: raw.ID, Result: raw.Result, Shared: raw.Shared}
	switch file {
	case ECDHJWK:
		c.Encoded, c.X, c.Private = raw.Public, jwkField(raw.Public, "x"), jwkField(raw.Private, "d")
	case ECDHPEM:
		c.Encoded, c.Private = text(t, raw.Public), scalarOfPEM(text(t, raw.Private))
		if block, _ := pem.Decode(c.Encoded); block != nil {
			c.X = xOfSPKI(block.Bytes)
		}
	case ECDHSPKI:
		c.Encoded, c.Private = hexField(t, raw.Public), hexField(t, raw.Private)
		c.X = xOfSPKI(c.Encoded)
	case ECDHPoint:
		c.Encoded, c.Private = hexField(t, raw.Public), hexField(t, raw.Private)
		if len(c.Encoded) >= 33 {
			c.X = c.Encoded[1:33]
		}
	}
	c.Private = scalar32(c.Private)
	return c
}

// spkiPrefix is what stands before the point of a P-256 key in the one DER
// form of a SubjectPublicKeyInfo.
var spkiPrefix = []byte{
	0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
	0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
}

func xOfSPKI(der []byte) []byte {
	point, ok := bytes.CutPrefix(der, spkiPrefix)
	if !ok || len(point) != 64 {
		return nil
	}
	return point[:32]
}

func scalarOfPEM(text []byte) []byte {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil
	}
	key, ok := parsed.(interface{ Bytes() ([]byte, error) })
	if !ok {
		return nil
	}
	scalar, err := key.Bytes()
	if err != nil {
		return nil
	}
	return scalar
}

// jwkField takes a coordinate out of a JSON Web Key of curve P-256.
func jwkField(raw json.RawMessage, name string) []byte {
	var key map[string]string
	if json.Unmarshal(raw, &key) != nil || key["crv"] != "P-256" {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(key[name])
	if err != nil || len(b) != 32 {
		return nil
	}
	return b
}

func text(t testing.TB, raw json.RawMessage) []byte {
	t.Helper()
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return []byte(s)
}

func hexField(t testing.TB, raw json.RawMessage) []byte {
	t.Helper()
	var h Hex
	if err := json.Unmarshal(raw, &h); err != nil {
		t.Fatal(err)
	}
	return h
}

// scalar32 brings a big-endian scalar to 32 bytes; nil stays nil.
func scalar32(b []byte) []byte {
	b = bytes.TrimLeft(b, "\x00")
	if len(b) == 0 || len(b) > 32 {
		return nil
	}
	return append(make([]byte, 32-len(b)), b...)
}

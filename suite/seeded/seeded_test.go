package seeded_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"testing"

	"github.com/posthorn/posthorn/suite/seeded"
)

func TestEqualSeedsGiveEqualBytes(t *testing.T) {
	draw := func(seed string) []byte {
		b := make([]byte, 300)
		seeded.New(seed).Read(b)
		return b
	}
	if !bytes.Equal(draw("a"), draw("a")) || bytes.Equal(draw("a"), draw("b")) {
		t.Error("bytes do not depend on the seed alone")
	}
}

// TestEncapsulatedSecretIsTheReceivers, for both sets, and repeats.
func TestEncapsulatedSecretIsTheReceivers(t *testing.T) {
	d768, err := mlkem.GenerateKey768()
	if err != nil {
		t.Fatal(err)
	}
	d1024, err := mlkem.GenerateKey1024()
	if err != nil {
		t.Fatal(err)
	}
	ent, again := seeded.New("kem"), seeded.New("kem")
	secret, ciphertext := ent.Encapsulate(d768.EncapsulationKey())
	if got, err := d768.Decapsulate(ciphertext); err != nil || !bytes.Equal(got, secret) {
		t.Error("ML-KEM-768 secrets differ")
	}
	if _, same := again.Encapsulate(d768.EncapsulationKey()); !bytes.Equal(same, ciphertext) {
		t.Error("the ciphertext does not repeat")
	}
	secret, ciphertext = ent.Encapsulate(d1024.EncapsulationKey())
	if got, err := d1024.Decapsulate(ciphertext); err != nil || !bytes.Equal(got, secret) {
		t.Error("ML-KEM-1024 secrets differ")
	}
	if ent.SignReader() != nil {
		t.Error("signatures are not deterministic")
	}
	defer func() {
		if recover() == nil {
			t.Error("encapsulated to what is no ML-KEM key")
		}
	}()
	ent.Encapsulate(notKEM{})
}

type notKEM struct{ *ecdh.PublicKey }

func (notKEM) Bytes() []byte                { return nil }
func (notKEM) Encapsulate() (ss, ct []byte) { return nil, nil }

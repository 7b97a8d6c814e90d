package level0

import (
	"bytes"
	"crypto/hpke"
	"testing"

	"github.com/posthorn/posthorn/suite/seeded"
)

// TestConnectionIsHPKE: the standard library opens what this package seals, and
// exports the same key for the other direction.
func TestConnectionIsHPKE(t *testing.T) {
	ent := seeded.New("hpke")
	client, server := newKey(ent), newKey(ent)
	enc := client.PublicKey().Bytes()
	c, err := Derive(client.Bytes(), enc, server.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	key, err := hpke.NewDHKEMPrivateKey(server)
	if err != nil {
		t.Fatal(err)
	}
	r, err := hpke.NewRecipient(enc, key, hpke.HKDFSHA256(), hpke.AES256GCM(), []byte(connectionInfo))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(300) {
		text := bytes.Repeat([]byte{byte(i)}, int(i))
		got, err := r.Open(nil, c.Up.Seal(i, text, nil))
		if err != nil || !bytes.Equal(got, text) {
			t.Fatalf("record %d: %x, %v", i, got, err)
		}
	}
	exported, err := r.Export(downContext, 44)
	if err != nil || !bytes.Equal(exported, append(c.Down.Key[:], c.Down.Nonce[:]...)) {
		t.Errorf("exported %x, %v", exported, err)
	}
}

// TestEitherPrivateKeyGivesTheConnection is what a quantum computer, which has
// both public keys, does to it.
func TestEitherPrivateKeyGivesTheConnection(t *testing.T) {
	ent := seeded.New("either")
	client, server := newKey(ent), newKey(ent)
	enc, public := client.PublicKey().Bytes(), server.PublicKey().Bytes()
	a, errA := Derive(client.Bytes(), enc, public)
	b, errB := Derive(server.Bytes(), enc, public)
	if errA != nil || errB != nil || *a != *b {
		t.Errorf("the two sides differ: %v, %v", errA, errB)
	}
	if a.Up == a.Down {
		t.Error("both directions use one key")
	}
	if _, err := Derive(client.Bytes(), enc, make([]byte, ecdhSize)); err == nil {
		t.Error("agreed with a point of low order")
	}
	if _, err := Derive(nil, enc, public); err == nil {
		t.Error("agreed without a private key")
	}
}

const ecdhSize = 32

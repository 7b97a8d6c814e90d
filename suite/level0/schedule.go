package level0

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// The derivations of a connection as plain functions. They are public
// algorithms: anyone can compute them who has the inputs.

// Keys are the secrets of one direction of a connection.
type Keys struct {
	Key   secret.Key // AES-256-GCM
	Nonce [12]byte   // of message 0
}

// Connection holds both directions.
type Connection struct{ Up, Down Keys }

// The identifiers of RFC 9180 §7 for the algorithms of this level.
const (
	kemID  = 0x0020
	kdfID  = 0x0001
	aeadID = 0x0002

	connectionInfo = "posthorn/level0/connection/v1"
	downContext    = "posthorn/level0/down/v1"
)

// Derive computes the keys of a connection from the private key of either side
// and both public keys: the client's, which is its record, and the server's.
func Derive(private, client, server []byte) (*Connection, error) {
	mine, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	theirs := server
	if string(mine.PublicKey().Bytes()) == string(server) {
		theirs = client
	}
	public, err := ecdh.X25519().NewPublicKey(theirs)
	if err != nil {
		return nil, err
	}
	dh, err := mine.ECDH(public)
	if err != nil {
		return nil, err
	}
	return keySchedule(sharedSecret(dh, client, server)), nil
}

// sharedSecret is ExtractAndExpand of RFC 9180 §4.1.
func sharedSecret(dh, enc, recipient []byte) []byte {
	id := binary.BigEndian.AppendUint16([]byte("KEM"), kemID)
	prk := labeledExtract(id, nil, "eae_prk", dh)
	return labeledExpand(id, prk, "shared_secret", slices.Concat(enc, recipient), 32)
}

// keySchedule is KeySchedule of RFC 9180 §5.1 in base mode, and the export of
// the other direction.
func keySchedule(shared []byte) *Connection {
	id := []byte("HPKE")
	for _, part := range []uint16{kemID, kdfID, aeadID} {
		id = binary.BigEndian.AppendUint16(id, part)
	}
	context := slices.Concat([]byte{0},
		labeledExtract(id, nil, "psk_id_hash", nil),
		labeledExtract(id, nil, "info_hash", []byte(connectionInfo)))
	main := labeledExtract(id, shared, "secret", nil)
	exporter := labeledExpand(id, main, "exp", context, sha256.Size)
	down := labeledExpand(id, exporter, "sec", []byte(downContext), 32+12)
	return &Connection{
		Up:   Keys{Key: secret.Key(labeledExpand(id, main, "key", context, 32)), Nonce: [12]byte(labeledExpand(id, main, "base_nonce", context, 12))},
		Down: Keys{Key: secret.Key(down[:32]), Nonce: [12]byte(down[32:])},
	}
}

func labeledExtract(id, salt []byte, label string, input []byte) []byte {
	return fixed(hkdf.Extract(sha256.New, slices.Concat([]byte("HPKE-v1"), id, []byte(label), input), salt))
}

func labeledExpand(id, key []byte, label string, info []byte, n int) []byte {
	head := binary.BigEndian.AppendUint16(nil, uint16(n))
	all := slices.Concat(head, []byte("HPKE-v1"), id, []byte(label), info)
	return fixed(hkdf.Expand(sha256.New, key, string(all), n))
}

// Seal encrypts the record with a number.
func (k *Keys) Seal(number uint64, plaintext, associated []byte) []byte {
	return k.aead().Seal(nil, k.nonce(number), plaintext, associated)
}

// Open decrypts the record with a number.
func (k *Keys) Open(number uint64, ciphertext, associated []byte) ([]byte, error) {
	plaintext, err := k.aead().Open(nil, k.nonce(number), ciphertext, associated)
	if err != nil {
		return nil, suite.Refuse(level, suite.ErrUndecryptable, "sealed under other keys, or altered")
	}
	return plaintext, nil
}

func (k *Keys) aead() cipher.AEAD {
	return fixed(cipher.NewGCM(fixed(aes.NewCipher(k.Key[:]))))
}

// nonce is ComputeNonce of RFC 9180 §5.2.
func (k *Keys) nonce(number uint64) []byte {
	n := k.Nonce
	var counter [8]byte
	binary.BigEndian.PutUint64(counter[:], number)
	for i, b := range counter {
		n[4+i] ^= b
	}
	return n[:]
}

// newKey draws an X25519 key.
func newKey(ent suite.Entropy) *ecdh.PrivateKey {
	var seed secret.Key
	ent.Read(seed[:])
	return fixed(ecdh.X25519().NewPrivateKey(seed[:]))
}

// fixed is for calls that fail only on lengths which are fixed here.
func fixed[T any](v T, err error) T {
	if err != nil {
		panic("level0: " + err.Error())
	}
	return v
}

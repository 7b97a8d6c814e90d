package localdb

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"

	"github.com/posthorn/posthorn/internal/secret"
)

// The two keys that come out of the master key.
const (
	pageKeyInfo = "posthorn/localdb/pages/v1"
	rowKeyInfo  = "posthorn/localdb/rows/v1"
)

// derive makes one of the keys below the master key.
func derive(master *secret.Key, info string) (key secret.Key, err error) {
	b, err := hkdf.Expand(sha512.New384, master[:], info, len(key))
	copy(key[:], b)
	clear(b)
	return key, err
}

// sealer encrypts single columns, bound to where they stand, so that a row can
// neither be altered nor moved.
type sealer struct{ aead cipher.AEAD }

func newSealer(key *secret.Key) (*sealer, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &sealer{aead}, nil
}

// place is the associated data of a column: table, column and primary key.
func place(column string, key []byte) []byte {
	b := append([]byte(column), 0)
	return append(b, key...)
}

// seal encrypts plain for a column ("table.column") of the row with a key.
func (s *sealer) seal(column string, key, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, place(column, key))
}

// open is the reverse; ErrCorrupt when the bytes were not sealed for there.
func (s *sealer) open(column string, key, sealed []byte) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, place(column, key))
	if err != nil {
		return nil, corrupt(column + " does not open")
	}
	return plain, nil
}

// random fills b; crypto/rand never fails.
func random(b []byte) { _, _ = rand.Read(b) }

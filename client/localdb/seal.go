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
	secret.Do(func() {
		var b []byte
		b, err = hkdf.Expand(sha512.New384, master[:], info, len(key))
		copy(key[:], b)
		secret.Wipe(b)
	})
	return key, err
}

// sealer encrypts single columns, bound to where they stand, so that a row can
// neither be altered nor moved.
type sealer struct{ aead cipher.AEAD }

func newSealer(key *secret.Key) (s *sealer, err error) {
	secret.Do(func() {
		var block cipher.Block
		if block, err = aes.NewCipher(key[:]); err != nil {
			return
		}
		s = &sealer{}
		s.aead, err = cipher.NewGCMWithRandomNonce(block)
	})
	return s, err
}

// place is the associated data of a column: table, column and primary key.
func place(column string, key []byte) []byte {
	b := append([]byte(column), 0)
	return append(b, key...)
}

// seal encrypts plain for a column ("table.column") of the row with a key.
func (s *sealer) seal(column string, key, plain []byte) []byte {
	sealed := make([]byte, 0, len(plain)+s.aead.Overhead())
	bound := place(column, key)
	secret.Do(func() { sealed = s.aead.Seal(sealed, nil, plain, bound) })
	return sealed
}

// open is the reverse; ErrCorrupt when the bytes were not sealed for there.
func (s *sealer) open(column string, key, sealed []byte) (plain []byte, err error) {
	bound := place(column, key)
	secret.Do(func() { plain, err = s.aead.Open(nil, nil, sealed, bound) })
	if err != nil {
		return nil, corrupt(column + " does not open")
	}
	return plain, nil
}

// openKeys is open for a column that holds keys: they live until the
// transaction ends.
func (tx *Tx) openKeys(column string, key, sealed []byte) ([]byte, error) {
	plain, err := tx.rows.open(column, key, sealed)
	tx.opened = append(tx.opened, plain)
	return plain, err
}

// random fills b; crypto/rand never fails.
func random(b []byte) { _, _ = rand.Read(b) }

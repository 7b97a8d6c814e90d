package level2

import (
	"crypto/mlkem"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
	"github.com/posthorn/posthorn/suite/level1"
)

// The derivations of the start as plain functions. They are public algorithms:
// anyone can compute them who has the inputs. All others are level1's.

// StartSecret is SK of PQXDH §2.2: X3DH's agreements in order, then the KEM
// secret.
func StartSecret(agreements [][]byte, kemSecret []byte) secret.Key {
	return level1.StartSecret(level, agreements, kemSecret)
}

// Decapsulate opens the ciphertext of a start with the 64-byte seed of a KEM
// prekey.
func Decapsulate(seed, ciphertext []byte) ([]byte, error) {
	key, err := mlkem.NewDecapsulationKey1024(seed)
	if err != nil {
		return nil, &suite.Error{Level: level, Err: suite.ErrPrekey, Detail: "not the seed of a KEM prekey", Cause: err}
	}
	kemSecret, err := key.Decapsulate(ciphertext)
	if err != nil {
		return nil, &suite.Error{Level: level, Err: suite.ErrMalformed, Detail: "not a KEM ciphertext", Cause: err}
	}
	return kemSecret, nil
}

package account

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"

	"filippo.io/mldsa"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
)

// KeySeeds is what a software key is kept as: the ECDSA scalar and the ML-DSA
// seed. It never prints. SPEC §3.4.
type KeySeeds struct {
	ECDSA secret.Key
	MLDSA secret.Key
}

// GenerateSigningKey draws a key from the random bytes that read supplies.
// Equal bytes give equal keys.
func GenerateSigningKey(read func([]byte)) (*SigningKey, KeySeeds) {
	var seeds KeySeeds
	secret.Do(func() {
		copy(seeds.ECDSA[:], xonly.NewKey(read).Bytes())
		read(seeds.MLDSA[:])
	})
	secret.Created("identity ecdsa", seeds.ECDSA[:])
	secret.Created("identity mldsa", seeds.MLDSA[:])
	key, err := seeds.SigningKey()
	if err != nil {
		panic("account: a drawn key was refused: " + err.Error())
	}
	return key, seeds
}

// SigningKey rebuilds the key. It fails only when the ECDSA scalar is zero or
// not below the group order, which means that the stored seeds are damaged.
func (s KeySeeds) SigningKey() (*SigningKey, error) {
	classical, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), s.ECDSA[:])
	if err != nil {
		return nil, fmt.Errorf("%w: the stored ECDSA scalar is out of range", ErrKey)
	}
	post, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), s.MLDSA[:])
	if err != nil {
		return nil, fmt.Errorf("%w: the stored ML-DSA seed was not accepted", ErrKey)
	}
	return NewSigningKey(classical, post)
}

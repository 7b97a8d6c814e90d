package recovery

import (
	"crypto/hkdf"
	"crypto/sha512"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/secret"
)

// keyLabel separates what is derived here from everything else.
const keyLabel = "posthorn/recovery/v1"

// Key is the recovery key of a phrase's secret: equal secrets give equal keys.
// SPEC §4.8.
func Key(s *secret.Key) (key *account.SigningKey, err error) {
	seeds := account.KeySeeds{MLDSA: block(s, 0)}
	defer seeds.MLDSA.Wipe()
	// A scalar is out of range about once in 2^32 phrases.
	for i := byte(1); i != 0; i++ {
		seeds.ECDSA = block(s, i)
		key, err = seeds.SigningKey()
		seeds.ECDSA.Wipe()
		if err == nil {
			return key, nil
		}
	}
	return nil, err
}

// block is 32 bytes of key material with a number.
func block(s *secret.Key, i byte) (out secret.Key) {
	b, err := hkdf.Key(sha512.New384, s[:], nil, keyLabel+string([]byte{i}), len(out))
	if err != nil {
		panic("recovery: HKDF refused 32 bytes: " + err.Error())
	}
	copy(out[:], b)
	secret.Wipe(b)
	return out
}

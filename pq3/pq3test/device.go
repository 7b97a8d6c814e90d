package pq3test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"io"
	"time"

	"filippo.io/mldsa"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/xonly"
	"github.com/posthorn/posthorn/pq3"
)

// Now is the time at which test conversations begin.
var Now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// NewIdentity makes a device of its own account from a seed. Without suites it
// lists PQ3A.
func NewIdentity(seed string, suites ...account.Suite) *pq3.Identity {
	if len(suites) == 0 {
		suites = []account.Suite{account.PQ3A}
	}
	key := signingKey(NewEntropy("keys of " + seed))
	device := &account.Device{Key: key.Public(), Suites: suites, CreatedAt: uint64(Now.UnixMilli())}
	NewEntropy("device id of " + seed).Read(device.ID[:])
	party := account.Party{Account: sha512.Sum384([]byte("account of " + seed)), Device: device}
	id, err := pq3.NewIdentity(party, key)
	if err != nil {
		panic(err) // the key is the device's by construction
	}
	return id
}

func signingKey(ent *Entropy) *account.SigningKey {
	ecdhKey := xonly.NewKey(ent.Read)
	classical, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), ecdhKey.Bytes())
	if err != nil {
		panic(err) // a P-256 scalar is one for both uses
	}
	var seed [32]byte
	ent.Read(seed[:])
	quantum, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), seed[:])
	if err != nil {
		panic(err) // 32 bytes are always accepted
	}
	key, err := account.NewSigningKey(classical, deterministicSigner{quantum})
	if err != nil {
		panic(err)
	}
	return key
}

// deterministicSigner signs without hedging, so that vectors repeat.
type deterministicSigner struct{ key *mldsa.PrivateKey }

func (s deterministicSigner) Public() crypto.PublicKey { return s.key.Public() }

func (s deterministicSigner) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	return s.key.SignDeterministic(message, opts)
}

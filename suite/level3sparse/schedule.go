package level3sparse

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha256"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// The derivations of the KEM ratchet as plain functions. They are public
// algorithms: anyone can compute them who has the inputs. level1.HybridKey joins
// the key of a message with that of the Double Ratchet.

// Keys are what one epoch has.
type Keys struct {
	Root      secret.Key
	Proof     secret.Key // of the authenticator
	Initiator secret.Key // first chain key of the initiator's messages
	Responder secret.Key // and of the responder's
}

// BeginKeys are those of epoch 0, from the secret of the session start.
func BeginKeys(startSecret []byte) Keys {
	return keysFrom(derive(startSecret, make([]byte, sha256.Size), "posthorn/sparse/begin/v1", 4*32))
}

// EpochKeys are those of the next epoch, from its KEM secret.
func EpochKeys(k Keys, kemSecret []byte) Keys {
	salt := append(append([]byte(nil), k.Root[:]...), k.Proof[:]...)
	return keysFrom(derive(kemSecret, salt, "posthorn/sparse/epoch/v1", 4*32))
}

func keysFrom(b []byte) Keys {
	return Keys{Root: secret.Key(b[:32]), Proof: secret.Key(b[32:64]), Initiator: secret.Key(b[64:96]), Responder: secret.Key(b[96:])}
}

// ChainStep gives the key of the next message and the chain key after it.
func ChainStep(chainKey secret.Key) (messageKey, nextChainKey secret.Key) {
	out := derive(chainKey[:], make([]byte, sha256.Size), "posthorn/sparse/chain/v1", 64)
	return secret.Key(out[:32]), secret.Key(out[32:])
}

// Proof ends an object: it ties the object to its epoch and to the session. For
// an encapsulation key the proof key is that of the epoch before, for a
// ciphertext that of the epoch which it opens.
func Proof(proofKey secret.Key, kind Kind, epoch uint32, object []byte) []byte {
	mac := hmac.New(sha256.New, proofKey[:])
	mac.Write(binary.BigEndian.AppendUint32([]byte{byte(kind)}, epoch))
	mac.Write(object)
	return mac.Sum(nil)
}

// Decapsulate opens an ML-KEM-768 ciphertext with a 64-byte seed.
func Decapsulate(seed secret.Seed64, ciphertext []byte) ([]byte, error) {
	kemSecret, err := expand(seed).Decapsulate(ciphertext)
	if err != nil {
		return nil, &suite.Error{Level: level, Err: suite.ErrMalformed, Detail: "not a KEM ciphertext", Cause: err}
	}
	return kemSecret, nil
}

func expand(seed secret.Seed64) *mlkem.DecapsulationKey768 {
	return fixed(mlkem.NewDecapsulationKey768(seed[:]))
}

func derive(input, salt []byte, info string, n int) []byte {
	return fixed(hkdf.Key(sha256.New, input, salt, info, n))
}

// fixed is for calls that fail only on lengths which are fixed here.
func fixed[T any](v T, err error) T {
	if err != nil {
		panic("level3sparse: " + err.Error())
	}
	return v
}

package level3

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/xonly"
	"github.com/posthorn/posthorn/suite"
)

// The derivations of SPEC §6 as plain functions. They are public algorithms:
// anyone can compute them who has the inputs. Nothing here comes from pq3.

// RootStep opens an epoch: epoch 0 from 32 zero bytes, every later one from the
// root key before it. kemSecret is nil when the epoch adds none. SPEC §6.1.
func RootStep(root, ecdhSecret, kemSecret, info []byte) (nextRoot, chainKey []byte) {
	if kemSecret == nil {
		kemSecret = make([]byte, 48)
	}
	classical := fixed(hkdf.Extract(sha512.New384, ecdhSecret, root))
	hybrid := fixed(hkdf.Extract(sha512.New384, classical, kemSecret))
	out := expand(hybrid, "rkDerivation-"+string(info), 64)
	return out[:32], out[32:]
}

// StartInfo is the info of epoch 0. context is account.SessionContext of
// initiator and responder. SPEC §6.4.
func StartInfo(context, prekeyECDH, ratchetKey, kemCiphertext, prekeyKEM []byte) []byte {
	return appendAll(append([]byte(nil), context...), "session_start", prekeyECDH, ratchetKey, kemCiphertext, prekeyKEM)
}

// RatchetInfo is the info of a later epoch. oldKey is the ratchet key of the
// device that did not open it. Without a KEM answer the last two are nil.
// SPEC §6.4.
func RatchetInfo(context, oldKey, newKey, kemCiphertext, kemKey []byte) []byte {
	if kemCiphertext == nil {
		return appendAll(append([]byte(nil), context...), "pk_ratchet", oldKey, newKey)
	}
	return appendAll(append([]byte(nil), context...), "pk_ratchet", oldKey, newKey, kemCiphertext, kemKey)
}

func appendAll(b []byte, label string, fields ...[]byte) []byte {
	b = append(b, label...)
	for _, f := range fields {
		b = codec.AppendV16(b, f)
	}
	return b
}

// ChainStep gives the key of the next message and the chain key after it.
// SPEC §6.2.
func ChainStep(chainKey []byte) (messageKey, nextChainKey []byte) {
	return expand(chainKey, "msgKeyDerivation", 32), expand(chainKey, "chainKeyDerivation", 32)
}

// Indicator commits to a message key. Suite PQ3. SPEC §6.3.
func Indicator(messageKey []byte) []byte { return expand(messageKey, "msg-key-ind", 32) }

// Tag authenticates Covered with zeros for proof. Suite PQ3A. SPEC §6.3.
func Tag(messageKey, covered []byte) []byte {
	mac := hmac.New(sha512.New384, expand(messageKey, "mac", 48))
	mac.Write(covered)
	return mac.Sum(nil)[:32]
}

// Crypt encrypts or decrypts with AES-256-CTR under a message key. SPEC §6.3.
func Crypt(messageKey, text []byte) []byte {
	material := expand(messageKey, "aes-ctr", 48)
	out := make([]byte, len(text))
	cipher.NewCTR(fixed(aes.NewCipher(material[16:])), material[:16]).XORKeyStream(out, text)
	return out
}

// Decrypt opens a ciphertext and takes the padding off. It refuses what does
// not end in zeros, which another key's output practically never does; only
// Indicator or Tag decide for certain.
func Decrypt(messageKey, ciphertext []byte) ([]byte, error) {
	frame := Crypt(messageKey, ciphertext)
	wrong := suite.Refuse("level3", suite.ErrUndecryptable, "no frame comes out under this key")
	if len(frame) < 4 {
		return nil, wrong
	}
	n := uint64(binary.BigEndian.Uint32(frame))
	if n > uint64(len(frame)-4) {
		return nil, wrong
	}
	for _, b := range frame[4+n:] {
		if b != 0 {
			return nil, wrong
		}
	}
	return frame[4 : 4+n], nil
}

// Agree is ECDH on P-256 of a 32-byte private key and an x-coordinate.
func Agree(private, publicX []byte) ([]byte, error) {
	mine, err := ecdh.P256().NewPrivateKey(private)
	if err != nil {
		return nil, err
	}
	theirs, err := xonly.Lift(publicX)
	if err != nil {
		return nil, err
	}
	return mine.ECDH(theirs)
}

// Decapsulate opens a KEM ciphertext with a 64-byte seed: ML-KEM-1024 for the
// ciphertext of a session start, ML-KEM-768 for every other, which their
// lengths tell apart.
func Decapsulate(seed, ciphertext []byte) ([]byte, error) {
	if len(ciphertext) == mlkem.CiphertextSize1024 {
		key, err := mlkem.NewDecapsulationKey1024(seed)
		if err != nil {
			return nil, err
		}
		return key.Decapsulate(ciphertext)
	}
	key, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		return nil, err
	}
	return key.Decapsulate(ciphertext)
}

func expand(key []byte, label string, n int) []byte {
	return fixed(hkdf.Expand(sha512.New384, key, label, n))
}

// fixed is for calls that fail only on lengths which are fixed here.
func fixed[T any](v T, err error) T {
	if err != nil {
		panic("level3: " + err.Error())
	}
	return v
}

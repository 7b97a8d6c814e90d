package pq3

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha512"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
)

// The labels of the published pseudocode, and the one that suite PQ3A adds.
const (
	labelRoot      = "rkDerivation-"
	labelMessage   = "msgKeyDerivation"
	labelChain     = "chainKeyDerivation"
	labelIndicator = "msg-key-ind"
	labelCipher    = "aes-ctr"
	labelMAC       = "mac"
	labelStart     = "session_start"
	labelRatchet   = "pk_ratchet"
)

// A rootKey links the epochs of a session; a chainKey the messages of one
// epoch; a messageKey protects one message. They are separate types so that
// the only way from one to the next is the step the protocol allows.
type (
	rootKey    struct{ secret.Key }
	chainKey   struct{ secret.Key }
	messageKey struct{ secret.Key }
)

// noKEM stands in the salt of the second extract when an epoch adds no KEM
// secret. HMAC pads its key with zeros, so this equals an absent salt.
var noKEM [sha512.Size384]byte

// step derives the next root key and the chain key of a new epoch from a
// Diffie-Hellman secret and, when the epoch has one, a KEM secret. SPEC §6.1.
func (rk rootKey) step(ecdhSecret, kemSecret, info []byte) (rootKey, chainKey) {
	if kemSecret == nil {
		kemSecret = noKEM[:]
	}
	classical := extract(ecdhSecret, rk.Key[:])
	hybrid := extract(classical, kemSecret)
	out := expand(hybrid, labelRoot+string(info), 64)
	defer clear(classical)
	defer clear(hybrid)
	defer clear(out)
	var next rootKey
	var chain chainKey
	copy(next.Key[:], out[:32])
	copy(chain.Key[:], out[32:])
	return next, chain
}

// step derives the key of the next message and the chain key after it.
// SPEC §6.2.
func (ck chainKey) step() (messageKey, chainKey) {
	var message messageKey
	var next chainKey
	expandInto(message.Key[:], ck.Key[:], labelMessage)
	expandInto(next.Key[:], ck.Key[:], labelChain)
	return message, next
}

// indicator commits to the message key without revealing it. Suite PQ3.
// SPEC §6.3.
func (mk messageKey) indicator() (ind [32]byte) {
	expandInto(ind[:], mk.Key[:], labelIndicator)
	return ind
}

// tag authenticates the covered bytes of a message under its key. Suite PQ3A.
// SPEC §6.3.
func (mk messageKey) tag(covered []byte) (tag [32]byte) {
	var key [sha512.Size384]byte
	defer clear(key[:])
	expandInto(key[:], mk.Key[:], labelMAC)
	mac := hmac.New(sha512.New384, key[:])
	mac.Write(covered)
	copy(tag[:], mac.Sum(nil))
	return tag
}

// crypt encrypts or decrypts in place with AES-256-CTR. A message key is used
// for one message only, which is what makes the derived counter block safe.
// SPEC §6.3.
func (mk messageKey) crypt(text []byte) {
	var material [48]byte
	defer clear(material[:])
	expandInto(material[:], mk.Key[:], labelCipher)
	block, err := aes.NewCipher(material[16:])
	if err != nil {
		panic("pq3: AES refused a 32-byte key: " + err.Error())
	}
	cipher.NewCTR(block, material[:16]).XORKeyStream(text, text)
}

// startInfo binds a session start to both devices and to every public value
// of the exchange. SPEC §6.4.
func startInfo(context, prekeyECDH, ephemeral, kemCT, prekeyKEM []byte) []byte {
	info := make([]byte, 0, len(context)+len(labelStart)+4*2+len(prekeyECDH)+len(ephemeral)+len(kemCT)+len(prekeyKEM))
	info = append(info, context...)
	info = append(info, labelStart...)
	info = codec.AppendV16(info, prekeyECDH)
	info = codec.AppendV16(info, ephemeral)
	info = codec.AppendV16(info, kemCT)
	return codec.AppendV16(info, prekeyKEM)
}

// ratchetInfo binds an epoch step to its direction, both ratchet keys and,
// when it answers a KEM key, to that key and the ciphertext. SPEC §6.4.
func ratchetInfo(context, oldPeerKey, newKey, kemCT, kemPK []byte) []byte {
	info := make([]byte, 0, len(context)+len(labelRatchet)+4*2+len(oldPeerKey)+len(newKey)+len(kemCT)+len(kemPK))
	info = append(info, context...)
	info = append(info, labelRatchet...)
	info = codec.AppendV16(info, oldPeerKey)
	info = codec.AppendV16(info, newKey)
	if kemCT == nil {
		return info
	}
	info = codec.AppendV16(info, kemCT)
	return codec.AppendV16(info, kemPK)
}

// extract is HKDF-SHA-384 Extract: 48 bytes.
func extract(material, salt []byte) []byte {
	prk, err := hkdf.Extract(sha512.New384, material, salt)
	if err != nil {
		panic("pq3: HKDF refused SHA-384: " + err.Error())
	}
	return prk
}

// expand is HKDF-SHA-384 Expand to n bytes.
func expand(key []byte, info string, n int) []byte {
	out, err := hkdf.Expand(sha512.New384, key, info, n)
	if err != nil {
		panic("pq3: HKDF refused a length of its own caller: " + err.Error())
	}
	return out
}

func expandInto(dst, key []byte, label string) {
	out := expand(key, label, len(dst))
	copy(dst, out)
	clear(out)
}

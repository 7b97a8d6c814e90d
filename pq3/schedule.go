package pq3

import (
	"crypto/aes"
	"crypto/cipher"

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
var noKEM [hashSize]byte

// step derives the next root key and the chain key of a new epoch from a
// Diffie-Hellman secret and, when the epoch has one, a KEM secret. SPEC §6.1.
//
// formal: kdf-root
func (rk rootKey) step(ecdhSecret, kemSecret, info []byte) (rootKey, chainKey) {
	secret.Created("ECDH secret", ecdhSecret)
	if kemSecret == nil {
		kemSecret = noKEM[:]
	} else {
		secret.Created("KEM secret", kemSecret)
	}
	classical := extract(rk.Key[:], ecdhSecret)
	hybrid := extract(kemSecret, classical[:])
	var out [2 * len(rk.Key)]byte
	expandLong(out[:], hybrid[:], labelRoot, info)
	next := rootKey{secret.Key(out[:len(rk.Key)])}
	chain := chainKey{secret.Key(out[len(rk.Key):])}
	clear(classical[:])
	clear(hybrid[:])
	clear(out[:])
	secret.Created("root key", next.Key[:])
	secret.Created("chain key", chain.Key[:])
	return next, chain
}

// step derives the key of the next message and the chain key after it.
// SPEC §6.2.
//
// formal: kdf-message kdf-chain
func (ck chainKey) step() (message messageKey, next chainKey) {
	expandLabel(message.Key[:], ck.Key[:], labelMessage)
	expandLabel(next.Key[:], ck.Key[:], labelChain)
	secret.Created("message key", message.Key[:])
	secret.Created("chain key", next.Key[:])
	return message, next
}

// indicator commits to the message key without revealing it. Suite PQ3.
// SPEC §6.3.
//
// formal: kdf-indicator
func (mk messageKey) indicator() (ind [proofSize]byte) {
	expandLabel(ind[:], mk.Key[:], labelIndicator)
	return ind
}

// tag authenticates the covered bytes of a message under its key. Suite PQ3A.
// SPEC §6.3.
//
// formal: kdf-mac
func (mk messageKey) tag(covered []byte) [proofSize]byte {
	var key [hashSize]byte
	expandLabel(key[:], mk.Key[:], labelMAC)
	sum := macLong(key[:], covered)
	clear(key[:])
	return [proofSize]byte(sum[:proofSize])
}

// crypt encrypts or decrypts in place with AES-256-CTR. A message key is used
// for one message only, which is what makes the derived counter block safe.
// SPEC §6.3.
//
// formal: kdf-aes
func (mk messageKey) crypt(text []byte) {
	var material [aes.BlockSize + 32]byte
	expandLabel(material[:], mk.Key[:], labelCipher)
	block, err := aes.NewCipher(material[aes.BlockSize:])
	if err != nil {
		panic("pq3: AES refused a 32-byte key: " + err.Error())
	}
	cipher.NewCTR(block, material[:aes.BlockSize]).XORKeyStream(text, text)
	clear(material[:])
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

package level1

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"slices"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// The derivations of X3DH and the Double Ratchet as plain functions. They are
// public algorithms: anyone can compute them who has the inputs.

// The labels of the Double Ratchet are those of every generation.
const (
	labelRoot    = "posthorn/doubleratchet/root/v1"
	labelMessage = "posthorn/doubleratchet/message/v1"
	labelHybrid  = "posthorn/doubleratchet/hybrid/v1"
)

// StartSecret is SK: KDF of X3DH §2.2 over its agreements in order, and after
// them the secret of the start addition, if there is one. name is the design's.
func StartSecret(name string, agreements [][]byte, addition []byte) secret.Key {
	input := bytes.Repeat([]byte{0xff}, 32) // F for X25519
	input = slices.Concat(input, slices.Concat(agreements...), addition)
	return secret.Key(derive(input, make([]byte, sha256.Size), "posthorn/"+name+"/start/v1", 32))
}

// RootStep is KDF_RK: a new root key and the first key of a chain.
func RootStep(root secret.Key, agreement []byte) (nextRoot, chainKey secret.Key) {
	out := derive(agreement, root[:], labelRoot, 64)
	return secret.Key(out[:32]), secret.Key(out[32:])
}

// ChainStep is KDF_CK: the key of the next message and the chain key after it.
func ChainStep(chainKey secret.Key) (messageKey, nextChainKey secret.Key) {
	return mac(chainKey[:], []byte{1}), mac(chainKey[:], []byte{2})
}

// HybridKey joins the keys that two ratchets give for one message.
func HybridKey(messageKey secret.Key, second []byte) secret.Key {
	return secret.Key(derive(messageKey[:], second, labelHybrid, 32))
}

// Encrypt is ENCRYPT: AES-256-CBC with PKCS #7 padding, then HMAC-SHA-256 over
// the associated data and the ciphertext. A message key encrypts one message.
func Encrypt(messageKey secret.Key, plaintext, associated []byte) []byte {
	block, macKey, iv := cipherOf(messageKey)
	n := aes.BlockSize - len(plaintext)%aes.BlockSize
	text := slices.Concat(plaintext, bytes.Repeat([]byte{byte(n)}, n))
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	sum := mac(macKey, associated, text)
	return append(text, sum[:]...)
}

// Decrypt is DECRYPT. It refuses everything that Encrypt did not make with the
// same key and associated data.
func Decrypt(messageKey secret.Key, ciphertext, associated []byte) ([]byte, error) {
	refused := suite.Refuse("level1", suite.ErrUndecryptable, "sealed under another message key, or altered")
	if len(ciphertext) < aes.BlockSize+macSize || (len(ciphertext)-macSize)%aes.BlockSize != 0 {
		return nil, refused
	}
	block, macKey, iv := cipherOf(messageKey)
	text, tag := bytes.Clone(ciphertext[:len(ciphertext)-macSize]), ciphertext[len(ciphertext)-macSize:]
	if want := mac(macKey, associated, text); !hmac.Equal(want[:], tag) {
		return nil, refused
	}
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, text)
	n := int(text[len(text)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(text[len(text)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, refused
	}
	return text[:len(text)-n], nil
}

const macSize = sha256.Size

// cipherOf derives what encrypts one message.
func cipherOf(messageKey secret.Key) (block cipher.Block, macKey, iv []byte) {
	material := derive(messageKey[:], make([]byte, sha256.Size), labelMessage, 32+32+aes.BlockSize)
	return fixed(aes.NewCipher(material[:32])), material[32:64], material[64:]
}

// derive is HKDF-SHA-256 (RFC 5869).
func derive(input, salt []byte, info string, n int) []byte {
	return fixed(hkdf.Key(sha256.New, input, salt, info, n))
}

func mac(key []byte, parts ...[]byte) secret.Key {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		h.Write(part)
	}
	return secret.Key(h.Sum(nil))
}

package explorer

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/xonly"
)

// The derivations of SPEC §6 with plain calls of the standard library, for the
// recorder and for the attacker. Nothing here comes from package pq3.

func rootStep(root, dh, kem, info []byte) (next, chain []byte) {
	if kem == nil {
		kem = make([]byte, 48)
	}
	x1 := must(hkdf.Extract(sha512.New384, dh, root))
	x2 := must(hkdf.Extract(sha512.New384, x1, kem))
	out := must(hkdf.Expand(sha512.New384, x2, "rkDerivation-"+string(info), 64))
	return out[:32], out[32:]
}

func chainStep(chain []byte) (message, next []byte) {
	return must(hkdf.Expand(sha512.New384, chain, "msgKeyDerivation", 32)),
		must(hkdf.Expand(sha512.New384, chain, "chainKeyDerivation", 32))
}

// decrypt opens a ciphertext and reports whether a frame came out.
func decrypt(message, ciphertext []byte) (text string, ok bool) {
	material := must(hkdf.Expand(sha512.New384, message, "aes-ctr", 48))
	block := must(aes.NewCipher(material[16:]))
	frame := make([]byte, len(ciphertext))
	cipher.NewCTR(block, material[:16]).XORKeyStream(frame, ciphertext)
	n := uint64(binary.BigEndian.Uint32(frame))
	if n > uint64(len(frame)-4) {
		return "", false
	}
	for _, b := range frame[4+n:] {
		if b != 0 {
			return "", false
		}
	}
	return string(frame[4 : 4+n]), true
}

// publicX is the wire form of a private key's public half.
func publicX(scalar []byte) []byte {
	x := xonly.X(must(ecdh.P256().NewPrivateKey(scalar)).PublicKey())
	return x[:]
}

func agree(scalar, public []byte) []byte {
	return must(must(ecdh.P256().NewPrivateKey(scalar)).ECDH(must(xonly.Lift(public))))
}

func kemPublic768(seed []byte) []byte {
	return must(mlkem.NewDecapsulationKey768(seed)).EncapsulationKey().Bytes()
}

// decapsulate uses ML-KEM-1024 for the ciphertext of a session start and
// ML-KEM-768 for every other, which their lengths tell apart.
func decapsulate(seed, ciphertext []byte) (public, secret []byte) {
	if len(ciphertext) == mlkem.CiphertextSize1024 {
		key := must(mlkem.NewDecapsulationKey1024(seed))
		return key.EncapsulationKey().Bytes(), must(key.Decapsulate(ciphertext))
	}
	key := must(mlkem.NewDecapsulationKey768(seed))
	return key.EncapsulationKey().Bytes(), must(key.Decapsulate(ciphertext))
}

func v16(dst, x []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(x))), x...)
}

// must is for calls that fail only on lengths that this package fixes.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

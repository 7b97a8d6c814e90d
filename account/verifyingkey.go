package account

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"

	"filippo.io/mldsa"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// ECDSAKeySize is the length of a compressed P-256 public key.
	ECDSAKeySize = 33
	// MLDSAKeySize is the length of an ML-DSA-65 public key.
	MLDSAKeySize = 1952

	verifyingKeySize = ECDSAKeySize + MLDSAKeySize
	keyDigestLabel   = "posthorn/devkeys/v1"
)

// VerifyingKey is the public half of a hybrid key: ECDSA P-256 and ML-DSA-65.
// It is parsed once and keeps the parsed form. SPEC §3.6.
type VerifyingKey struct {
	ecdsaKey   *ecdsa.PublicKey
	mldsaKey   *mldsa.PublicKey
	ecdsaBytes [ECDSAKeySize]byte
	mldsaBytes [MLDSAKeySize]byte
	digest     [48]byte
}

// ParseVerifyingKey reads a compressed P-256 point of 33 bytes and an
// ML-DSA-65 key of 1,952 bytes.
func ParseVerifyingKey(ecdsa33, mldsa1952 []byte) (*VerifyingKey, error) {
	// UnmarshalCompressed refuses another length or prefix, x not below the
	// field prime, and x of no curve point.
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), ecdsa33)
	if x == nil {
		return nil, reject.New("V-03", ErrKey, "the ECDSA half is not a compressed P-256 point of 33 bytes")
	}
	classical, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(x, y))
	if err != nil {
		return nil, reject.New("V-03", ErrKey, "the ECDSA half is no point of P-256")
	}
	post, err := mldsa.NewPublicKey(mldsa.MLDSA65(), mldsa1952)
	if err != nil {
		return nil, reject.New("V-03", ErrKey, "the ML-DSA-65 half is not 1,952 bytes")
	}
	k := &VerifyingKey{
		ecdsaKey:   classical,
		mldsaKey:   post,
		ecdsaBytes: [ECDSAKeySize]byte(ecdsa33),
		mldsaBytes: [MLDSAKeySize]byte(mldsa1952),
	}
	k.digest = sha512.Sum384(k.digestInput())
	return k, nil
}

// uncompressed gives 04‖X‖Y.
func uncompressed(x, y *big.Int) []byte {
	point := make([]byte, 65)
	point[0] = 4
	x.FillBytes(point[1:33])
	y.FillBytes(point[33:])
	return point
}

func (k *VerifyingKey) digestInput() []byte {
	in := make([]byte, 0, len(keyDigestLabel)+4+verifyingKeySize)
	in = append(in, keyDigestLabel...)
	in = codec.AppendV16(in, k.ecdsaBytes[:])
	return codec.AppendV16(in, k.mldsaBytes[:])
}

// ECDSABytes returns the compressed point, 33 bytes.
func (k *VerifyingKey) ECDSABytes() []byte { return bytes.Clone(k.ecdsaBytes[:]) }

// MLDSABytes returns the ML-DSA-65 key, 1,952 bytes.
func (k *VerifyingKey) MLDSABytes() []byte { return bytes.Clone(k.mldsaBytes[:]) }

// Digest is SHA-384 over both halves. It stands for the whole key wherever 48
// bytes are enough. SPEC §3.6.
func (k *VerifyingKey) Digest() [48]byte { return k.digest }

// Equal reports whether both halves are the same.
func (k *VerifyingKey) Equal(other *VerifyingKey) bool { return k.digest == other.digest }

// sharesHalf reports whether either half of the keys is the same.
func (k *VerifyingKey) sharesHalf(other *VerifyingKey) bool {
	return k.ecdsaBytes == other.ecdsaBytes || k.mldsaBytes == other.mldsaBytes
}

func (k *VerifyingKey) append(dst []byte) []byte {
	dst = append(dst, k.ecdsaBytes[:]...)
	return append(dst, k.mldsaBytes[:]...)
}

// readVerifyingKey takes the two halves from r, without length prefixes.
func readVerifyingKey(r *codec.Reader) (*VerifyingKey, error) {
	classical, post := r.Bytes(ECDSAKeySize), r.Bytes(MLDSAKeySize)
	return ParseVerifyingKey(classical, post)
}

// VerifyECDSA checks a signature r‖s over the SHA-256 hash of msg. SPEC §3.6.
//
// formal: ecdsa
func (k *VerifyingKey) VerifyECDSA(msg, sig []byte) error {
	if len(sig) != ECDSASignatureSize {
		return reject.New("V-05", ErrSignature, "an ECDSA signature is 64 bytes")
	}
	// For every valid (r, s) the pair (r, N-s) verifies too. Only the lower s
	// counts, so that nobody can change a signature without the key.
	if bytes.Compare(sig[32:], halfOrder[:]) > 0 {
		return reject.New("V-07", ErrSignature, "the s of the ECDSA signature is above half the group order")
	}
	digest := sha256.Sum256(msg)
	var buf [maxDERSize]byte
	if !ecdsa.VerifyASN1(k.ecdsaKey, digest[:], appendDER(buf[:0], sig)) {
		return reject.New("V-05", ErrSignature, "the ECDSA signature is not by this key over these bytes")
	}
	return nil
}

// VerifyMLDSA checks an ML-DSA-65 signature made for one purpose, which
// context names (at most 255 bytes). SPEC §3.6.
//
// formal: mldsa
func (k *VerifyingKey) VerifyMLDSA(msg, sig []byte, context string) error {
	if err := mldsa.Verify(k.mldsaKey, msg, sig, &mldsa.Options{Context: context}); err != nil {
		return reject.New("V-06", ErrSignature, "the ML-DSA-65 signature is not by this key over these bytes")
	}
	return nil
}

// VerifyHybrid checks both signatures, the cheaper one first. SPEC §3.6.
//
// formal: hybrid
func (k *VerifyingKey) VerifyHybrid(msg []byte, sig *Signature, context string) error {
	if err := k.VerifyECDSA(msg, sig.ECDSA[:]); err != nil {
		return err
	}
	return k.VerifyMLDSA(msg, sig.MLDSA[:], context)
}

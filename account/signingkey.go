package account

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"filippo.io/mldsa"
)

// SigningKey is the private half of a hybrid key. It wraps two crypto.Signer
// values, so that either half may live in hardware. It is safe for concurrent
// use when both signers are. It never prints. SPEC §3.6.
type SigningKey struct {
	classical crypto.Signer
	post      crypto.Signer
	public    *VerifyingKey
}

// deterministicSigner is what an ML-DSA key offers beside crypto.Signer when
// it can sign without randomness.
type deterministicSigner interface {
	SignDeterministic(msg []byte, opts crypto.SignerOpts) ([]byte, error)
}

var (
	errNotP256  = errors.New("account: the first signer holds no ECDSA P-256 key")
	errNotMLDSA = errors.New("account: the second signer holds no ML-DSA-65 key")
)

// NewSigningKey pairs an ECDSA P-256 signer with an ML-DSA-65 signer. The
// second is called with the whole message and *mldsa.Options.
func NewSigningKey(classical, post crypto.Signer) (*SigningKey, error) {
	ec, ok := classical.Public().(*ecdsa.PublicKey)
	if !ok || ec.Curve != elliptic.P256() {
		return nil, errNotP256
	}
	point, err := ec.Bytes()
	if err != nil {
		return nil, errNotP256
	}
	pq, ok := post.Public().(interface{ Bytes() []byte })
	if !ok {
		return nil, errNotMLDSA
	}
	public, err := ParseVerifyingKey(compress(point), pq.Bytes())
	if err != nil {
		return nil, err
	}
	return &SigningKey{classical: classical, post: post, public: public}, nil
}

// compress shortens an uncompressed point 04‖X‖Y to its 33-byte form.
func compress(point []byte) []byte {
	sign := 2 + point[len(point)-1]&1
	return append([]byte{sign}, point[1:ECDSAKeySize]...)
}

// Public returns the verifying half.
func (k *SigningKey) Public() *VerifyingKey { return k.public }

// Format shows no key bytes under any verb. It is on the value because fmt
// follows pointers for verbs that it does not know.
func (k SigningKey) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "signingkey(redacted)") }

// SignECDSA signs the SHA-256 hash of msg and returns r‖s with the lower s.
// With rand nil the signature follows RFC 6979 and is the same at every call.
//
// formal: ecdsa
func (k *SigningKey) SignECDSA(rand io.Reader, msg []byte) ([ECDSASignatureSize]byte, error) {
	digest := sha256.Sum256(msg)
	der, err := k.classical.Sign(rand, digest[:], crypto.SHA256)
	if err != nil {
		return [ECDSASignatureSize]byte{}, fmt.Errorf("account: ECDSA signer failed, nothing was signed: %w", err)
	}
	return lowSFromDER(der)
}

// SignMLDSA signs msg for one purpose, which context names (at most 255
// bytes), and returns 3,309 bytes. With rand nil the signature is the
// deterministic one of FIPS 204, if the signer can make it.
//
// formal: mldsa
func (k *SigningKey) SignMLDSA(rand io.Reader, msg []byte, context string) ([]byte, error) {
	sig, err := k.signMLDSA(rand, msg, &mldsa.Options{Context: context})
	if err != nil {
		return nil, fmt.Errorf("account: ML-DSA signer failed, nothing was signed: %w", err)
	}
	if len(sig) != MLDSASignatureSize {
		return nil, errors.New("account: the ML-DSA signer returned no ML-DSA-65 signature; nothing was signed")
	}
	return sig, nil
}

func (k *SigningKey) signMLDSA(rand io.Reader, msg []byte, opts *mldsa.Options) ([]byte, error) {
	if d, ok := k.post.(deterministicSigner); ok && rand == nil {
		return d.SignDeterministic(msg, opts)
	}
	return k.post.Sign(rand, msg, opts)
}

// SignHybrid signs msg with both algorithms; context reaches ML-DSA only, so
// msg must name its purpose as well.
//
// formal: hybrid
func (k *SigningKey) SignHybrid(rand io.Reader, msg []byte, context string) (*Signature, error) {
	classical, err := k.SignECDSA(rand, msg)
	if err != nil {
		return nil, err
	}
	post, err := k.SignMLDSA(rand, msg, context)
	if err != nil {
		return nil, err
	}
	return &Signature{ECDSA: classical, MLDSA: [MLDSASignatureSize]byte(post)}, nil
}

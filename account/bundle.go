package account

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/xonly"
)

const (
	// BundleSize is the length of every bundle on the wire.
	BundleSize = 2 + xonly.Size + mlkem.EncapsulationKeySize1024 + 16 + SignatureSize
	// MaxBundleValidity bounds how long after a theft a stolen prekey is used.
	MaxBundleValidity = 30 * 24 * time.Hour
	// ClockSkew is how far two honest clocks may be apart.
	ClockSkew = 5 * time.Minute

	bundleVersion = 1
	bundleContext = "posthorn/bundle/v1"
)

// Bundle is a device's signed offer to start sessions: an ECDH and an ML-KEM
// prekey with a validity. Make one with SignBundle or ParseBundle. SPEC §5.1.
type Bundle struct {
	Suite     Suite
	ECDH      [xonly.Size]byte // x-coordinate
	KEM       [mlkem.EncapsulationKeySize1024]byte
	NotBefore uint64 // Unix milliseconds
	NotAfter  uint64 // Unix milliseconds
	Sig       Signature

	ecdhKey *ecdh.PublicKey
	kemKey  *mlkem.EncapsulationKey1024
}

// errOtherKey stops a caller from publishing what every peer would refuse.
var errOtherKey = fmt.Errorf("%w: the signing key is not the device's; nothing was signed", ErrKey)

// BundleHash names a bundle: a session start says by it which prekeys it used.
type BundleHash [48]byte

// SignBundle makes and signs a bundle for a device. The prekeys come as the
// x-coordinate of a P-256 key and an ML-KEM-1024 encapsulation key. The same
// checks apply as when a peer parses the result.
//
// formal: sig-bundle
func SignBundle(owner Party, key *SigningKey, s Suite, ecdhX [32]byte, kem []byte, notBefore, notAfter uint64, rand io.Reader) (*Bundle, error) {
	if !owner.Device.Lists(s) {
		return nil, errSuiteNotListed()
	}
	if !key.Public().Equal(owner.Device.Key) {
		return nil, errOtherKey
	}
	if len(kem) != mlkem.EncapsulationKeySize1024 {
		return nil, errKEMKey()
	}
	b := &Bundle{Suite: s, ECDH: ecdhX, KEM: [mlkem.EncapsulationKeySize1024]byte(kem), NotBefore: notBefore, NotAfter: notAfter}
	if err := b.parseKeys(); err != nil {
		return nil, err
	}
	sig, err := key.SignHybrid(rand, b.signedBytes(owner), bundleContext)
	if err != nil {
		return nil, err
	}
	b.Sig = *sig
	return b, nil
}

// ParseBundle reads a bundle strictly and validates both prekeys, so that
// nothing is ever computed with a malformed one. It does not know the owner:
// call Verify before use. SPEC §5.1.
func ParseBundle(raw []byte) (*Bundle, error) {
	r := codec.NewReader(raw)
	if r.U8() != bundleVersion {
		return nil, reject.New("V-11", ErrBundle, "unknown version")
	}
	b := &Bundle{Suite: Suite(r.U8())}
	r.Copy(b.ECDH[:])
	r.Copy(b.KEM[:])
	b.NotBefore, b.NotAfter = r.U64(), r.U64()
	b.Sig = readSignature(r)
	if !r.Done() {
		return nil, reject.New("V-11", ErrBundle, "a bundle is 4,991 bytes")
	}
	if err := b.parseKeys(); err != nil {
		return nil, err
	}
	return b, nil
}

// parseKeys checks every field that needs no owner.
func (b *Bundle) parseKeys() (err error) {
	if !b.Suite.Valid() {
		return reject.New("V-11", ErrBundle, "unknown suite")
	}
	if b.NotAfter <= b.NotBefore || b.NotAfter-b.NotBefore > uint64(MaxBundleValidity.Milliseconds()) {
		return reject.New("V-14", ErrBundle, "a bundle is valid for more than nothing and at most 30 days")
	}
	if b.ecdhKey, err = xonly.Lift(b.ECDH[:]); err != nil {
		return reject.New("V-12", ErrBundle, "the ECDH prekey is no x-coordinate of a P-256 point")
	}
	if b.kemKey, err = mlkem.NewEncapsulationKey1024(b.KEM[:]); err != nil {
		return errKEMKey()
	}
	return nil
}

func errKEMKey() error {
	return reject.New("V-13", ErrBundle, "the KEM prekey is not an ML-KEM-1024 key with reduced coefficients")
}

func errSuiteNotListed() error {
	return reject.New("V-16", ErrBundle, "its suite is not one that the device lists")
}

// Marshal gives the one encoding of the bundle.
func (b *Bundle) Marshal() []byte {
	out := make([]byte, 0, BundleSize)
	out = append(out, bundleVersion, byte(b.Suite))
	out = append(out, b.ECDH[:]...)
	out = append(out, b.KEM[:]...)
	out = binary.BigEndian.AppendUint64(out, b.NotBefore)
	out = binary.BigEndian.AppendUint64(out, b.NotAfter)
	return b.Sig.Append(out)
}

// signedBytes begin with the suite, so that a bundle made for one suite is
// none in the other. SPEC §5.1.
func (b *Bundle) signedBytes(owner Party) []byte {
	msg := codec.AppendV16(nil, []byte(b.Suite.Label()))
	msg = append(msg, "preKeySignaturev1"...)
	msg = append(msg, owner.Binding(b.Suite)...)
	msg = codec.AppendV16(msg, b.ECDH[:])
	msg = codec.AppendV16(msg, b.KEM[:])
	msg = binary.BigEndian.AppendUint64(msg, b.NotBefore)
	return binary.BigEndian.AppendUint64(msg, b.NotAfter)
}

// Verify checks that owner signed the bundle, that it is valid at now, give or
// take ClockSkew, and that owner's record lists its suite. SPEC §5.1.
//
// formal: sig-bundle
func (b *Bundle) Verify(owner Party, now time.Time) error {
	if err := owner.Device.Key.VerifyHybrid(b.signedBytes(owner), &b.Sig, bundleContext); err != nil {
		return reject.New("V-17", fmt.Errorf("%w: %w", ErrBundle, err), "this device did not sign it for this suite")
	}
	if tooEarly(b.NotBefore, now) || tooLate(b.NotAfter, now) {
		return reject.New("V-15", ErrBundle, "it is not valid now; compare the clock, or wait until its device comes online")
	}
	if !owner.Device.Lists(b.Suite) {
		return errSuiteNotListed()
	}
	return nil
}

// Hash names the bundle. It covers both signatures. SPEC §5.1.
//
// formal: bundle-hash
func (b *Bundle) Hash() BundleHash {
	in := make([]byte, 0, 8+BundleSize)
	in = codec.AppendV16(in, b.ECDH[:])
	in = codec.AppendV16(in, b.KEM[:])
	in = codec.AppendV16(in, b.Sig.ECDSA[:])
	in = codec.AppendV16(in, b.Sig.MLDSA[:])
	return sha512.Sum384(in)
}

// ECDHKey is the ECDH prekey, lifted to the point with even y.
func (b *Bundle) ECDHKey() *ecdh.PublicKey { return b.ecdhKey }

// KEMKey is the ML-KEM-1024 prekey.
func (b *Bundle) KEMKey() *mlkem.EncapsulationKey1024 { return b.kemKey }

// Package xonly carries P-256 Diffie-Hellman keys as their 32-byte
// x-coordinate (SPEC §3.3). ECDH yields only an x-coordinate, so the sign of y
// never matters and the receiver takes the even point. Signature keys must not
// use this form.
package xonly

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"errors"
)

// Size is the length of a key on the wire, in bytes.
const Size = 32

// ErrPoint says that no point of P-256 has this x-coordinate.
var ErrPoint = errors.New("xonly: not the x-coordinate of a P-256 point")

// Lift validates x and returns the public key with that x-coordinate and an
// even y. It refuses x not below the field prime and x of no curve point.
func Lift(x []byte) (*ecdh.PublicKey, error) {
	if len(x) != Size {
		return nil, ErrPoint
	}
	compressed := append([]byte{2}, x...)
	px, py := elliptic.UnmarshalCompressed(elliptic.P256(), compressed)
	if px == nil {
		return nil, ErrPoint
	}
	point := make([]byte, 1+2*Size)
	point[0] = 4
	px.FillBytes(point[1 : 1+Size])
	py.FillBytes(point[1+Size:])
	return ecdh.P256().NewPublicKey(point)
}

// X returns the x-coordinate of a P-256 public key.
func X(pub *ecdh.PublicKey) (x [Size]byte) {
	copy(x[:], pub.Bytes()[1:1+Size])
	return x
}

// NewKey makes a private key from random bytes that read supplies, 32 at a
// time. A draw outside the group order (odds 2^-32) is thrown away and drawn
// again, so that the caller's randomness alone decides the key.
func NewKey(read func([]byte)) *ecdh.PrivateKey {
	var seed [Size]byte
	defer clear(seed[:])
	for {
		read(seed[:])
		if key, err := ecdh.P256().NewPrivateKey(seed[:]); err == nil {
			return key
		}
	}
}

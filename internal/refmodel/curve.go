package refmodel

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
)

// Read fills p with random bytes. All that the model draws comes through one,
// in the order that SPEC gives. SPEC §3.4.
type Read func(p []byte)

func draw(read Read, n int) []byte {
	p := make([]byte, n)
	read(p)
	return p
}

func hexNumber(digits string) *big.Int {
	n, ok := new(big.Int).SetString(digits, 16)
	if !ok {
		panic("refmodel: not a number")
	}
	return n
}

// The curve of FIPS 186: y² = x³ − 3x + b over the field of p, order n.
func fieldPrime() *big.Int {
	return hexNumber("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff")
}
func curveB() *big.Int {
	return hexNumber("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b")
}
func groupOrder() *big.Int {
	return hexNumber("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551")
}

// lift finds the point with this x-coordinate and an even y, as 4 ‖ x ‖ y. There
// is none when x is not below the field prime, or x³ − 3x + b no square. The
// prime is 3 modulo 4, so a root is a power. SPEC §3.3.
func lift(x32 []byte) (point []byte, exists bool) {
	p, x := fieldPrime(), new(big.Int).SetBytes(x32)
	if len(x32) != 32 || x.Cmp(p) >= 0 {
		return nil, false
	}
	square := new(big.Int).Exp(x, big.NewInt(3), p)
	square.Sub(square, new(big.Int).Mul(big.NewInt(3), x))
	square.Add(square, curveB())
	square.Mod(square, p)
	exponent := new(big.Int).Rsh(new(big.Int).Add(p, big.NewInt(1)), 2)
	y := new(big.Int).Exp(square, exponent, p)
	if new(big.Int).Exp(y, big.NewInt(2), p).Cmp(square) != 0 {
		return nil, false
	}
	if y.Bit(0) == 1 {
		y.Sub(p, y)
	}
	return cat([]byte{4}, x32, y.FillBytes(make([]byte, 32))), true
}

// newScalar draws a private key: 32 bytes, again when zero or not below the
// group order. SPEC §3.4.
func newScalar(read Read) []byte {
	for {
		scalar := draw(read, 32)
		if !allZero(scalar) && new(big.Int).SetBytes(scalar).Cmp(groupOrder()) < 0 {
			return scalar
		}
	}
}

// publicX is the x-coordinate of a private key's point. SPEC §3.3.
func publicX(scalar []byte) []byte { return privateKey(scalar).PublicKey().Bytes()[1:33] }

func privateKey(scalar []byte) *ecdh.PrivateKey {
	key, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		panic(err) // scalars are made by newScalar
	}
	return key
}

// agree is ECDH of a private key and a peer's x-coordinate, which is refused
// under id when it is no point's. SPEC §3.1, §3.3.
func agree(scalar, x32 []byte, id Refusal) []byte {
	point, exists := lift(x32)
	require(exists, id)
	public, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		panic(err) // lift made a point of the curve
	}
	secret, err := privateKey(scalar).ECDH(public)
	if err != nil {
		panic(err) // the order is prime, so no product is the point at infinity
	}
	return secret
}

// signECDSA signs as RFC 6979 says and returns r ‖ s with the lower s. SPEC §3.6.
func signECDSA(scalar, message []byte) []byte {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		panic(err) // scalars are made by newScalar
	}
	digest := sha256.Sum256(message)
	der, err := key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		panic(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		panic(err)
	}
	if isHigh(rs.S) {
		rs.S.Sub(groupOrder(), rs.S)
	}
	return cat(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32)))
}

func isHigh(s *big.Int) bool { return new(big.Int).Lsh(s, 1).Cmp(groupOrder()) > 0 }

// verifiesECDSA is SPEC §3.6: 64 bytes, the lower s, and valid.
func verifiesECDSA(key33, message, signature []byte, acceptHigh bool) bool {
	if len(signature) != 64 {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if isHigh(s) && !acceptHigh {
		return false
	}
	point, exists := lift(key33[1:])
	if !exists {
		return false
	}
	if key33[0] == 3 { // signature keys say which y it is: here the odd one
		y := new(big.Int).SetBytes(point[33:])
		y.Sub(fieldPrime(), y).FillBytes(point[33:])
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return false
	}
	digest := sha256.Sum256(message)
	return ecdsa.Verify(key, digest[:], r, s)
}

package account

import (
	"bytes"
	"errors"

	"github.com/posthorn/posthorn/internal/codec"
)

const (
	// ECDSASignatureSize is the length of r‖s.
	ECDSASignatureSize = 64
	// MLDSASignatureSize is the length of an ML-DSA-65 signature.
	MLDSASignatureSize = 3309
	// SignatureSize is the length of a hybrid signature on the wire.
	SignatureSize = ECDSASignatureSize + MLDSASignatureSize

	// A sequence of two integers of at most 33 bytes each.
	maxDERSize = 2 + 2*(2+33)
)

// order is the order N of the P-256 group; halfOrder is (N-1)/2.
var (
	order = [32]byte{
		0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
	}
	halfOrder = [32]byte{
		0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
	}
)

// Signature is a hybrid signature: both algorithms over the same bytes. Its
// wire form is the two fields one after the other. SPEC §3.6.
type Signature struct {
	ECDSA [ECDSASignatureSize]byte // r‖s, s in the lower half of the order
	MLDSA [MLDSASignatureSize]byte
}

// Append appends the wire form, 3,373 bytes.
func (s *Signature) Append(dst []byte) []byte {
	dst = append(dst, s.ECDSA[:]...)
	return append(dst, s.MLDSA[:]...)
}

func readSignature(r *codec.Reader) (s Signature) {
	r.Copy(s.ECDSA[:])
	r.Copy(s.MLDSA[:])
	return s
}

// appendDER turns r‖s into the form that Go's ECDSA verifies.
func appendDER(dst, sig []byte) []byte {
	dst = append(dst, 0x30, 0)
	start := len(dst)
	dst = appendDERInteger(dst, sig[:32])
	dst = appendDERInteger(dst, sig[32:])
	dst[start-1] = byte(len(dst) - start)
	return dst
}

func appendDERInteger(dst, x []byte) []byte {
	x = bytes.TrimLeft(x, "\x00")
	if len(x) == 0 || x[0] >= 0x80 {
		// An integer has at least one byte, and a set top bit would be a sign.
		dst = append(dst, 2, byte(len(x)+1), 0)
		return append(dst, x...)
	}
	dst = append(dst, 2, byte(len(x)))
	return append(dst, x...)
}

var errSignerOutput = errors.New("account: the ECDSA signer returned no DER signature of P-256; nothing was signed")

// lowSFromDER turns a signer's output into r‖s with the lower of s and N-s.
func lowSFromDER(der []byte) (sig [ECDSASignatureSize]byte, err error) {
	r := codec.NewReader(der)
	tag, length := r.U8(), int(r.U8())
	readDERInteger(r, sig[:32])
	readDERInteger(r, sig[32:])
	if !r.Done() || tag != 0x30 || length != len(der)-2 || !inGroup(sig[:32]) || !inGroup(sig[32:]) {
		return [ECDSASignatureSize]byte{}, errSignerOutput
	}
	if bytes.Compare(sig[32:], halfOrder[:]) > 0 {
		subtractFromOrder(sig[32:])
	}
	return sig, nil
}

// readDERInteger takes one integer and writes it to dst, right-aligned. What
// is negative, too long or no integer leaves zeros there, which inGroup
// refuses.
func readDERInteger(r *codec.Reader, dst []byte) {
	tag, digits := r.U8(), r.Bytes(int(r.U8()))
	negative := len(digits) > 0 && digits[0] >= 0x80
	digits = bytes.TrimLeft(digits, "\x00")
	if tag == 2 && !negative && len(digits) <= len(dst) {
		copy(dst[len(dst)-len(digits):], digits)
	}
}

func inGroup(x []byte) bool {
	return !bytes.Equal(x, make([]byte, len(order))) && bytes.Compare(x, order[:]) < 0
}

// subtractFromOrder replaces s by N-s. Signatures are public, so the time may
// depend on them.
func subtractFromOrder(s []byte) {
	borrow := 0
	for i := len(s) - 1; i >= 0; i-- {
		difference := int(order[i]) - int(s[i]) - borrow
		s[i] = byte(difference)
		borrow = int(uint64(difference) >> 63)
	}
}

package verification

import (
	"crypto/sha512"
	"fmt"
	"math/big"
	"strings"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// PairDigits is the length of a pair code, without spaces.
	PairDigits = 60

	pairContext = "posthorn/verification/pair/v1"
	groupSize   = 5
	scanPrefix  = "POSTHORN:"
)

// PairCode is the code that two people compare when they are not online
// together: 60 decimal digits over both names and account ids, the same for
// whoever computes it. SPEC §13.4.
func PairCode(a, b Person) string {
	first, second := ordered(a, b)
	in := codec.AppendV16([]byte(pairContext), first)
	sum := sha512.Sum384(codec.AppendV16(in, second))
	n := new(big.Int).SetBytes(sum[:])
	all := new(big.Int).Exp(big.NewInt(10), big.NewInt(PairDigits), nil)
	return fmt.Sprintf("%060s", n.Mod(n, all).Text(10))
}

// Grouped is a code of digits as people read it: groups of five, the last one
// perhaps shorter, with single spaces.
func Grouped(digits string) string {
	var groups []string
	for len(digits) > groupSize {
		groups, digits = append(groups, digits[:groupSize]), digits[groupSize:]
	}
	return strings.Join(append(groups, digits), " ")
}

// Scannable is a pair code as a QR code holds it: in the alphabet that QR codes
// pack best.
func Scannable(pair string) string { return scanPrefix + pair }

// ParsePairCode reads 60 digits as they are printed, scanned or typed: spaces,
// hyphens and the prefix of a scanned code are left out. Error: ErrCode.
func ParsePairCode(s string) (string, error) {
	digits := onlyDigits(strings.TrimPrefix(strings.TrimSpace(s), scanPrefix))
	if len(digits) != PairDigits {
		return "", reject.New("V-245", ErrCode, "a pair code has 60 digits, in groups or not")
	}
	return digits, nil
}

// onlyDigits drops spaces and hyphens; empty if anything but digits is left.
func onlyDigits(s string) string {
	s = strings.NewReplacer(" ", "", "-", "", "\u00a0", "", "\t", "", "\n", "").Replace(s)
	if strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}

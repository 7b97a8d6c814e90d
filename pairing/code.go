package pairing

import (
	"crypto/hkdf"
	"crypto/sha512"
	"fmt"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

const (
	// secretSize is how much of a code is secret, in bytes: 136 bits.
	secretSize = 17
	// checkBits is how much of it tells a slip from another code.
	checkBits = 14
	// CodeLength is how many characters a code has without its dashes.
	CodeLength = (secretSize*8 + checkBits) / 5
	// groupLength is how many stand between two dashes.
	groupLength = 5
	// SlotSize is the length of the name of a meeting place, in bytes.
	SlotSize = 16
)

// alphabet is Crockford's: no I, L, O and U, so that nothing looks like
// something else.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// Code is what is carried from the new device to the old one, by eye or by
// camera. It is good for one pairing. It prints as redacted; Text shows it.
type Code struct{ secret [secretSize]byte }

// Slot names the place on the server where two devices with one code meet. It
// tells nothing about the code.
type Slot [SlotSize]byte

// NewCode draws a code from the random bytes that read supplies.
func NewCode(read func([]byte)) (c Code) {
	read(c.secret[:])
	secret.Created("pairing code", c.secret[:])
	return c
}

// Format shows nothing of the code.
func (c Code) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Text is the code for people: six groups of five characters.
func (c Code) Text() string {
	check := c.check()
	raw := append(append([]byte(nil), c.secret[:]...), check[:]...)
	var out strings.Builder
	for i := range CodeLength {
		if i > 0 && i%groupLength == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(alphabet[fiveBits(raw, i)])
	}
	return out.String()
}

// fiveBits is the i-th group of five bits.
func fiveBits(raw []byte, i int) byte {
	at := i * 5
	both := uint16(raw[at/8]) << 8
	if at/8+1 < len(raw) {
		both |= uint16(raw[at/8+1])
	}
	return byte(both>>(11-at%8)) & 31
}

// check is 14 bits that follow from the secret, in front of two zero bits.
func (c Code) check() (check [2]byte) {
	sum := sha512.Sum384(append([]byte("posthorn/pairing/check/v1"), c.secret[:]...))
	copy(check[:], sum[:])
	check[1] &^= 3
	return check
}

// ParseCode reads a code as people type it: in any case, with or without
// dashes and spaces, and with the letters that look like digits. Error: ErrCode.
func ParseCode(text string) (Code, error) {
	var raw [secretSize + 2]byte
	n := 0
	for _, r := range text {
		if r == '-' || r == ' ' {
			continue
		}
		v := strings.IndexByte(alphabet, plain(r))
		if v < 0 || n == CodeLength {
			return Code{}, reject.New("V-230", ErrCode, "a character that no code has, or too many")
		}
		for bit := range 5 {
			at := n*5 + bit
			raw[at/8] |= byte(v>>(4-bit)&1) << (7 - at%8)
		}
		n++
	}
	var c Code
	copy(c.secret[:], raw[:])
	if n != CodeLength || c.check() != [2]byte(raw[secretSize:]) {
		return Code{}, reject.New("V-230", ErrCode, "a character is missing or wrong")
	}
	return c, nil
}

// plain is the character of the alphabet that somebody meant, or 0.
func plain(r rune) byte {
	switch {
	case r == 'o' || r == 'O':
		return '0'
	case r == 'i' || r == 'I' || r == 'l' || r == 'L':
		return '1'
	case r >= 'a' && r <= 'z':
		return byte(r - 'a' + 'A')
	case r > 0 && r < 128:
		return byte(r)
	}
	return 0
}

// Slot is where two devices with this code meet.
func (c Code) Slot() Slot { return Slot(c.derive("slot", SlotSize)) }

// derive makes one of the values that follow from the code.
func (c Code) derive(use string, n int) (out []byte) {
	secret.Do(func() {
		var err error
		if out, err = hkdf.Key(sha512.New384, c.secret[:], []byte("posthorn/pairing/code/v1"), use, n); err != nil {
			panic("pairing: " + err.Error()) // the length is a constant of ours
		}
	})
	return out
}

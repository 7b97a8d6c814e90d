package recovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

const (
	// Size is how many random bytes a phrase stands for.
	Size = 32
	// WordCount is how many words a phrase has: one for each byte and the check
	// word.
	WordCount = Size + 1
	// MaxText bounds what Parse reads, in bytes.
	MaxText = 4096
)

// ErrPhrase: what was typed is no recovery phrase.
var ErrPhrase = errors.New("this is no recovery phrase, nothing was done")

// UnlistedError is a word that is not on the list. Its text leaves the word out,
// so that it may be logged; whoever typed it may be shown it.
type UnlistedError struct {
	Place int // from 1
	Word  string
}

// Error says where the word stands.
func (e *UnlistedError) Error() string {
	return fmt.Sprintf("%v: word %d is not on the list", ErrPhrase, e.Place)
}

// Unwrap returns ErrPhrase.
func (e *UnlistedError) Unwrap() error { return ErrPhrase }

// Draw makes the secret of a new phrase from the random bytes that read
// supplies. Wipe it after use.
func Draw(read func([]byte)) (s secret.Key) {
	read(s[:])
	secret.Created("recovery phrase", s[:])
	return s
}

// Words is the phrase of a secret, one word after the other with single spaces.
func Words(s *secret.Key) string {
	list, said := words(), make([]string, 0, WordCount)
	for _, b := range append(s[:len(s):len(s)], check(s)) {
		said = append(said, list[b])
	}
	return strings.Join(said, " ")
}

// Parse reads a phrase as somebody typed it, whatever the case and the space
// between words, with numbers before them or not. Errors: ErrPhrase, and
// *UnlistedError for a word that is not on the list.
func Parse(text string) (s secret.Key, err error) {
	if len(text) > MaxText {
		return s, reject.New("V-265", ErrPhrase, "much too long")
	}
	list, said := words(), strings.FieldsFunc(strings.ToLower(text), between)
	if len(said) != WordCount {
		return s, reject.New("V-265", ErrPhrase, fmt.Sprintf("it has %d words, a phrase has %d", len(said), WordCount))
	}
	var last byte
	for i, word := range said {
		at, listed := slices.BinarySearch(list, word)
		if !listed {
			s.Wipe()
			return s, reject.New("V-266", &UnlistedError{i + 1, word}, "")
		}
		if i < Size {
			s[i] = byte(at)
		}
		last = byte(at)
	}
	if check(&s) != last {
		s.Wipe()
		return s, reject.New("V-267", ErrPhrase, "the last word does not fit the others: one of them is wrong, or two have changed places")
	}
	return s, nil
}

// between reports whether a character only separates words: space, and what
// numbers a list.
func between(r rune) bool {
	return r <= ' ' || r == 0xa0 || r >= '0' && r <= '9' || strings.ContainsRune(".,:;)-", r)
}

// check is the sum of α^i·b(i) for i from 1 on, in the field of 256 elements
// with the polynomial x^8+x^4+x^3+x^2+1, where α is x. A wrong word always
// changes it, and so do two different words in each other's place.
func check(s *secret.Key) (sum byte) {
	for _, b := range slices.Backward(s[:]) {
		sum = double(sum ^ b)
	}
	return sum
}

// double multiplies by x.
func double(b byte) byte {
	if b&0x80 != 0 {
		return b<<1 ^ 0x1d
	}
	return b << 1
}

package verification

import (
	"fmt"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
)

// Words is a code of an even number of digits in words, which are easier to say
// over a bad line: one word for two digits.
func Words(digits string) string {
	var said []string
	for ; len(digits) > 1; digits = digits[2:] {
		said = append(said, wordFor(int(digits[0]-'0')*10+int(digits[1]-'0')))
	}
	return strings.Join(said, " ")
}

// ParseShortCode reads eight digits or four words, as somebody heard them.
// Error: ErrCode.
func ParseShortCode(s string) (string, error) {
	if digits := onlyDigits(s); len(digits) == ShortDigits {
		return digits, nil
	}
	said := strings.Fields(strings.ToLower(s))
	digits := ""
	for _, word := range said {
		digits += digitsFor(word)
	}
	if len(said) != ShortDigits/2 || len(digits) != ShortDigits {
		return "", reject.New("V-248", ErrCode, "a short code has 8 digits, or 4 words")
	}
	return digits, nil
}

// wordList is a hundred words that sound unlike each other, one for each pair of
// digits.
const wordList = `
	acorn amber anchor apple arrow autumn badger bamboo basket beacon
	birch bottle bridge bucket butter cactus camel candle canyon carpet
	castle cherry clover coffee comet copper cotton cradle crystal dagger
	daisy desert dolphin dragon drum eagle ember engine falcon feather
	fiddle forest fossil fountain garden ginger glacier granite hammer harbor
	hazel helmet honey hunter iceberg island ivory jacket jasmine jungle
	kettle kitten ladder lantern lemon lizard lobster magnet maple marble
	meadow mirror mountain needle nutmeg ocean olive orchid oyster paddle
	parrot pebble pepper pigeon planet pumpkin quartz rabbit raven ribbon
	saddle salmon shadow silver spider sunset thunder tiger violin walnut`

// wordFor says the pair of digits n, from 0 to 99.
func wordFor(n int) string { return strings.Fields(wordList)[n] }

// digitsFor is the reverse of wordFor; empty for a word that is not on the list.
func digitsFor(word string) string {
	for n, listed := range strings.Fields(wordList) {
		if listed == word {
			return fmt.Sprintf("%02d", n)
		}
	}
	return ""
}

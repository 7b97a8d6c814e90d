package account

import "github.com/posthorn/posthorn/internal/reject"

const (
	// MinNameLen is the length of the shortest name, in bytes.
	MinNameLen = 3
	// MaxNameLen is the length of the longest name, in bytes.
	MaxNameLen = 32
)

// Name is the handle of an account on its server. SPEC §4.1.
type Name string

// ParseName checks s against the rule for names. The rule has no upper case
// and nothing outside ASCII, so two different names never look the same to a
// file system, a DNS resolver or, mostly, a reader.
func ParseName(s string) (Name, error) {
	if len(s) < MinNameLen || len(s) > MaxNameLen || !allNameBytes(s) {
		return "", reject.New("V-01", ErrName, "a name has 3 to 32 characters of a-z, 0-9, '.', '_' and '-'")
	}
	return Name(s), nil
}

func allNameBytes(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter, digit := 'a' <= c && c <= 'z', '0' <= c && c <= '9'
		if !letter && !digit && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

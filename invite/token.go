package invite

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// TokenSize is the length of a token in bytes, so that its text has no bits to
// spare: 24 characters of base64url.
const TokenSize = 18

// Token is what the server takes once. Whoever holds it can make an account.
type Token [TokenSize]byte

// Format shows nothing of a token under any verb.
func (t Token) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Text is the token as it stands in a link.
func (t Token) Text() string { return base64.RawURLEncoding.EncodeToString(t[:]) }

// Hash is all that a server keeps of a token.
func (t Token) Hash() [32]byte {
	return sha256.Sum256(append([]byte("posthorn/invite/v1"), t[:]...))
}

// ParseToken reads the text of a token. V-151.
func ParseToken(text string) (t Token, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != TokenSize || base64.RawURLEncoding.EncodeToString(b) != text {
		return Token{}, reject.New("V-151", ErrInvite, "the token in the link is not whole")
	}
	return Token(b), nil
}

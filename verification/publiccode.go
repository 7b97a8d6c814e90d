package verification

import (
	"crypto/sha512"
	"encoding/base64"
	"strings"

	"github.com/posthorn/posthorn/internal/reject"
)

const (
	publicPrefix  = "PHID1"
	publicContext = "posthorn/verification/public/v1"
	checkContext  = "posthorn/verification/check/v1"
	publicHash    = 32 // bytes of the hash that a code carries
	publicCheck   = 2  // bytes that tell a slip of the pen from another account
)

// PublicCode is what somebody puts on a web page or a visiting card, so that
// others can verify the account behind their name: "PHID1" and 46 characters of
// URL-safe base64, which are 256 bits of a hash over name and account id, and
// two check bytes. SPEC §13.4.
func PublicCode(p Person) string {
	sum := sha512.Sum384(append([]byte(publicContext), p.marshal()...))
	return publicPrefix + base64.RawURLEncoding.EncodeToString(withCheck(sum[:publicHash]))
}

// ParsePublicCode reads a public code and checks it for slips. It returns the
// one spelling of it. Error: ErrCode.
func ParsePublicCode(s string) (string, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(s), publicPrefix)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(raw) != publicHash+publicCheck || strings.ContainsAny(text, "\r\n") {
		return "", reject.New("V-246", ErrCode, "a public code is PHID1 and 46 characters")
	}
	if string(withCheck(raw[:publicHash])) != string(raw) {
		return "", reject.New("V-246", ErrCode, "a character of the public code is wrong or missing")
	}
	return publicPrefix + text, nil
}

// withCheck appends the check bytes.
func withCheck(hash []byte) []byte {
	sum := sha512.Sum384(append([]byte(checkContext), hash...))
	return append(append([]byte(nil), hash...), sum[:publicCheck]...)
}

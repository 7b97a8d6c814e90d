package api

import (
	"crypto/sha256"

	"github.com/posthorn/posthorn/account"
)

// UploadID is the id of an attachment. It follows from the account and what it
// drew, so that a repeated call finds the same upload, no account can take the
// id of another's, and a device of the account knows where to look. SPEC §14.6.
func UploadID(id account.ID, nonce [16]byte) (out [16]byte) {
	h := sha256.New()
	h.Write([]byte("posthorn/upload/v1"))
	h.Write(id[:])
	h.Write(nonce[:])
	copy(out[:], h.Sum(nil))
	return out
}

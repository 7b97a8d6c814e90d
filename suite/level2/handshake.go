package level2

import (
	"crypto/mlkem"

	"github.com/posthorn/posthorn/suite"
)

// Encapsulate is the initiator's side: a secret for the peer's KEM prekey, and
// the ciphertext of 1,568 bytes that the start carries.
func (Encapsulated) Encapsulate(ent suite.Entropy, public []byte) (kemSecret, ciphertext []byte, err error) {
	key, err := mlkem.NewEncapsulationKey1024(public)
	if err != nil {
		return nil, nil, &suite.Error{Level: level, Err: suite.ErrPrekey, Detail: "the record holds no ML-KEM-1024 key", Cause: err}
	}
	kemSecret, ciphertext = ent.Encapsulate(key)
	return kemSecret, ciphertext, nil
}

// Decapsulate is the responder's side, and that of a thief of the prekey.
func (Encapsulated) Decapsulate(private, ciphertext []byte) ([]byte, error) {
	return Decapsulate(private, ciphertext)
}

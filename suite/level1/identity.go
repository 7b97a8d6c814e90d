package level1

import (
	"crypto/ecdh"
	"crypto/ed25519"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
)

// Identity are the long-term keys of a device: IK of X3DH, and an Ed25519 key
// beside it that signs.
type Identity struct {
	Signing   secret.Key // Ed25519 seed
	Agreement secret.Key // X25519
}

// PublicIdentity is the public half, 64 bytes on the wire.
type PublicIdentity struct{ Signing, Agreement [32]byte }

// Public is the public half.
func (id *Identity) Public() (p PublicIdentity) {
	copy(p.Signing[:], id.signer().Public().(ed25519.PublicKey))
	p.Agreement = PublicKey(id.Agreement)
	return p
}

func (id *Identity) signer() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(id.Signing[:]) }

func (p *PublicIdentity) append(b []byte) []byte {
	return append(append(b, p.Signing[:]...), p.Agreement[:]...)
}

func (p *PublicIdentity) read(r *codec.Reader) {
	r.Copy(p.Signing[:])
	r.Copy(p.Agreement[:])
}

// Associated is AD of X3DH: both identities, the initiator's first. Every
// message of a session is bound to it.
func Associated(initiator, responder PublicIdentity) []byte {
	return responder.append(initiator.append(nil))
}

// PublicKey is the public half of an X25519 key.
func PublicKey(private secret.Key) [32]byte {
	return [32]byte(fixed(ecdh.X25519().NewPrivateKey(private[:])).PublicKey().Bytes())
}

// Agree is X25519 (RFC 7748 §5). It refuses a peer key of low order, for which
// every secret would be zero.
func Agree(private secret.Key, public [32]byte) ([]byte, error) {
	mine := fixed(ecdh.X25519().NewPrivateKey(private[:]))
	return mine.ECDH(fixed(ecdh.X25519().NewPublicKey(public[:])))
}

// fixed is for calls that fail only on lengths which are fixed here.
func fixed[T any](v T, err error) T {
	if err != nil {
		panic("level1: " + err.Error())
	}
	return v
}

package kt

import (
	"crypto/sha256"
	"fmt"

	vrf "filippo.io/mostly-harmless/vrf-r255"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// VRFProofSize is the length of a proof that an index is a name's, in bytes.
const VRFProofSize = 80

// Index is the place of a name in the map. Only who has the VRF key can compute
// it; the others get it with a proof.
type Index [32]byte

// Place is a name's index with the proof of it, as it was checked. Under one VRF
// key a name has one index for ever, so it may be kept for as long as the key.
type Place struct {
	Name  account.Name
	VRF   [32]byte // the public key
	Proof [VRFProofSize]byte
	Index Index
}

// VRFKey hides names. Whoever has it can find names by guessing, and nothing
// else: it signs nothing.
type VRFKey struct{ key *vrf.PrivateKey }

// Format shows nothing of the key.
func (k *VRFKey) Format(f fmt.State, _ rune) { secret.Redact(f) }

// NewVRFKey makes the key from 32 random bytes that are kept secret. The same
// bytes give the same key.
func NewVRFKey(random [32]byte) (*VRFKey, error) {
	// Below 2^252 every number is a scalar in its one form, and so few are left
	// out that nobody can tell.
	random[31] &= 0x0f
	key, err := vrf.NewPrivateKey(random[:])
	if err != nil || random == [32]byte{} {
		return nil, reject.New("V-181", ErrPolicy, "not a VRF key")
	}
	return &VRFKey{key}, nil
}

// Public is the key that checks proofs.
func (k *VRFKey) Public() [32]byte { return [32]byte(k.key.PublicKey().Bytes()) }

// Prove gives the index of a name and the proof of it. It takes a third of a
// millisecond, and always gives the same, so servers keep the answers.
func (k *VRFKey) Prove(name account.Name) (Index, [VRFProofSize]byte) {
	proof := k.key.Prove(vrfInput(name))
	return sha256.Sum256(proof.Hash()), [VRFProofSize]byte(proof.Bytes())
}

// vrfInput is the name with room for a version, which is not used: one name has
// one index.
func vrfInput(name account.Name) []byte {
	return append(codec.AppendV16(nil, []byte(name)), 0xff, 0xff, 0xff, 0xff)
}

// IndexOf checks the proof for a name under a public VRF key.
func IndexOf(public [32]byte, name account.Name, proof [VRFProofSize]byte) (Index, error) {
	key, err := vrf.NewPublicKey(public[:])
	if err != nil {
		return Index{}, reject.New("V-181", ErrPolicy, "not a VRF key")
	}
	p, err := vrf.NewProof(proof[:])
	if err != nil {
		return Index{}, reject.New("V-188", ErrIndex, "not a proof of the function that hides names")
	}
	output, err := key.Verify(p, vrfInput(name))
	if err != nil {
		return Index{}, reject.New("V-188", ErrIndex, "the function that hides names gives another place")
	}
	return sha256.Sum256(output), nil
}

package kt

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const pinsVersion = 1

// Pins is what one device of an account tells the next of the log, so that the
// next need not take the server's word for which log there is. The policy itself
// may be too long to be told; its hash binds it. SPEC §13.5.
type Pins struct {
	Policy [32]byte // Policy.Hash
	Head   Head     // the newest that was verified
	Names  []PinnedName
}

// PinnedName is how far the history of one name is verified.
type PinnedName struct {
	Name  account.Name
	Label Label
}

// Hash names the policy and the log that began with it.
func (p *Policy) Hash() [32]byte { return sha256.Sum256(p.Marshal()) }

// Marshal gives the one encoding of pins whose names ascend and are different.
func (p *Pins) Marshal() []byte {
	b := append([]byte{pinsVersion}, p.Policy[:]...)
	b = append(b, p.Head.Marshal()...)
	for _, n := range p.Names {
		b = codec.AppendV16(b, []byte(n.Name))
		b = binary.BigEndian.AppendUint32(b, n.Label.Version)
		b = append(b, n.Label.Value[:]...)
	}
	return b
}

// Size is how many bytes the name takes in the encoding.
func (n PinnedName) Size() int { return 2 + len(n.Name) + 4 + len(n.Label.Value) }

// ParsePins reads pins strictly. Whether the head is the log's shows with the
// policy: Policy.CheckHead. Error: ErrEncoding.
func ParsePins(raw []byte) (*Pins, error) {
	r := codec.NewReader(raw)
	version := r.U8()
	p := &Pins{}
	r.Copy(p.Policy[:])
	head, err := ParseHead(r.Bytes(HeadSize))
	p.Head = head
	for last := account.Name(""); err == nil && r.Len() > 0 && !r.Failed(); last = p.Names[len(p.Names)-1].Name {
		n := PinnedName{}
		n.Name, err = account.ParseName(string(r.V16(account.MaxNameLen)))
		n.Label.Version = r.U32()
		r.Copy(n.Label.Value[:])
		p.Names = append(p.Names, n)
		if n.Name <= last {
			return nil, reject.New("V-280", ErrEncoding, "the names of handed-over pins are not in order")
		}
	}
	if version != pinsVersion || err != nil || p.Head.Size == 0 || !r.Done() {
		return nil, reject.New("V-280", ErrEncoding, "pins of another version or length")
	}
	return p, nil
}

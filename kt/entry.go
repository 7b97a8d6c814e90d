package kt

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// The first byte of an entry says what it is.
const (
	entryConfig = iota
	entryUpdate
	entryRoot
	entryLaterRoot
)

const (
	// UpdateSize is the length of an entry of U, in bytes.
	UpdateSize = 69
	// RootSize is the length of an entry of R under the policy that the log began
	// with, in bytes, except the first.
	RootSize = 81
	// LaterRootSize is that under a policy which followed it.
	LaterRootSize = RootSize + 4 + 32
)

// Update is an entry of U: a name, hidden behind its index, has a new version.
// Versions of an index count from 0, one by one.
type Update struct {
	Index      Index
	Version    uint32
	Commitment Commitment
}

// Marshal gives the 69 bytes of the entry.
func (u Update) Marshal() []byte {
	b := append([]byte{entryUpdate}, u.Index[:]...)
	b = binary.BigEndian.AppendUint32(b, u.Version)
	return append(b, u.Commitment[:]...)
}

// ParseUpdate reads an entry of U strictly.
func ParseUpdate(raw []byte) (u Update, err error) {
	r := codec.NewReader(raw)
	kind := r.U8()
	r.Copy(u.Index[:])
	u.Version = r.U32()
	r.Copy(u.Commitment[:])
	if kind != entryUpdate || !r.Done() {
		return Update{}, reject.New("V-180", ErrEncoding, "not an entry of the update log")
	}
	return u, nil
}

// Root is an entry of R: the map after so many updates.
type Root struct {
	Updates     uint64 // size of U
	UpdatesRoot [32]byte
	MapRoot     [32]byte
	At          uint64 // Unix ms by the server's clock
	Standing    Standing
}

// Marshal gives the one encoding of the entry: 81 bytes under the first policy,
// 117 under a later one.
func (r Root) Marshal() []byte {
	b := binary.BigEndian.AppendUint64([]byte{entryRoot}, r.Updates)
	b = append(b, r.UpdatesRoot[:]...)
	b = append(b, r.MapRoot[:]...)
	b = binary.BigEndian.AppendUint64(b, r.At)
	if r.Standing.Number == 0 {
		return b
	}
	b[0] = entryLaterRoot
	b = binary.BigEndian.AppendUint32(b, r.Standing.Number)
	return append(b, r.Standing.Chain[:]...)
}

// ParseRoot reads an entry of R strictly, other than the first.
func ParseRoot(raw []byte) (root Root, err error) {
	r := codec.NewReader(raw)
	root, ok := takeRoot(r)
	if !ok || !r.Done() {
		return Root{}, reject.New("V-180", ErrEncoding, "not an entry of the root log")
	}
	return root, nil
}

func takeRoot(r *codec.Reader) (root Root, ok bool) {
	kind := r.U8()
	root.Updates = r.U64()
	r.Copy(root.UpdatesRoot[:])
	r.Copy(root.MapRoot[:])
	root.At = r.U64()
	if kind != entryLaterRoot {
		return root, kind == entryRoot
	}
	root.Standing.Number = r.U32()
	r.Copy(root.Standing.Chain[:])
	return root, root.Standing.Number > 0
}

// Standing is which policy is in force: its number, counted from 0, and the end
// of the hash chain of all policies up to it. The policy that the log began with
// has the zero Standing. SPEC §13.3.
type Standing struct {
	Number uint32
	Chain  [32]byte
}

const policyLabel = "posthorn/kt-policy/v1"

// next is the standing of the policy that follows with this text.
func (s Standing) next(first Config, text []byte) Standing {
	before, digest := s.Chain, sha256.Sum256(text)
	if s.Number == 0 {
		before = sha256.Sum256(first.Marshal())
	}
	b := binary.BigEndian.AppendUint32([]byte(policyLabel), s.Number+1)
	b = append(append(b, before[:]...), digest[:]...)
	return Standing{s.Number + 1, sha256.Sum256(b)}
}

// goesOn checks that an entry of R may follow one with another standing: policies
// follow one by one.
func (s Standing) goesOn(after Standing) error {
	if s == after || after.Number == s.Number+1 && after.Number != 0 {
		return nil
	}
	return reject.New("V-286", ErrAudit, "the policies that the roots name do not follow one by one")
}

// Config is the first entry of R. It binds the log to how it is to be read, so
// that no two devices can be told different things about that.
type Config struct {
	Counter uint32   // of trees: a new one begins with a new VRF key
	VRF     [32]byte // public key of the function that hides names
	Policy  [32]byte // SHA-256 of the policy's text, which has the log's keys
}

const configSize = 1 + len(recordLabel) + 4 + 32 + 32

// Marshal gives the one encoding of the entry.
func (c Config) Marshal() []byte {
	b := append([]byte{entryConfig}, recordLabel...)
	b = binary.BigEndian.AppendUint32(b, c.Counter)
	b = append(b, c.VRF[:]...)
	return append(b, c.Policy[:]...)
}

// ParseConfig reads the first entry of R strictly.
func ParseConfig(raw []byte) (c Config, err error) {
	r := codec.NewReader(raw)
	kind, label := r.U8(), r.Bytes(len(recordLabel))
	c.Counter = r.U32()
	r.Copy(c.VRF[:])
	r.Copy(c.Policy[:])
	if kind != entryConfig || string(label) != recordLabel || !r.Done() {
		return Config{}, reject.New("V-180", ErrEncoding, "not the first entry of a root log")
	}
	return c, nil
}

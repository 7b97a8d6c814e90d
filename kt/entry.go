package kt

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// The first byte of an entry says what it is.
const (
	entryConfig = iota
	entryUpdate
	entryRoot
)

const (
	// UpdateSize is the length of an entry of U, in bytes.
	UpdateSize = 69
	// RootSize is the length of an entry of R, in bytes, except the first.
	RootSize = 81
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
}

// Marshal gives the 81 bytes of the entry.
func (r Root) Marshal() []byte {
	b := binary.BigEndian.AppendUint64([]byte{entryRoot}, r.Updates)
	b = append(b, r.UpdatesRoot[:]...)
	b = append(b, r.MapRoot[:]...)
	return binary.BigEndian.AppendUint64(b, r.At)
}

// ParseRoot reads an entry of R strictly, other than the first.
func ParseRoot(raw []byte) (root Root, err error) {
	r := codec.NewReader(raw)
	kind := r.U8()
	root.Updates = r.U64()
	r.Copy(root.UpdatesRoot[:])
	r.Copy(root.MapRoot[:])
	root.At = r.U64()
	if kind != entryRoot || !r.Done() {
		return Root{}, reject.New("V-180", ErrEncoding, "not an entry of the root log")
	}
	return root, nil
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

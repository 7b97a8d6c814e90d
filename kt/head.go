package kt

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// HeadSize is the length of a head, in bytes.
const HeadSize = 8 + 32 + 64 + 4

// Head is a checkpoint with the log's Ed25519 signature alone, as devices tell
// each other inside messages. Two heads that contradict each other prove that
// the log has lied.
type Head struct {
	Size      uint64
	Root      [32]byte
	Signature [ed25519.SignatureSize]byte
	Key       uint32 // which of the log's keys, as in signed notes
}

func headOf(c *Checkpoint, sig note.Signature) Head {
	h := Head{Size: c.Size, Root: c.Root, Key: sig.Hash}
	if raw, err := base64.StdEncoding.DecodeString(sig.Base64); err == nil && len(raw) == 4+ed25519.SignatureSize {
		copy(h.Signature[:], raw[4:])
	}
	return h
}

// headText is the text of R's checkpoints. It has no lines but these three: not
// every signature would cover others.
func headText(origin string, size uint64, root [32]byte) string {
	return fmt.Sprintf("%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
}

// Note is the head as a signed note of the log, which any tool for notes checks.
func (h Head) Note(origin string) []byte {
	sig := append(binary.BigEndian.AppendUint32(nil, h.Key), h.Signature[:]...)
	text := headText(origin, h.Size, h.Root)
	return fmt.Appendf(nil, "%s\n\u2014 %s %s\n", text, origin, base64.StdEncoding.EncodeToString(sig))
}

// CheckHead checks the log's signature of a head that somebody passed on.
func (p *Policy) CheckHead(h Head) error {
	v := p.log[0]
	if h.Key != v.KeyHash() || !v.Verify([]byte(headText(p.origin, h.Size, h.Root)), h.Signature[:]) {
		return reject.New("V-193", ErrSignature, "a head that was passed on is not the log's")
	}
	return nil
}

// Marshal gives the 108 bytes of the head.
func (h Head) Marshal() []byte {
	b := binary.BigEndian.AppendUint64(nil, h.Size)
	b = append(b, h.Root[:]...)
	b = append(b, h.Signature[:]...)
	return binary.BigEndian.AppendUint32(b, h.Key)
}

// ParseHead reads a head strictly. CheckHead checks its signature.
func ParseHead(raw []byte) (h Head, err error) {
	r := codec.NewReader(raw)
	h.Size = r.U64()
	r.Copy(h.Root[:])
	r.Copy(h.Signature[:])
	h.Key = r.U32()
	if !r.Done() {
		return Head{}, reject.New("V-180", ErrEncoding, "a head has 108 bytes")
	}
	return h, nil
}

package kt

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// MaxCheckpoint is the length of the longest checkpoint, in bytes: room for
	// sixteen signatures of ML-DSA-44.
	MaxCheckpoint = 64 << 10
	// MaxLater is how many commitments an answer has at most. A name that
	// changed more often since it was known is looked up as if it were new.
	MaxLater = 4096

	answerVersion = 1
	maxHashes     = 2 * 64 // a log has at most 2^64 entries
)

// Answer is what the log says about one name: the newest checkpoint of R, how it
// follows from the one that the asker knew, and what its map has at the place of
// the name.
type Answer struct {
	Checkpoint  []byte             // signed note
	Consistency [][32]byte         // from the size that was known; none from 0 or the same
	Root        Root               // the newest entry of R
	Inclusion   [][32]byte         // of it
	VRFProof    [VRFProofSize]byte // of the place of the name
	Map         MapProof           // of what is there
	Present     *Present           // nil: there is no such name
}

// Present is the part of an answer about a name that exists.
type Present struct {
	Version uint32
	Before  Value        // the chain's value before this version
	Later   []Commitment // of the versions after the known one and before this
	Opening Opening      // of this version's commitment
}

// Marshal gives the one encoding of the answer.
func (a *Answer) Marshal() []byte {
	b := codec.AppendV32([]byte{answerVersion}, a.Checkpoint)
	b = appendHashes(b, a.Consistency)
	b = append(b, a.Root.Marshal()...)
	b = appendHashes(b, a.Inclusion)
	b = append(b, a.VRFProof[:]...)
	b = a.Map.append(b)
	if a.Present == nil {
		return append(b, 0)
	}
	b = binary.BigEndian.AppendUint32(append(b, 1), a.Present.Version)
	b = append(b, a.Present.Before[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(a.Present.Later)))
	for _, c := range a.Present.Later {
		b = append(b, c[:]...)
	}
	return append(b, a.Present.Opening[:]...)
}

// ParseAnswer reads an answer strictly. It checks form only; Policy.Verify
// checks the rest.
func ParseAnswer(raw []byte) (*Answer, error) {
	r := codec.NewReader(raw)
	version := r.U8()
	a := &Answer{Checkpoint: append([]byte(nil), r.V32(MaxCheckpoint)...)}
	a.Consistency = takeHashes(r)
	root, known := takeRoot(r)
	if a.Root = root; !known {
		return nil, reject.New("V-180", ErrEncoding, "not an entry of the root log")
	}
	a.Inclusion = takeHashes(r)
	r.Copy(a.VRFProof[:])
	proof, ok := takeMapProof(r)
	if a.Map = proof; !ok {
		return nil, reject.New("V-180", ErrEncoding, "the proof of the map is not in its one form")
	}
	present := r.U8()
	if present == 1 {
		a.Present = takePresent(r)
	}
	if version != answerVersion || present > 1 || !r.Done() {
		return nil, reject.New("V-180", ErrEncoding, "an answer of another version or length")
	}
	return a, nil
}

func takePresent(r *codec.Reader) *Present {
	p := &Present{Version: r.U32()}
	r.Copy(p.Before[:])
	count := int(r.U16())
	if count > MaxLater {
		r.Bytes(-1)
		return p
	}
	for range count {
		var c Commitment
		if r.Copy(c[:]); r.Failed() {
			return p
		}
		p.Later = append(p.Later, c)
	}
	r.Copy(p.Opening[:])
	return p
}

func appendHashes(b []byte, hashes [][32]byte) []byte {
	b = append(b, byte(len(hashes)))
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

func takeHashes(r *codec.Reader) (hashes [][32]byte) {
	count := int(r.U8())
	if count > maxHashes {
		r.Bytes(-1)
		return nil
	}
	for range count {
		var h [32]byte
		if r.Copy(h[:]); r.Failed() {
			return nil
		}
		hashes = append(hashes, h)
	}
	return hashes
}

package kt

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// maxEntry is the length of the longest entry that a step shows. Longer ones,
	// which no log of this protocol has, are cut off, and still are none.
	maxEntry = 1024
	// maxEpochUpdates is how many updates a step has at most.
	maxEpochUpdates = 1 << 16
)

// Marshal gives the one encoding of the step.
func (s *Step) Marshal() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.From)
	b = appendHashes(b, s.Edge)
	b = appendEntries(b, s.Entries)
	b = appendEntries(b, s.Updates)
	b = appendHashes(b, s.Peaks)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.Held)))
	for _, p := range s.Held {
		b = p.Proof.append(b)
		if p.Last == nil {
			b = append(b, 0)
			continue
		}
		b = p.Last.append(append(b, 1))
	}
	return b
}

func (t Tail) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, t.Version)
	b = append(b, t.Before[:]...)
	return append(b, t.Commitment[:]...)
}

func takeTail(r *codec.Reader) (t Tail) {
	t.Version = r.U32()
	r.Copy(t.Before[:])
	r.Copy(t.Commitment[:])
	return t
}

func appendEntries(b []byte, entries [][]byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(entries)))
	for _, e := range entries {
		b = codec.AppendV16(b, e)
	}
	return b
}

func takeEntries(r *codec.Reader, most int) (entries [][]byte) {
	count := int(r.U32())
	if count > most {
		r.Bytes(-1)
		return nil
	}
	for range count {
		e := r.V16(maxEntry)
		if r.Failed() {
			return nil
		}
		entries = append(entries, append([]byte{}, e...))
	}
	return entries
}

// ParseStep reads a step strictly. It checks form only.
func ParseStep(raw []byte) (*Step, error) {
	r := codec.NewReader(raw)
	s := &Step{From: r.U64(), Edge: takeHashes(r), Entries: takeEntries(r, maxEpochUpdates), Updates: takeEntries(r, maxEpochUpdates), Peaks: takeHashes(r)}
	ok := takePlaces(r, s)
	if !ok || !r.Done() || len(s.Entries) == 0 || len(s.Held) > len(s.Updates) {
		return nil, reject.New("V-180", ErrEncoding, "an epoch is cut off, too long or not in its one form")
	}
	return s, nil
}

func takePlaces(r *codec.Reader, s *Step) bool {
	for range r.U32() {
		p, ok := takeMapProof(r)
		if !ok || len(s.Held) == maxEpochUpdates {
			return false
		}
		place := Held{Proof: p}
		switch r.U8() {
		case 0:
		case 1:
			last := takeTail(r)
			place.Last = &last
		default:
			return false
		}
		if r.Failed() {
			return false
		}
		s.Held = append(s.Held, place)
	}
	return true
}

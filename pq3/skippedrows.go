package pq3

import (
	"encoding/binary"
	"slices"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

// SkippedRow is the storage form of one block of skipped keys. A session's
// rows in ascending order of ID, one after the other, are its MarshalSkipped.
type SkippedRow struct {
	ID   uint64       // epoch and index of the first key in it, unique in a session
	Keys secret.Bytes // seal it before it is written
}

func (b skippedBlock) row() (row SkippedRow) {
	secret.Do(func() {
		row = SkippedRow{ID: b.id(), Keys: b.appendTo(make([]byte, 0, blockHeader+len(b)*skippedSize))}
	})
	return row
}

func (b skippedBlock) id() uint64 { return uint64(b[0].epoch)<<32 | uint64(b[0].index) }

// SkippedChanges lists what storage must do to get from the skipped keys of an
// earlier state of this session to those of s: delete the rows in gone, then
// write those in put. A nil earlier stands for nothing stored. Sending changes
// no row, receiving in order none, and an overtaken message one.
func (s *Session) SkippedChanges(earlier *Session) (put []SkippedRow, gone []uint64) {
	var before skippedKeys
	if earlier != nil {
		before = earlier.skipped
	}
	for _, block := range before.missingIn(s.skipped) {
		gone = append(gone, block.id())
	}
	for _, block := range s.skipped.missingIn(before) {
		put = append(put, block.row())
	}
	return put, gone
}

// missingIn lists the blocks that are not, as the same memory, in other.
func (ks skippedKeys) missingIn(other skippedKeys) (missing []skippedBlock) {
	for _, block := range ks {
		same := func(o skippedBlock) bool { return &o[0] == &block[0] }
		if !slices.ContainsFunc(other, same) {
			missing = append(missing, block)
		}
	}
	return missing
}

// MarshalSkipped is the storage form of the skipped keys in one piece; empty
// when there are none. It is secret; seal it before it is written.
func (s *Session) MarshalSkipped() (b []byte) {
	if len(s.skipped) == 0 {
		return nil
	}
	secret.Do(func() {
		b = make([]byte, 0, len(s.skipped)*blockHeader+s.skipped.count()*skippedSize)
		for _, block := range s.skipped {
			b = block.appendTo(b)
		}
	})
	return b
}

const (
	blockHeader = 1 + 2          // version, count
	skippedSize = 4 + 4 + 8 + 32 // one key
)

func (b skippedBlock) appendTo(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
	for _, k := range b {
		dst = appendU32(dst, k.epoch, k.index)
		dst = appendU64(dst, k.at)
		dst = append(dst, k.key.Key[:]...)
	}
	return dst
}

// readSkipped reads blocks until nothing is left.
func readSkipped(b []byte) (keys skippedKeys, err error) {
	r := codec.NewReader(b)
	for r.Len() > 0 {
		block := readBlock(r)
		if r.Failed() || len(block) == 0 || keys.count()+len(block) > maxSkipped {
			return nil, reject.New("V-61", ErrState, "not a list of skipped keys")
		}
		keys = append(keys, block)
	}
	if !keys.ascending() {
		return nil, reject.New("V-61", ErrState, "skipped keys out of order")
	}
	return keys, nil
}

// readBlock reads one block; nil when it is none.
func readBlock(r *codec.Reader) skippedBlock {
	version, count := r.U8(), int(r.U16())
	if version != stateVersion || r.Len() < count*skippedSize {
		return nil
	}
	block := make(skippedBlock, count)
	for i := range block {
		k := &block[i]
		readU32(r, &k.epoch, &k.index)
		readU64(r, &k.at)
		r.Copy(k.key.Key[:])
	}
	return block
}

func (ks skippedKeys) ascending() bool {
	var last *skippedKey
	for _, block := range ks {
		for i := range block {
			k := &block[i]
			if last != nil && !last.before(k.epoch, k.index) {
				return false
			}
			last = k
		}
	}
	return true
}

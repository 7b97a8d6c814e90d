package server

import (
	"encoding/binary"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
)

// clockRecord is what the store keeps of a calendar:
//
//	u64 when it was written (ms) ‖ u16 count ‖ count × (u64 size (ms) ‖ u64 left (ms))
type clockRecord struct {
	at   time.Time // zero: never written
	gaps []gap     // the oldest first, at most maxGaps
}

// gap is a time that the clock has passed over.
type gap struct {
	size time.Duration // by how much the clock got ahead, at most maxGrace
	left time.Duration // how long it still counts, in running time
}

// maxGaps bounds the record.
const maxGaps = 64

func (r clockRecord) marshal() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(r.at.UnixMilli()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(r.gaps)))
	for _, g := range r.gaps {
		b = binary.BigEndian.AppendUint64(b, uint64(g.size.Milliseconds()))
		b = binary.BigEndian.AppendUint64(b, uint64(g.left.Milliseconds()))
	}
	return b
}

func parseClockRecord(b []byte) (r clockRecord, err error) {
	reader := codec.NewReader(b)
	r.at = time.UnixMilli(int64(reader.U64()))
	count := reader.U16()
	if count > maxGaps {
		return clockRecord{}, errRecord
	}
	const longest = uint64(maxGrace / time.Millisecond)
	for ; count > 0; count-- {
		size, left := reader.U64(), reader.U64()
		if size > longest || left > longest {
			return clockRecord{}, errRecord
		}
		r.gaps = append(r.gaps, gap{time.Duration(size) * time.Millisecond, time.Duration(left) * time.Millisecond})
	}
	if !reader.Done() {
		return clockRecord{}, errRecord
	}
	return r, nil
}

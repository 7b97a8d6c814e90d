package server

import (
	"encoding/binary"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/store"
)

// What nodes say to each other:
//
//	beat     0x01 ‖ u64 lost                           I am here, and so much may not have got through
//	moved    0x02 ‖ box[16] ‖ u64 began (ns)           this mailbox is now read here
//	stored   0x03 ‖ box[16] ‖ u64 seq ‖ id[16] ‖ sender[16] ‖ u64 at (ms) ‖ v32(data)
//
// Data is empty when it is larger than maxPushed, or not known to be what is
// stored under the number.
const (
	noticeBeat   = 1
	noticeMoved  = 2
	noticeStored = 3

	// maxPushed bounds the bytes of an envelope on the bus: 64 KiB. Larger ones
	// are read from the store.
	maxPushed = 64 << 10
)

// notice is one thing that a node says to others.
type notice struct {
	kind uint8
	lost uint64    // beat
	box  store.Box // moved, stored
	at   uint64    // moved
	msg  store.Msg // stored
}

func (n notice) marshal() []byte {
	b := []byte{n.kind}
	if n.kind == noticeBeat {
		return binary.BigEndian.AppendUint64(b, n.lost)
	}
	b = append(b, n.box[:]...)
	if n.kind == noticeMoved {
		return binary.BigEndian.AppendUint64(b, n.at)
	}
	b = binary.BigEndian.AppendUint64(b, n.msg.Seq)
	b = append(b, n.msg.ID[:]...)
	b = append(b, n.msg.Sender[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(n.msg.At.UnixMilli()))
	return codec.AppendV32(b, n.msg.Data)
}

func parseNotice(b []byte) (n notice, err error) {
	reader := codec.NewReader(b)
	n.kind = reader.U8()
	if n.kind == noticeBeat {
		n.lost = reader.U64()
	} else {
		reader.Copy(n.box[:])
	}
	if n.kind == noticeMoved {
		n.at = reader.U64()
	}
	if n.kind == noticeStored {
		n.msg.Seq = reader.U64()
		reader.Copy(n.msg.ID[:])
		reader.Copy(n.msg.Sender[:])
		n.msg.At = time.UnixMilli(int64(reader.U64()))
		n.msg.Data = reader.V32(maxPushed)
	}
	if !reader.Done() || n.kind < noticeBeat || n.kind > noticeStored {
		return notice{}, errNotice
	}
	return n, nil
}

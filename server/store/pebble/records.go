package pebble

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/store"
)

// head is what is known about one mailbox. Its envelopes are exactly the
// numbers first..last; every one above last is still to be given out. Its record
// may lag behind by a tail, see tail.go.
type head struct {
	first   uint64 // lowest number kept, 1 at the start
	last    uint64 // highest number given out, 0 at the start
	bytes   uint64 // sum of the lengths of Data in first..last
	expired uint64 // aged out since the owner last asked
	limits  store.Limits
	gone    bool // dropped; every other field is zero

	// Memory only:
	durable uint64 // highest number that survives a power cut
	flights int    // batches on their way to the disk that changed it
	shares  shares // what the committer knows of the senders
	tail    share  // the envelopes that came after the record
	changed bool   // by the batch that is being built
	due     bool   // that batch writes the record
	before  uint64 // last, before that batch
}

const flagGone = 1

func newHead(limits store.Limits) *head {
	return &head{first: 1, limits: limits, shares: shares{known: true}}
}

func (h *head) count() uint64 { return h.last + 1 - h.first }

func (h *head) marshal() []byte {
	var flags byte
	if h.gone {
		flags |= flagGone
	}
	b := append(make([]byte, 0, 45), flags)
	for _, n := range []uint64{h.first, h.last, h.bytes, h.expired, h.limits.Bytes} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return binary.BigEndian.AppendUint32(b, h.limits.Envelopes)
}

// parseHead reads a head from disk. What is on disk is durable.
func parseHead(b []byte) (*head, error) {
	r := codec.NewReader(b)
	flags := r.U8()
	h := &head{gone: flags&flagGone != 0}
	for _, n := range []*uint64{&h.first, &h.last, &h.bytes, &h.expired, &h.limits.Bytes} {
		*n = r.U64()
	}
	h.limits.Envelopes = r.U32()
	if !r.Done() || flags&^flagGone != 0 || h.first > h.last+1 {
		return nil, damaged("mailbox head")
	}
	h.durable, h.shares.known = h.last, h.count() == 0
	return h, nil
}

// share is what one sender has in one mailbox.
type share struct {
	envelopes uint32
	bytes     uint64
}

func (s share) marshal() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 12), s.envelopes)
	return binary.BigEndian.AppendUint64(b, s.bytes)
}

func parseShare(b []byte) (share, error) {
	r := codec.NewReader(b)
	s := share{r.U32(), r.U64()}
	if !r.Done() {
		return share{}, damaged("sender share")
	}
	return s, nil
}

// parseShareOrNone reads a share that a get has found or not.
func parseShareOrNone(b []byte, err error) (share, error) {
	if err != nil || b == nil {
		return share{}, err
	}
	return parseShare(b)
}

// messageHead is the size of a message record without Data: time, id, sender.
const messageHead = 8 + 16 + 16

func marshalMessage(e store.Envelope) []byte {
	b := make([]byte, 0, messageHead+len(e.Data))
	b = binary.BigEndian.AppendUint64(b, uint64(e.At.UnixMilli()))
	b = append(append(b, e.ID[:]...), e.Sender[:]...)
	return append(b, e.Data...)
}

// parseMessage reads a record; Data still points into b.
func parseMessage(seq uint64, b []byte) (store.Msg, error) {
	if len(b) < messageHead {
		return store.Msg{}, damaged("envelope")
	}
	r := codec.NewReader(b)
	m := store.Msg{Seq: seq, At: time.UnixMilli(int64(r.U64())).UTC()}
	r.Copy(m.ID[:])
	r.Copy(m.Sender[:])
	m.Data = b[messageHead:]
	return m, nil
}

// marshalValue writes a directory value behind its version.
func marshalValue(ver uint64, val []byte) []byte {
	return append(binary.BigEndian.AppendUint64(nil, ver), val...)
}

func parseValue(b []byte) (ver uint64, val []byte, err error) {
	if len(b) < 8 {
		return 0, nil, damaged("directory value")
	}
	return binary.BigEndian.Uint64(b), slices.Clone(b[8:]), nil
}

// pool counts the values of a pool: numbers first..next-1 are waiting.
type pool struct{ first, next uint64 }

func (p pool) marshal() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 16), p.first)
	return binary.BigEndian.AppendUint64(b, p.next)
}

func parsePool(b []byte) (pool, error) {
	r := codec.NewReader(b)
	p := pool{r.U64(), r.U64()}
	if !r.Done() || p.first > p.next {
		return pool{}, damaged("pool")
	}
	return p, nil
}

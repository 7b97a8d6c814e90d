package content

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// MaxReceipts is how many messages one receipt can confirm.
const MaxReceipts = 256

// ErrReceipt: a receipt for no message, for too many, or for one twice.
var ErrReceipt = errors.New("content: a receipt confirms 1 to 256 different messages in ascending order")

// Receipt says that messages are stored on the device that sends it. It never
// triggers a receipt itself. Encode puts the ids in order; Decode accepts them
// in order only.
type Receipt struct{ Delivered []ID }

func (Receipt) kind() kind { return kindReceipt }

func (rc Receipt) appendTo(dst []byte) ([]byte, error) {
	rc.Delivered = slices.SortedFunc(slices.Values(rc.Delivered), compareIDs)
	if err := rc.check(); err != nil {
		return nil, err
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(rc.Delivered)))
	for _, id := range rc.Delivered {
		dst = append(dst, id[:]...)
	}
	return dst, nil
}

// check asks for ascending ids, so that one set has one encoding.
func (rc Receipt) check() error {
	if len(rc.Delivered) == 0 || len(rc.Delivered) > MaxReceipts {
		return reject.New("V-74", ErrReceipt, "")
	}
	for i := 1; i < len(rc.Delivered); i++ {
		if compareIDs(rc.Delivered[i-1], rc.Delivered[i]) >= 0 {
			return reject.New("V-74", ErrReceipt, "")
		}
	}
	return nil
}

func compareIDs(a, b ID) int { return bytes.Compare(a[:], b[:]) }

func readReceipt(r *codec.Reader) (Body, error) {
	n := int(r.U16())
	if n > MaxReceipts {
		return nil, reject.New("V-74", ErrReceipt, "")
	}
	rc := Receipt{Delivered: make([]ID, n)}
	for i := range rc.Delivered {
		r.Copy(rc.Delivered[i][:])
	}
	if r.Failed() {
		return nil, reject.New("V-70", ErrMalformed, "truncated receipt")
	}
	if err := rc.check(); err != nil {
		return nil, err
	}
	return rc, nil
}

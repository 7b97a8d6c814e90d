package content

import (
	"errors"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// MaxSync is the length of the longest news between own devices, in bytes: room
// for the longest text with its frame.
const MaxSync = MaxText + 8<<10

// ErrSync: news between own devices of no kind, or of no or too great a length.
var ErrSync = errors.New("content: news between own devices has a kind and 1 byte to 72 KiB")

// Sync is what one device of an account tells another: a message that it sent,
// what was shown, how somebody stands to the user. What it says is opaque here.
// SPEC §11.
type Sync struct {
	What uint8 // from 1
	Data []byte
}

func (Sync) kind() kind { return kindSync }

func (s Sync) appendTo(dst []byte) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return codec.AppendV32(append(dst, s.What), s.Data), nil
}

func (s Sync) check() error {
	if s.What == 0 || len(s.Data) == 0 || len(s.Data) > MaxSync {
		return reject.New("V-220", ErrSync, "")
	}
	return nil
}

func readSync(r *codec.Reader) (Body, error) {
	s := Sync{What: r.U8()}
	s.Data = append(s.Data, r.V32(MaxSync)...)
	if r.Failed() {
		return nil, reject.New("V-70", ErrMalformed, "truncated news")
	}
	return s, s.check()
}

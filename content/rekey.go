package content

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/codec"
)

// Rekey is the heartbeat: it asks the peer to answer with exactly one
// RekeyReply, so that the ratchets move although nobody writes.
type Rekey struct{}

func (Rekey) kind() kind                          { return kindRekey }
func (Rekey) appendTo(dst []byte) ([]byte, error) { return dst, nil }

// RekeyReply answers a Rekey or an advertised KEM key. It triggers nothing.
type RekeyReply struct{}

func (RekeyReply) kind() kind                          { return kindRekeyReply }
func (RekeyReply) appendTo(dst []byte) ([]byte, error) { return dst, nil }

// ObjectsWanted asks for one more copy of the objects of a sending chain:
// messages of it have arrived, but none that carried them.
type ObjectsWanted struct {
	Session [8]byte
	Epoch   uint32
	Digest  [8]byte // as the waiting messages show it
}

func (ObjectsWanted) kind() kind { return kindObjectsWanted }

func (w ObjectsWanted) appendTo(dst []byte) ([]byte, error) {
	dst = append(dst, w.Session[:]...)
	dst = binary.BigEndian.AppendUint32(dst, w.Epoch)
	return append(dst, w.Digest[:]...), nil
}

func readObjectsWanted(r *codec.Reader) (w ObjectsWanted) {
	r.Copy(w.Session[:])
	w.Epoch = r.U32()
	r.Copy(w.Digest[:])
	return w
}

// Objects is the empty message that answers ObjectsWanted; what was asked for
// travels in its header.
type Objects struct{}

func (Objects) kind() kind                          { return kindObjects }
func (Objects) appendTo(dst []byte) ([]byte, error) { return dst, nil }

package content

import (
	"encoding/binary"
	"encoding/hex"
	"errors"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// Error is a refusal by one check of SPEC §15.
type Error = reject.Error

// ErrMalformed says that decrypted bytes are not a message of this version in
// its canonical form.
var ErrMalformed = errors.New("content: malformed message")

const (
	version    = 1
	headerSize = 1 + 1 + len(ID{}) + 8
)

// ID names a message on every device that has it. The sender draws it at
// random; receivers drop a second message with the same id and sender.
type ID [16]byte

// String is lower-case hex.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads the form that String gives, and no other: comparing texts is
// comparing ids.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(ID{}) || hex.EncodeToString(b) != s {
		return ID{}, errors.New("content: a message id is 32 lower-case hexadecimal digits")
	}
	return ID(b), nil
}

// Message is one decrypted message.
type Message struct {
	ID     ID
	SentAt uint64 // Unix ms by the sender's clock
	Body   Body
}

// kind is the second byte of an encoded message.
type kind uint8

const (
	kindText kind = iota + 1
	kindReceipt
	kindRekey
	kindRekeyReply
	kindObjectsWanted
	kindObjects
	kindFiles
	kindSync
	kindGossip       kind = 9
	kindVerification kind = 10
)

// Body is one of Text, Receipt, Rekey, RekeyReply, ObjectsWanted, Objects,
// Files, Sync, Gossip and Verification.
type Body interface {
	kind() kind
	appendTo(dst []byte) ([]byte, error)
}

// Encode gives the canonical form. Errors: ErrTextTooLong, ErrText, ErrReceipt,
// ErrFiles, ErrVerification, ErrSync.
func Encode(m Message) ([]byte, error) {
	b := make([]byte, 0, headerSize+64)
	b = append(b, version, byte(m.Body.kind()))
	b = append(b, m.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, m.SentAt)
	return m.Body.appendTo(b)
}

// Decode reads the canonical form and nothing else. It keeps no part of b.
func Decode(b []byte) (Message, error) {
	r := codec.NewReader(b)
	if v := r.U8(); r.Failed() || v != version {
		return Message{}, reject.New("V-70", ErrMalformed, "unknown version")
	}
	k := kind(r.U8())
	var m Message
	r.Copy(m.ID[:])
	m.SentAt = r.U64()
	if r.Failed() {
		return Message{}, reject.New("V-70", ErrMalformed, "shorter than a header")
	}
	body, err := readBody(k, r)
	if err != nil {
		return Message{}, err
	}
	if !r.Done() {
		return Message{}, reject.New("V-70", ErrMalformed, "truncated, or bytes left over")
	}
	m.Body = body
	return m, nil
}

func readBody(k kind, r *codec.Reader) (Body, error) {
	switch k {
	case kindText:
		return readText(r)
	case kindReceipt:
		return readReceipt(r)
	case kindRekey:
		return Rekey{}, nil
	case kindRekeyReply:
		return RekeyReply{}, nil
	case kindObjectsWanted:
		return readObjectsWanted(r), nil
	case kindObjects:
		return Objects{}, nil
	case kindFiles:
		return readFiles(r)
	case kindSync:
		return readSync(r)
	case kindGossip:
		return readGossip(r), nil
	case kindVerification:
		return readVerification(r)
	}
	return nil, reject.New("V-71", ErrMalformed, "unknown kind of message")
}

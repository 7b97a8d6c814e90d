package account

import (
	"encoding/binary"
	"io"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	holdVersion = 1
	holdContext = "posthorn/hold/v1"
	holdSize    = 1 + 48 + 8 + 16
)

// Hold asks the directory, by the recovery key, to accept no device-signed
// statement for an hour: time to act after a device was stolen. SPEC §4.7.
type Hold struct {
	Account ID
	At      uint64 // Unix ms
	Nonce   [16]byte
}

func (h Hold) marshal() []byte {
	b := append([]byte{holdVersion}, h.Account[:]...)
	b = binary.BigEndian.AppendUint64(b, h.At)
	return append(b, h.Nonce[:]...)
}

// SignHold gives the wire form: 73 bytes and both signatures of the recovery
// key.
//
// formal: sig-hold
func SignHold(h Hold, recovery *SigningKey, rand io.Reader) ([]byte, error) {
	body := h.marshal()
	sig, err := recovery.SignHybrid(rand, append([]byte(holdContext), body...), holdContext)
	if err != nil {
		return nil, err
	}
	return sig.Append(body), nil
}

// HoldAccount is the account that a hold in its wire form names, before anything
// of it is verified.
func HoldAccount(raw []byte) (id ID, ok bool) {
	return id, len(raw) > holdSize && copy(id[:], raw[1:]) == len(id)
}

// OpenHold parses a hold and verifies it against the account's roster. Whether
// its time still counts is the directory's to decide.
//
// formal: sig-hold
func OpenHold(raw []byte, r *Roster) (Hold, error) {
	reader := codec.NewReader(raw)
	version := reader.U8()
	var h Hold
	reader.Copy(h.Account[:])
	h.At = reader.U64()
	reader.Copy(h.Nonce[:])
	sig := readSignature(reader)
	if !reader.Done() || version != holdVersion || h.Account != r.id || r.recovery == nil {
		return Hold{}, reject.New("V-04", ErrHold, "malformed, of another account, or of one without a recovery key")
	}
	if r.recovery.VerifyHybrid(append([]byte(holdContext), raw[:holdSize]...), &sig, holdContext) != nil {
		return Hold{}, reject.New("V-04", ErrHold, "not signed by the recovery key")
	}
	return h, nil
}

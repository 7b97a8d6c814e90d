package account

import (
	"crypto/sha512"
	"encoding/binary"
	"io"
	"slices"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	// MaxStatement is the length of the longest statement, in bytes: room for
	// sixteen operations that each add a device.
	MaxStatement = 128 << 10

	maxOperations    = 16
	statementVersion = 1
	statementContext = "posthorn/roster/v1"
)

// The first byte after the version says which form a body has.
const (
	bodyFirst = iota
	bodyLater
)

// signerKind says who signed a statement.
type signerKind uint8

const (
	signedByDevice signerKind = iota + 1
	signedByRecovery
)

// Statement is one signed link of a roster's chain: operations that take
// effect together. It is immutable. SPEC §4.5.
type Statement struct {
	account ID // zero in statement 0
	seq     uint64
	prev    [48]byte
	at      uint64 // Unix ms
	ops     []Operation
	body    []byte

	kind   signerKind
	device DeviceID // the signer, if it is a device
	sig    Signature
	added  []Signature // by each added device that is not the signer, in order
}

// Seq is the statement's place in the chain, from 0.
func (s *Statement) Seq() uint64 { return s.seq }

// At is the signer's time, in Unix milliseconds.
func (s *Statement) At() uint64 { return s.at }

// Operations are what the statement changes, in order.
func (s *Statement) Operations() []Operation { return slices.Clone(s.ops) }

// Hash is the chain link: SHA-384 over the body, signatures excluded. That of
// statement 0 is the account id. SPEC §4.5.
func (s *Statement) Hash() [48]byte {
	return sha512.Sum384(signedBody(s.body))
}

// signedBody is what is signed and hashed: the body under its own label, so
// that it is taken for nothing else.
func signedBody(body []byte) []byte {
	return codec.AppendV32([]byte(statementContext), body)
}

// encodeBody builds the canonical body from the fields.
func (s *Statement) encodeBody() []byte {
	b := []byte{statementVersion, bodyFirst}
	if s.seq > 0 {
		b[1] = bodyLater
		b = append(b, s.account[:]...)
		b = binary.BigEndian.AppendUint64(b, s.seq)
	}
	b = append(b, s.prev[:]...)
	b = binary.BigEndian.AppendUint64(b, s.at)
	b = append(b, byte(len(s.ops)))
	for _, op := range s.ops {
		b = append(b, byte(op.code()))
		b = codec.AppendV16(b, op.payload())
	}
	return b
}

// Marshal gives the one encoding of the statement.
func (s *Statement) Marshal() []byte {
	b := codec.AppendV32(nil, s.body)
	b = append(b, byte(s.kind))
	if s.kind == signedByDevice {
		b = append(b, s.device[:]...)
	}
	b = s.sig.Append(b)
	b = append(b, byte(len(s.added)))
	for i := range s.added {
		b = s.added[i].Append(b)
	}
	return b
}

// ParseStatement reads a statement strictly. It checks form only; Apply and
// StartRoster check signatures and rules.
func ParseStatement(raw []byte) (*Statement, error) {
	if len(raw) > MaxStatement {
		return nil, reject.New("V-18", ErrStatement, "longer than 128 KiB")
	}
	r := codec.NewReader(raw)
	s := &Statement{body: append([]byte(nil), r.V32(MaxStatement)...)}
	s.kind = signerKind(r.U8())
	if s.kind == signedByDevice {
		r.Copy(s.device[:])
	} else if s.kind != signedByRecovery {
		return nil, reject.New("V-18", ErrStatement, "unknown kind of signer")
	}
	s.sig = readSignature(r)
	count := int(r.U8())
	for range min(count, maxOperations) {
		s.added = append(s.added, readSignature(r))
	}
	if !r.Done() || count > maxOperations {
		return nil, reject.New("V-18", ErrStatement, "truncated, or bytes left over")
	}
	if err := s.parseBody(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Statement) parseBody() error {
	r := codec.NewReader(s.body)
	version, form := r.U8(), r.U8()
	if version != statementVersion || form > bodyLater {
		return reject.New("V-18", ErrStatement, "unknown version")
	}
	if form == bodyLater {
		r.Copy(s.account[:])
		s.seq = r.U64()
	}
	r.Copy(s.prev[:])
	s.at = r.U64()
	count := int(r.U8())
	if r.Failed() || form == bodyLater && s.seq == 0 || count == 0 || count > maxOperations {
		return reject.New("V-18", ErrStatement, "truncated, without a number, or not 1 to 16 operations")
	}
	for range count {
		op, err := parseOperation(opCode(r.U8()), r.V16(maxDeviceSize))
		if err != nil {
			return err
		}
		s.ops = append(s.ops, op)
	}
	if !r.Done() {
		return reject.New("V-18", ErrStatement, "bytes left over")
	}
	return nil
}

// NewAccount makes statement 0: an account whose first device signs for
// itself. Its Hash is the account id.
func NewAccount(dev *Device, key *SigningKey, at uint64, rand io.Reader) (*Statement, error) {
	if err := dev.check(); err != nil {
		return nil, err
	}
	if !key.Public().Equal(dev.Key) {
		return nil, errOtherKey
	}
	s := &Statement{at: at, ops: []Operation{AddDevice{dev}}, kind: signedByDevice, device: dev.ID}
	return s.sign(key, nil, rand)
}

// sign fills in the body and all signatures: the signer's, and one by each
// other device that the statement adds, in order.
func (s *Statement) sign(key *SigningKey, added []*SigningKey, rand io.Reader) (*Statement, error) {
	s.body = s.encodeBody()
	sig, err := SignBody(key, s.body, rand)
	if err != nil {
		return nil, err
	}
	s.sig = *sig
	for _, k := range added {
		sig, err := SignBody(k, s.body, rand)
		if err != nil {
			return nil, err
		}
		s.added = append(s.added, *sig)
	}
	return s, nil
}

// Account is whose statement it is: for statement 0 the id that it founds.
func (s *Statement) Account() ID {
	if s.seq == 0 {
		return s.Hash()
	}
	return s.account
}

// Follows is the hash of the statement that this one says it comes after.
func (s *Statement) Follows() [48]byte { return s.prev }

// Signer is the device that signed the statement. ok is false for one by the
// recovery key.
func (s *Statement) Signer() (device DeviceID, ok bool) { return s.device, s.kind == signedByDevice }

// Added are the devices that the statement adds, in order.
func (s *Statement) Added() (added []*Device) {
	for _, op := range s.ops {
		if add, ok := op.(AddDevice); ok {
			added = append(added, add.Device)
		}
	}
	return added
}

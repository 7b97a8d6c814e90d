package kt

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

const (
	recordLabel = "posthorn/kt/v1"
	chainLabel  = "posthorn/kt-chain/v1"

	// commitmentKey is the fixed key of the commitments of
	// draft-ietf-keytrans-protocol.
	commitmentKey = "\xd8\x21\xf8\x79\x0d\x97\x70\x97\x96\xb4\xd7\x90\x33\x57\xc3\xf5"
)

// Record is what the log holds of a name: the account, and where the chain of
// its roster stands. It is not signed, since the roster's chain is.
type Record struct {
	Name    account.Name // the label
	Account account.ID
	Seq     uint64   // number of the newest statement
	Head    [48]byte // its hash
}

// DeletedSeq is the number of statements in the last record of a name whose
// account was deleted: no roster has so many. Its head is zero.
const DeletedSeq = math.MaxUint64

// RecordOf is the record of a name whose account has this roster.
func RecordOf(name account.Name, r *account.Roster) Record {
	return Record{Name: name, Account: r.ID(), Seq: r.Seq(), Head: r.Head()}
}

// Marshal gives the one encoding of the record.
func (r Record) Marshal() []byte {
	b := codec.AppendV16([]byte(recordLabel), []byte(r.Name))
	b = append(b, r.Account[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Seq)
	return append(b, r.Head[:]...)
}

// ParseRecord reads a record strictly.
func ParseRecord(raw []byte) (r Record, err error) {
	in := codec.NewReader(raw)
	label := in.Bytes(len(recordLabel))
	name, err := account.ParseName(string(in.V16(account.MaxNameLen)))
	if err != nil {
		return Record{}, reject.New("V-180", ErrEncoding, "a record without a name")
	}
	r.Name = name
	in.Copy(r.Account[:])
	r.Seq = in.U64()
	in.Copy(r.Head[:])
	if string(label) != recordLabel || !in.Done() {
		return Record{}, reject.New("V-180", ErrEncoding, "a record of another version or length")
	}
	return r, nil
}

// Opening is the random part of a commitment. Without it the log says nothing
// about a name; the server destroys it to forget one.
type Opening [16]byte

// Commitment hides a record and binds the log to it.
type Commitment [32]byte

// Value is the end of the hash chain over all commitments of a name. The value
// before the first is zero.
type Value [32]byte

// Commit commits to a record as the given version of its name.
func Commit(o Opening, version uint32, r Record) (c Commitment) {
	h := hmac.New(sha256.New, []byte(commitmentKey))
	b := codec.AppendV16(append([]byte(nil), o[:]...), []byte(r.Name))
	b = binary.BigEndian.AppendUint32(b, version)
	h.Write(codec.AppendV16(b, r.Marshal()))
	h.Sum(c[:0])
	return c
}

// Chain appends a version's commitment to the chain of a name.
func Chain(version uint32, before Value, c Commitment) Value {
	b := binary.BigEndian.AppendUint32([]byte(chainLabel), version)
	b = append(b, before[:]...)
	return sha256.Sum256(append(b, c[:]...))
}

package level1

import (
	"bytes"
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"time"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/suite"
)

// Prekey is the private half of a signed prekey (SPK), which serves all senders
// until it is replaced.
type Prekey struct {
	ID      uint32
	Made    uint64 // Unix ms
	Private secret.Key
	Extra   secret.Bytes // of the start addition; empty at Level 1
}

// OneTime is the private half of a one-time prekey (OPK). The message that uses
// it erases it.
type OneTime struct {
	ID      uint32
	Private secret.Key
}

// Record is what a device publishes. Handed out to a peer it holds at most one
// one-time prekey.
type Record struct {
	Name      string
	Identity  PublicIdentity
	PrekeyID  uint32
	Prekey    [32]byte
	Made      uint64 // Unix ms
	Extra     []byte
	Signature [64]byte // Ed25519, over all of the above
	OneTime   []OneTimePublic
}

// OneTimePublic is the public half of a one-time prekey. It is not signed.
type OneTimePublic struct {
	ID  uint32
	Key [32]byte
}

const (
	maxName   = 255
	maxExtra  = 4 << 10
	maxRecord = 16 << 10
)

// signed is everything under the signature.
func (r *Record) signed() []byte {
	b := codec.AppendV16(nil, []byte(r.Name))
	b = r.Identity.append(b)
	b = binary.BigEndian.AppendUint32(b, r.PrekeyID)
	b = append(b, r.Prekey[:]...)
	b = binary.BigEndian.AppendUint64(b, r.Made)
	return codec.AppendV16(b, r.Extra)
}

// Marshal is the wire form.
func (r *Record) Marshal() []byte {
	b := append(r.signed(), r.Signature[:]...)
	b = append(b, byte(len(r.OneTime)))
	for _, o := range r.OneTime {
		b = binary.BigEndian.AppendUint32(b, o.ID)
		b = append(b, o.Key[:]...)
	}
	return b
}

// ParseRecord reads a record. It verifies nothing.
func ParseRecord(b []byte) (*Record, error) {
	r := codec.NewReader(bytes.Clone(b))
	rec := &Record{Name: string(r.V16(maxName))}
	rec.Identity.read(r)
	rec.PrekeyID = r.U32()
	r.Copy(rec.Prekey[:])
	rec.Made = r.U64()
	rec.Extra = r.V16(maxExtra)
	r.Copy(rec.Signature[:])
	for n := r.U8(); n > 0 && !r.Failed(); n-- {
		o := OneTimePublic{ID: r.U32()}
		r.Copy(o.Key[:])
		rec.OneTime = append(rec.OneTime, o)
	}
	if !r.Done() {
		return nil, suite.Refuse("level1", suite.ErrMalformed, "not a device's record")
	}
	return rec, nil
}

// handOut is the server's part of X3DH: a one-time prekey goes to one caller.
func handOut(record []byte) (rest, bundle []byte, err error) {
	r, err := ParseRecord(record)
	if err != nil {
		return nil, nil, err
	}
	handed, left := *r, *r
	if len(r.OneTime) > 0 {
		handed.OneTime, left.OneTime = r.OneTime[:1], r.OneTime[1:]
	}
	return left.Marshal(), handed.Marshal(), nil
}

// Publish makes a signed prekey and a batch of one-time prekeys, and erases
// what is too old.
func (p *Party) Publish(ent suite.Entropy, now time.Time) (suite.Party, []byte, error) {
	next := *p
	made := Prekey{ID: p.state.NextID, Made: millis(now)}
	ent.Read(made.Private[:])
	record := Record{Name: p.state.Name, Identity: p.public, PrekeyID: made.ID, Prekey: PublicKey(made.Private), Made: made.Made}
	if p.design.start != nil {
		made.Extra, record.Extra = p.design.start.Publish(ent)
	}
	old := func(k Prekey) bool { return now.Sub(instant(k.Made)) > prekeyLife }
	next.state.Prekeys = append(slices.DeleteFunc(slices.Clone(p.state.Prekeys), old), made)
	next.state.NextID++
	next.state.OneTime = slices.Clone(p.state.OneTime)
	for range oneTimeBatch {
		o := OneTime{ID: next.state.NextID}
		ent.Read(o.Private[:])
		next.state.NextID++
		next.state.OneTime = append(next.state.OneTime, o)
		record.OneTime = append(record.OneTime, OneTimePublic{ID: o.ID, Key: PublicKey(o.Private)})
	}
	next.state.OneTime = next.state.OneTime[max(0, len(next.state.OneTime)-maxOneTime):]
	next.state.Starts = p.state.Starts.under(next.state.Prekeys)
	message := append([]byte(p.design.label("prekey")), record.signed()...)
	record.Signature = [64]byte(ed25519.Sign(p.state.Identity.signer(), message))
	return &next, record.Marshal(), nil
}

// Verify checks a record's signature, for the design that it was made in.
func (d *Design) Verify(r *Record) error {
	message := append([]byte(d.label("prekey")), r.signed()...)
	if !ed25519.Verify(r.Identity.Signing[:], message, r.Signature[:]) {
		return d.refuse(suite.ErrSignature, "the record is not signed by its device")
	}
	return nil
}

// Starts are the session starts that were accepted, so that none is accepted
// twice: without a one-time prekey nothing else would stop it (X3DH §4.2).
type Starts []AcceptedStart

// AcceptedStart names one by its ephemeral key.
type AcceptedStart struct {
	PrekeyID  uint32
	Ephemeral [32]byte
}

// under leaves out those whose prekey is gone.
func (s Starts) under(held []Prekey) Starts {
	gone := func(a AcceptedStart) bool {
		return !slices.ContainsFunc(held, func(k Prekey) bool { return k.ID == a.PrekeyID })
	}
	return slices.DeleteFunc(slices.Clone(s), gone)
}

func millis(t time.Time) uint64 { return uint64(max(0, t.UnixMilli())) }

func instant(ms uint64) time.Time { return time.UnixMilli(int64(ms)).UTC() }

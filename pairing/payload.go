package pairing

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
)

const (
	// MaxLabel is the length of the longest device name, in bytes: what a
	// roster can hold of it once it is sealed.
	MaxLabel = 128
	// MaxExtra bounds what rides along for other parts of a profile, in bytes.
	MaxExtra = 8 << 10

	pinSize = 32
)

// The first byte of a payload says what it is.
const (
	kindInvitation = iota + 1
	kindApplication
	kindVerdict
)

// Invitation is what the old device says: whose account it is, and which place
// in the roster the new device is to sign for.
type Invitation struct {
	Account account.ID
	Name    account.Name
	Seq     uint64   // of the statement that will add the device
	Prev    [48]byte // hash of the statement before it
	At      uint64   // time of that statement, Unix ms
	Pin     []byte   // SHA-256 of the server's certificate, or nil
	Extra   []byte   // of the old device's profile, opaque here; at most MaxExtra bytes
}

// Marshal gives the one encoding.
func (i *Invitation) Marshal() []byte {
	b := append([]byte{kindInvitation}, i.Account[:]...)
	b = codec.AppendV16(b, []byte(i.Name))
	b = binary.BigEndian.AppendUint64(b, i.Seq)
	b = append(b, i.Prev[:]...)
	b = binary.BigEndian.AppendUint64(b, i.At)
	b = codec.AppendV16(b, i.Pin)
	return codec.AppendV16(b, i.Extra)
}

// ParseInvitation reads one strictly. Error: ErrPayload.
func ParseInvitation(b []byte) (*Invitation, error) {
	r := codec.NewReader(b)
	kind := r.U8()
	i := &Invitation{}
	r.Copy(i.Account[:])
	name, err := account.ParseName(string(r.V16(64)))
	i.Name = name
	i.Seq = r.U64()
	r.Copy(i.Prev[:])
	i.At = r.U64()
	i.Pin = present(r.V16(pinSize))
	i.Extra = present(r.V16(MaxExtra))
	if !r.Done() || kind != kindInvitation || err != nil || i.Seq == 0 || len(i.Pin) != 0 && len(i.Pin) != pinSize {
		return nil, reject.New("V-235", ErrPayload, "not an invitation")
	}
	return i, nil
}

// present is a copy of b, nil when it is empty.
func present(b []byte) []byte { return append([]byte(nil), b...) }

// Application is what the new device says.
type Application struct {
	Device    *account.Device
	Signature account.Signature // over account.AdditionBody of the invitation's place
	Bundle    []byte            // its first prekey bundle
	Label     string            // its name for people
	History   secret.Key        // which the old device seals the history under
}

// Marshal gives the one encoding.
func (a *Application) Marshal() []byte {
	b := codec.AppendV16([]byte{kindApplication}, a.Device.Marshal())
	b = a.Signature.Append(b)
	b = codec.AppendV16(b, a.Bundle)
	b = codec.AppendV16(b, []byte(a.Label))
	return append(b, a.History[:]...)
}

// ParseApplication reads one strictly. That the signature is good shows when
// the statement is assembled. Error: ErrPayload.
func ParseApplication(b []byte) (*Application, error) {
	r := codec.NewReader(b)
	kind := r.U8()
	a := &Application{}
	device, deviceErr := account.ParseDevice(r.V16(8 << 10))
	a.Device = device
	r.Copy(a.Signature.ECDSA[:])
	r.Copy(a.Signature.MLDSA[:])
	a.Bundle = present(r.V16(account.BundleSize))
	a.Label = string(r.V16(MaxLabel))
	r.Copy(a.History[:])
	if !r.Done() || kind != kindApplication || deviceErr != nil || !utf8.ValidString(a.Label) {
		return nil, reject.New("V-235", ErrPayload, "not an application")
	}
	return a, nil
}

// Verdict is how a pairing ends.
type Verdict uint8

// The verdicts.
const (
	Linked    Verdict = iota + 1 // the statement is stored at the server
	Declined                     // the user of the old device said no
	Overtaken                    // the roster has changed meanwhile: pair again
	Failed                       // the old device could not store the statement
)

// Marshal gives the one encoding.
func (v Verdict) Marshal() []byte { return []byte{kindVerdict, byte(v)} }

// ParseVerdict reads one strictly. Error: ErrPayload.
func ParseVerdict(b []byte) (Verdict, error) {
	if len(b) != 2 || b[0] != kindVerdict || b[1] < byte(Linked) || b[1] > byte(Failed) {
		return 0, reject.New("V-235", ErrPayload, "not a verdict")
	}
	return Verdict(b[1]), nil
}

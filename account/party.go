package account

import "github.com/posthorn/posthorn/internal/codec"

// Party is one end of a session: a device and the account that it belongs to.
type Party struct {
	Account ID
	Device  *Device
}

// Binding gives the bytes that stand for the party in everything a session
// signs or derives. PQ3 names the account by a text and binds the ECDSA key,
// as published; PQ3A binds both keys. SPEC §4.3.
func (p Party) Binding(s Suite) []byte {
	if s == PQ3 {
		b := codec.AppendV16(nil, []byte(p.Account.String()))
		b = codec.AppendV16(b, p.Device.ID[:])
		return codec.AppendV16(b, p.Device.Key.ecdsaBytes[:])
	}
	b := codec.AppendV16(nil, p.Account[:])
	b = codec.AppendV16(b, p.Device.ID[:])
	return codec.AppendV16(b, p.Device.Key.digest[:])
}

// SessionContext binds whatever is signed or derived to a suite, a sender and
// a receiver. Every field carries its length, so different triples never give
// the same bytes, and swapping the parties changes them. SPEC §4.3.
func SessionContext(s Suite, from, to Party) []byte {
	b := codec.AppendV16(nil, []byte(s.Label()))
	b = append(b, from.Binding(s)...)
	return append(b, to.Binding(s)...)
}

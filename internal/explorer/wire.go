package explorer

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/account"
)

// fields are the parts of a message that an observer of the wire follows, read
// by the table of SPEC §9.1 without help from package pq3.
type fields struct {
	suite              account.Suite
	flags              byte
	session            [8]byte
	epoch, n, previous uint32
	ratchetKey         []byte
	kemKey             []byte // advertised, where carried
	kemCiphertext      []byte // where carried
	prekeyHash         []byte
	ciphertext         []byte
}

// readFields takes a message that this program made apart.
func readFields(wire []byte) fields {
	f := fields{suite: account.Suite(wire[0]), flags: wire[1], session: [8]byte(wire[2:10])}
	f.epoch = binary.BigEndian.Uint32(wire[10:])
	f.n = binary.BigEndian.Uint32(wire[14:])
	f.previous = binary.BigEndian.Uint32(wire[18:])
	f.ratchetKey, wire = wire[22:54], wire[54:]
	if f.flags&7 != 0 {
		wire = wire[8:]
	}
	if f.flags&0x80 != 0 {
		wire = f.readObjects(wire)
	}
	wire = wire[32:]
	wire = wire[2+binary.BigEndian.Uint16(wire):]
	f.ciphertext = wire[4 : 4+binary.BigEndian.Uint32(wire)]
	return f
}

func (f *fields) readObjects(wire []byte) []byte {
	take := func(n int) (part []byte) {
		part, wire = wire[:n], wire[n:]
		return part
	}
	if f.flags&1 != 0 {
		f.kemKey = take(1184)
	}
	if f.flags&2 != 0 && f.epoch == 0 {
		f.kemCiphertext = take(1568)
	} else if f.flags&2 != 0 {
		f.kemCiphertext = take(1088)
	}
	if f.flags&4 != 0 {
		f.prekeyHash = take(48)
		take(8)
		if f.suite == account.PQ3A {
			take(3309)
		}
	}
	return wire
}

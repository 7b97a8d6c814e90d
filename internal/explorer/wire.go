package explorer

import (
	"crypto/sha512"
	"encoding/binary"

	"github.com/posthorn/posthorn/account"
)

// fields are the parts of a message, read by the table of SPEC §9.1 without
// help from package pq3. Absent ones are nil.
type fields struct {
	suite              account.Suite
	flags              byte
	session            [8]byte
	epoch, n, previous uint32
	ratchetKey         []byte
	digest             []byte // of the objects
	kemKey             []byte // advertised
	kemCiphertext      []byte
	prekeyHash         []byte
	startTime          []byte
	startSignature     []byte
	proof              []byte // indicator or tag
	authData           []byte
	ciphertext         []byte
	signature          []byte
}

// readFields takes a message that this program made apart.
func readFields(wire []byte) fields {
	f := fields{suite: account.Suite(wire[0]), flags: wire[1], session: [8]byte(wire[2:10])}
	f.epoch = binary.BigEndian.Uint32(wire[10:])
	f.n = binary.BigEndian.Uint32(wire[14:])
	f.previous = binary.BigEndian.Uint32(wire[18:])
	rest := wire[22:]
	take := func(n int) (part []byte) {
		part, rest = rest[:n:n], rest[n:]
		return part
	}
	f.ratchetKey = take(32)
	if f.flags&7 != 0 {
		f.digest = take(8)
	}
	if f.flags&0x80 != 0 {
		f.readObjects(take)
	}
	f.proof = take(32)
	f.authData = take(int(binary.BigEndian.Uint16(take(2))))
	f.ciphertext = take(int(binary.BigEndian.Uint32(take(4))))
	f.signature = take(64)
	return f
}

func (f *fields) readObjects(take func(int) []byte) {
	if f.flags&1 != 0 {
		f.kemKey = take(1184)
	}
	if f.flags&2 != 0 && f.epoch == 0 {
		f.kemCiphertext = take(1568)
	} else if f.flags&2 != 0 {
		f.kemCiphertext = take(1088)
	}
	if f.flags&4 != 0 {
		f.prekeyHash, f.startTime = take(48), take(8)
		if f.suite == account.PQ3A {
			f.startSignature = take(3309)
		}
	}
}

// wire is the reverse of readFields.
func (f *fields) wire() []byte {
	b := append([]byte{byte(f.suite), f.flags}, f.session[:]...)
	for _, v := range []uint32{f.epoch, f.n, f.previous} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	for _, part := range [][]byte{f.ratchetKey, f.digest, f.kemKey, f.kemCiphertext, f.prekeyHash, f.startTime, f.startSignature, f.proof} {
		b = append(b, part...)
	}
	b = v16(b, f.authData)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.ciphertext)))
	return append(append(b, f.ciphertext...), f.signature...)
}

// covered are the signed bytes of SPEC §9.2.
func (f *fields) covered(context []byte) []byte {
	b := []byte("messageSignaturev1")
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.ciphertext)))
	b = append(b, f.ciphertext...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(f.authData)))
	b = append(b, f.authData...)
	b = append(append(b, f.proof...), f.ratchetKey...)
	b = binary.BigEndian.AppendUint32(b, f.n)
	b = append(b, context...)
	b = v16(v16(v16(b, f.kemKey), f.kemCiphertext), f.prekeyHash)
	b = append(b, f.session[:]...)
	b = binary.BigEndian.AppendUint32(b, f.epoch)
	b = binary.BigEndian.AppendUint32(b, f.previous)
	b = v16(v16(b, f.startTime), f.startSignature)
	return v16(append(b, f.flags), f.digest)
}

// objectsDigest is odig of SPEC §9.3.
func (f *fields) objectsDigest(context []byte) []byte {
	b := append([]byte("posthorn/objs/v1"), context...)
	b = append(b, f.session[:]...)
	b = append(binary.BigEndian.AppendUint32(b, f.epoch), f.ratchetKey...)
	b = v16(v16(v16(b, f.kemKey), f.kemCiphertext), f.prekeyHash)
	b = v16(v16(b, f.startTime), f.startSignature)
	sum := sha512.Sum384(b)
	return sum[:8]
}

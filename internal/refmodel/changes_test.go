package refmodel_test

import (
	"bytes"
	"encoding/binary"

	"github.com/posthorn/posthorn/internal/refmodel"
)

// flipped is a changed copy.
func flipped(b []byte, i int) []byte {
	out := bytes.Clone(b)
	if i >= 0 && i < len(out) {
		out[i] ^= 1
	}
	return out
}

func resized(b []byte, n int) []byte {
	return append(bytes.Clone(b[:min(n, len(b))]), make([]byte, max(0, n-len(b)))...)
}

func orElse(b []byte, n int) []byte {
	if b == nil {
		return make([]byte, n)
	}
	return b
}

// changes are what a bad sender does to the fields of a message before it signs.
var changes = []func(*refmodel.Message){
	func(m *refmodel.Message) { m.Version ^= 3 },
	func(m *refmodel.Message) { m.Version = 3 },
	func(m *refmodel.Message) { m.Flags ^= 8 },
	func(m *refmodel.Message) { m.Flags ^= 128 },
	func(m *refmodel.Message) { // announces a key that is not there
		m.Flags ^= 1
		m.Odig = orElse(m.Odig, 8)
	},
	func(m *refmodel.Message) { // brings a key
		m.Flags |= 129
		m.Odig, m.KEMPK = orElse(m.Odig, 8), orElse(m.KEMPK, 1184)
		if m.Flags&2 != 0 {
			m.KEMCT = orElse(m.KEMCT, 1088)
		}
	},
	func(m *refmodel.Message) { // brings an answer
		m.Flags |= 130
		m.Odig, m.KEMCT = orElse(m.Odig, 8), orElse(m.KEMCT, 1088)
		if m.Flags&1 != 0 {
			m.KEMPK = orElse(m.KEMPK, 1184)
		}
	},
	func(m *refmodel.Message) { // leaves every object out, and does not name them
		m.Flags, m.Odig, m.Objects = 0, nil, refmodel.Objects{}
	},
	func(m *refmodel.Message) { // leaves the objects out, and names them
		m.Flags, m.Objects = m.Flags&7, refmodel.Objects{}
	},
	func(m *refmodel.Message) { // and is too long to leave them out
		m.Flags, m.Objects, m.Ciphertext = m.Flags&7, refmodel.Objects{}, resized(m.Ciphertext, 4096)
	},
	func(m *refmodel.Message) { m.Flags |= 4 },
	func(m *refmodel.Message) { m.SID = flipped(m.SID, 7) },
	func(m *refmodel.Message) { m.Epoch++ },
	func(m *refmodel.Message) { m.Epoch += 2 },
	func(m *refmodel.Message) { m.Epoch -= 2 },
	func(m *refmodel.Message) { m.N++ },
	func(m *refmodel.Message) { m.N-- },
	func(m *refmodel.Message) { m.N = 499 },
	func(m *refmodel.Message) { m.N = 500 },
	func(m *refmodel.Message) { m.PN++ },
	func(m *refmodel.Message) { m.PN-- },
	func(m *refmodel.Message) { m.PN = 0 },
	func(m *refmodel.Message) { m.PN = 500 },
	func(m *refmodel.Message) { m.PN = 501 },
	func(m *refmodel.Message) { m.ECDHPK = bytes.Repeat([]byte{0xff}, 32) },
	func(m *refmodel.Message) { m.ECDHPK = make([]byte, 32) },            // x = 0 is a point's
	func(m *refmodel.Message) { m.ECDHPK = append(make([]byte, 31), 1) }, // x = 1 is none's
	func(m *refmodel.Message) { m.Odig = flipped(m.Odig, 0) },
	func(m *refmodel.Message) { m.KEMPK = flipped(m.KEMPK, 100) },
	func(m *refmodel.Message) { // a coefficient that is not reduced
		if m.KEMPK = bytes.Clone(m.KEMPK); m.KEMPK != nil {
			m.KEMPK[0], m.KEMPK[1] = 0xff, 0xff
		}
	},
	func(m *refmodel.Message) { // the least coefficient that is not reduced
		if m.KEMPK = bytes.Clone(m.KEMPK); m.KEMPK != nil {
			binary.LittleEndian.PutUint16(m.KEMPK, 3329)
		}
	},
	func(m *refmodel.Message) { m.KEMCT = flipped(m.KEMCT, 0) },
	func(m *refmodel.Message) { m.PreKeyHash = flipped(m.PreKeyHash, 0) },
	func(m *refmodel.Message) { shift(m, 5*int64(minute)+1) },
	func(m *refmodel.Message) { shift(m, -6*int64(minute)) },
	func(m *refmodel.Message) { shift(m, -31*int64(day)) },
	func(m *refmodel.Message) { m.PQSig = flipped(m.PQSig, 0) },
	func(m *refmodel.Message) { m.Proof = flipped(orElse(m.Proof, 32), 0) },
	func(m *refmodel.Message) { m.AuthData = make([]byte, 1024) },
	func(m *refmodel.Message) { m.AuthData = make([]byte, 1025) },
	func(m *refmodel.Message) { m.Ciphertext = flipped(m.Ciphertext, 0) },
	func(m *refmodel.Message) { m.Ciphertext = flipped(m.Ciphertext, len(m.Ciphertext)-1) },
	func(m *refmodel.Message) { m.Ciphertext = resized(m.Ciphertext, 127) },
	func(m *refmodel.Message) { m.Ciphertext = resized(m.Ciphertext, 129) },
	func(m *refmodel.Message) { m.Ciphertext = resized(m.Ciphertext, 136) },
	func(m *refmodel.Message) { m.Ciphertext = resized(m.Ciphertext, 4096) },
	func(m *refmodel.Message) { m.Ciphertext = resized(m.Ciphertext, 126976) },
	func(m *refmodel.Message) { m.Ciphertext = nil },
	func(m *refmodel.Message) {},
}

// frames are padded plaintexts that no honest sender makes.
var frames = []func([]byte) []byte{
	func(f []byte) []byte { return flipped(f, len(f)-1) },
	func(f []byte) []byte { return flipped(f, 0) },
	func(f []byte) []byte { return flipped(f, 3) },
	func(f []byte) []byte { return resized(f, 136) },
	func(f []byte) []byte { return bytes.Repeat([]byte{0xff}, len(f)) },
	func(f []byte) []byte { return append([]byte{0, 0, 0, 125}, f[4:]...) },
	func(f []byte) []byte { return append([]byte{0, 0, 0, 124}, f[4:]...) }, // its zeros are text: well formed
	func(f []byte) []byte { return make([]byte, len(f)) },                   // an empty text: well formed
}

// shift moves the time of a start.
func shift(m *refmodel.Message, ms int64) {
	if m.StartTime != nil {
		m.StartTime = binary.BigEndian.AppendUint64(nil, binary.BigEndian.Uint64(m.StartTime)+uint64(ms))
	}
}

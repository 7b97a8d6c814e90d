package refmodel

import "math/bits"

// Objects are the large public values of a chain; what it does not have is nil.
// SPEC §9.3.
type Objects struct {
	KEMPK, KEMCT, PreKeyHash, StartTime, PQSig []byte
}

// Message is one message, field by field. SPEC §9.1.
type Message struct {
	Version    byte
	Flags      byte
	SID        []byte
	Epoch      uint32
	N, PN      uint32
	ECDHPK     []byte
	Odig       []byte
	Objects    // those that this message carries
	Proof      []byte
	AuthData   []byte
	Ciphertext []byte
	Signature  []byte
}

// The flags. SPEC §9.3.
const (
	hasKEMPK byte = 1
	hasKEMCT byte = 2
	hasStart byte = 4
	carried  byte = 128
)

// kinds is flags & 7: which objects the chain has.
func (m *Message) kinds() byte { return m.Flags & 7 }

// carries reports whether this message has its chain's objects on board.
func (m *Message) carries() bool { return m.Flags&carried != 0 }

// Parse reads one message strictly. SPEC §9.1, §9.3, §9.4, §9.6 step 1.
func Parse(b []byte) (m *Message, err error) {
	defer caught(&err)
	require(len(b) <= 131072, "V-30")
	r := &reader{b, "V-30"}
	m = &Message{Version: r.u8(), Flags: r.u8(), SID: r.take(8), Epoch: r.u32(), N: r.u32(), PN: r.u32()}
	require(m.Version == PQ3 || m.Version == PQ3A, "V-30")
	require(legalFlags(m.Flags, m.Epoch), "V-31")
	m.ECDHPK = r.take(32)
	if m.kinds() != 0 {
		m.Odig = r.take(8)
	}
	if m.carries() {
		m.Objects = readObjects(r, m)
	}
	m.Proof = r.take(32)
	m.AuthData = r.take(value(r.take(2)))
	require(len(m.AuthData) <= 1024, "V-30")
	m.Ciphertext = r.take(value(r.take(4)))
	m.Signature = r.take(64)
	r.end()
	require(m.N < 500 && m.PN <= 500, "V-33")
	require(isPaddedLength(len(m.Ciphertext)), "V-34")
	require(!(len(m.Ciphertext) >= 4096 && m.kinds() != 0 && !m.carries()), "V-32")
	return m, nil
}

// legalFlags is the table of SPEC §9.3.
func legalFlags(flags byte, epoch uint32) bool {
	kinds := flags & 7
	switch {
	case flags&^(carried|7) != 0:
		return false
	case epoch == 0:
		return kinds == hasKEMCT|hasStart
	case kinds&hasStart != 0:
		return false
	}
	return flags&carried == 0 || kinds != 0
}

func readObjects(r *reader, m *Message) (o Objects) {
	if m.Flags&hasKEMPK != 0 {
		o.KEMPK = r.take(1184)
	}
	if m.Flags&hasKEMCT != 0 && m.Epoch == 0 {
		o.KEMCT = r.take(1568)
	} else if m.Flags&hasKEMCT != 0 {
		o.KEMCT = r.take(1088)
	}
	if m.Flags&hasStart != 0 {
		o.PreKeyHash = r.take(48)
		o.StartTime = r.take(8)
		if m.Version == PQ3A {
			o.PQSig = r.take(3309)
		}
	}
	return o
}

// Bytes is the wire form. SPEC §9.1.
func (m *Message) Bytes() []byte {
	return cat(u8(m.Version), u8(m.Flags), m.SID, u32(m.Epoch), u32(m.N), u32(m.PN), m.ECDHPK, m.Odig,
		m.KEMPK, m.KEMCT, m.PreKeyHash, m.StartTime, m.PQSig,
		m.Proof, v16(m.AuthData), v32(m.Ciphertext), m.Signature)
}

// covered is covered(x) under a session context. SPEC §9.2.
func (m *Message) covered(dst, x []byte) []byte {
	return cat([]byte("messageSignature"), []byte("v1"), v32(m.Ciphertext), v32(m.AuthData), x, m.ECDHPK,
		u32(m.N), dst, v16(m.KEMPK), v16(m.KEMCT), v16(m.PreKeyHash),
		m.SID, u32(m.Epoch), u32(m.PN), v16(m.StartTime), v16(m.PQSig), u8(m.Flags), v16(m.Odig))
}

// objectsHash is OH. SPEC §9.3.
func objectsHash(dst, sid []byte, epoch uint32, ecdhPK []byte, o Objects) []byte {
	return sha384([]byte("posthorn/objs/v1"), dst, sid, u32(epoch), ecdhPK, v16(o.KEMPK),
		v16(o.KEMCT), v16(o.PreKeyHash), v16(o.StartTime), v16(o.PQSig))
}

// paced reports whether objects ride at position n: n + 1 is a power of two.
// SPEC §9.3.
func paced(n uint32, flaw Flaw) bool {
	if flaw == PacedByIndex {
		return bits.OnesCount32(n) == 1
	}
	return bits.OnesCount32(n+1) == 1
}

// P is the padding rule. SPEC §9.4.
func P(length int) int {
	if length <= 128 {
		return 128
	}
	e := floorLog2(length)
	z := e - (floorLog2(e) + 1)
	return (length + 1<<z - 1) &^ (1<<z - 1)
}

func floorLog2(x int) int { return bits.Len(uint(x)) - 1 }

// isPaddedLength reports whether P yields this length: P yields it for itself or
// for nothing. SPEC §9.4.
func isPaddedLength(c int) bool { return c >= 128 && P(c) == c }

// pad makes the frame of a plaintext. SPEC §9.4.
func pad(plaintext []byte) []byte {
	frame := cat(u32(uint32(len(plaintext))), plaintext)
	return cat(frame, make([]byte, P(len(frame))-len(frame)))
}

// unpad takes a frame apart, or refuses it: V-55. SPEC §9.4.
func unpad(frame []byte, flaw Flaw) []byte {
	length := value(frame[:4])
	require(length <= uint64(len(frame)-4), "V-55")
	plaintext, zeros := frame[4:4+length], frame[4+length:]
	if flaw != PaddingUnchecked {
		require(P(4+int(length)) == len(frame), "V-55")
		require(allZero(zeros), "V-55")
	}
	return cat(plaintext)
}

package pq3

import (
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"slices"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
)

// SessionID names a session between two devices: 8 bytes derived from its
// first public values.
type SessionID [8]byte

// String is lower-case hex.
func (id SessionID) String() string { return hex.EncodeToString(id[:]) }

const (
	signatureSize = 64
	proofSize     = 32 // indicator or tag
	// overhead is what a message adds to ciphertext, associated data and
	// objects: 156 bytes.
	overhead = 1 + 1 + 8 + 3*4 + ecdhSize + proofSize + 2 + 4 + signatureSize
	// maxAuthData keeps associated data from crowding out the message.
	maxAuthData = 1 << 10
)

// Message is one parsed message of either suite. Parsing checks form only; a
// Message proves nothing until a session has opened it. It is immutable and
// aliases the bytes it was parsed from. SPEC §9.1.
type Message struct {
	wire       []byte
	suite      account.Suite
	flags      byte
	session    SessionID
	epoch      uint32
	index      uint32
	previous   uint32 // length of the sender's previous chain
	ratchetKey []byte // 32, x-coordinate
	digest     []byte // 8 when the chain has objects, else nil
	objects    objects
	proof      []byte // 32: indicator (PQ3) or tag (PQ3A)
	authData   []byte
	ciphertext []byte
	signature  []byte // 64
}

// ParseMessage reads the one canonical form of a message. It keeps b, which
// the caller must not change afterwards. Errors: ErrMalformed, ErrSkipLimit.
func ParseMessage(b []byte) (*Message, error) {
	if len(b) > MaxMessage {
		return nil, reject.New("V-30", ErrMalformed, "longer than 128 KiB")
	}
	r := codec.NewReader(b)
	m := &Message{wire: b, suite: account.Suite(r.U8()), flags: r.U8()}
	if r.Failed() || !m.suite.Valid() {
		return nil, reject.New("V-30", ErrMalformed, "unknown version")
	}
	r.Copy(m.session[:])
	m.epoch, m.index, m.previous = r.U32(), r.U32(), r.U32()
	if r.Failed() {
		return nil, reject.New("V-30", ErrMalformed, "truncated")
	}
	if !flagsLegal(m.flags, m.epoch) {
		return nil, reject.New("V-31", ErrMalformed, "flags")
	}
	m.readBody(r)
	if !r.Done() {
		return nil, reject.New("V-30", ErrMalformed, "truncated, or bytes left over")
	}
	if err := m.checkLimits(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Message) readBody(r *codec.Reader) {
	m.ratchetKey = r.Bytes(ecdhSize)
	if m.flags&flagsObjects != 0 {
		m.digest = r.Bytes(objectsDigestSize)
	}
	if m.flags&flagCarried != 0 {
		m.objects = readObjects(r, m.flags, m.suite, m.epoch)
	}
	m.proof = r.Bytes(proofSize)
	m.authData = r.V16(maxAuthData)
	m.ciphertext = r.V32(MaxMessage)
	m.signature = r.Bytes(signatureSize)
}

// flagsLegal allows the start objects in epoch 0 and there only, and "carried"
// only where there is something to carry.
func flagsLegal(flags byte, epoch uint32) bool {
	if flags&^(flagsObjects|flagCarried) != 0 {
		return false
	}
	has := flags & flagsObjects
	if epoch == 0 {
		return has == flagsEpoch0
	}
	return has&flagStart == 0 && (has != 0 || flags&flagCarried == 0)
}

func (m *Message) checkLimits() error {
	if m.index >= maxChain || m.previous > maxChain {
		return reject.New("V-33", ErrSkipLimit, "no chain is that long")
	}
	if len(m.ciphertext) < minPadded || paddedSize(len(m.ciphertext)) != len(m.ciphertext) {
		return reject.New("V-34", ErrMalformed, "ciphertext length is not a padded length")
	}
	if m.LacksObjects() && len(m.ciphertext) >= largeCiphertext {
		return reject.New("V-32", ErrMalformed, "a large message left out the objects of its chain")
	}
	return nil
}

// Suite is the suite the message claims.
func (m *Message) Suite() account.Suite { return m.suite }

// Session is the id of the session it belongs to.
func (m *Message) Session() SessionID { return m.session }

// Epoch counts the changes of direction before this message.
func (m *Message) Epoch() uint32 { return m.epoch }

// Index is its position in the sending chain, from 0 to 499.
func (m *Message) Index() uint32 { return m.index }

// AuthData is the associated data: readable by anyone, signed by the sender.
func (m *Message) AuthData() []byte { return m.authData }

// Bytes is the message as it was parsed.
func (m *Message) Bytes() []byte { return m.wire }

// Hash is SHA-384 over the whole message. Use it to tell two copies apart, not
// to tell two messages apart: the signature is not part of a position.
func (m *Message) Hash() [48]byte { return sha512.Sum384(m.wire) }

// IsStart reports whether the message can create a session.
func (m *Message) IsStart() bool { return m.epoch == 0 && m.flags&flagCarried != 0 }

// LacksObjects reports whether its chain has objects that it does not carry.
func (m *Message) LacksObjects() bool {
	return m.flags&flagsObjects != 0 && m.flags&flagCarried == 0
}

// ObjectsDigest is the hint by which missing objects are asked for; zero on a
// chain without objects.
func (m *Message) ObjectsDigest() (d [8]byte) {
	copy(d[:], m.digest)
	return d
}

// wireSize is the length of the message with a ciphertext of the given length.
func (m *Message) wireSize(ciphertext int) int {
	return overhead + len(m.authData) + ciphertext + len(m.digest) + m.objects.size()
}

// layOut appends the canonical form with room for a ciphertext, and points
// proof, ciphertext and signature into it, for the caller to fill in.
func (m *Message) layOut(dst []byte, ciphertext int) []byte {
	dst = slices.Grow(dst, m.wireSize(ciphertext))
	start := len(dst)
	dst = append(dst, byte(m.suite), m.flags)
	dst = append(dst, m.session[:]...)
	dst = binary.BigEndian.AppendUint32(dst, m.epoch)
	dst = binary.BigEndian.AppendUint32(dst, m.index)
	dst = binary.BigEndian.AppendUint32(dst, m.previous)
	dst = append(dst, m.ratchetKey...)
	dst = append(dst, m.digest...)
	dst = m.objects.appendWire(dst)
	dst, m.proof = reserve(dst, proofSize)
	dst = codec.AppendV16(dst, m.authData)
	dst = binary.BigEndian.AppendUint32(dst, uint32(ciphertext))
	dst, m.ciphertext = reserve(dst, ciphertext)
	dst, m.signature = reserve(dst, signatureSize)
	m.wire = dst[start:]
	return dst
}

// reserve lengthens dst by n bytes, for which it has room.
func reserve(dst []byte, n int) (longer, room []byte) {
	longer = dst[:len(dst)+n]
	return longer, longer[len(dst):]
}

// covered is the byte string under tag and signature: every field of the
// message and both devices, with proof in the place of the 32-byte indicator
// or tag. The tag itself is computed with zeros there. SPEC §9.2.
type covered struct {
	bytes []byte
	at    int // where the proof stands
}

func (m *Message) covered(context []byte) covered {
	b := make([]byte, 0, 160+m.wireSize(len(m.ciphertext))+len(context))
	b = append(b, "messageSignature"+"v1"...)
	b = codec.AppendV32(b, m.ciphertext)
	b = codec.AppendV32(b, m.authData)
	at := len(b)
	b = append(b, m.proof...)
	b = append(b, m.ratchetKey...)
	b = binary.BigEndian.AppendUint32(b, m.index)
	b = append(b, context...)
	b = codec.AppendV16(b, m.objects.kemKey)
	b = codec.AppendV16(b, m.objects.kemCiphertext)
	b = codec.AppendV16(b, m.objects.prekeyHash)
	b = append(b, m.session[:]...)
	b = binary.BigEndian.AppendUint32(b, m.epoch)
	b = binary.BigEndian.AppendUint32(b, m.previous)
	b = codec.AppendV16(b, m.objects.startTime)
	b = codec.AppendV16(b, m.objects.startSignature)
	b = append(b, m.flags)
	b = codec.AppendV16(b, m.digest)
	return covered{bytes: b, at: at}
}

// with puts proof into its place and returns the whole string.
func (c covered) with(proof []byte) []byte {
	copy(c.bytes[c.at:], proof)
	return c.bytes
}

// blank puts zeros there, which is what the tag is computed over.
func (c covered) blank() []byte {
	clear(c.bytes[c.at:][:proofSize])
	return c.bytes
}

package pq3

import (
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/binary"
	"math/bits"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
)

// The flags of a message. The low three say what objects its chain has; the
// top one says that this message carries all of them. SPEC §9.3.
const (
	flagKEMKey        = 1 << 0 // an ML-KEM-768 key to answer
	flagKEMCiphertext = 1 << 1 // an answer, or the ciphertext of a start
	flagStart         = 1 << 2 // prekey hash, start time, start signature
	flagCarried       = 1 << 7

	flagsObjects = flagKEMKey | flagKEMCiphertext | flagStart
	flagsEpoch0  = flagKEMCiphertext | flagStart
)

// Sizes on the wire, in bytes.
const (
	kemKeySize          = mlkem.EncapsulationKeySize768
	kemCiphertextSize   = mlkem.CiphertextSize768
	startCiphertextSize = mlkem.CiphertextSize1024
	prekeyHashSize      = 48
	startTimeSize       = 8
	startSignatureSize  = 3309
	objectsDigestSize   = 8
	ecdhSize            = 32
)

// objects are the large public values of one sending chain. They travel
// together or not at all. Absent ones are nil.
type objects struct {
	kemKey         []byte // 1,184
	kemCiphertext  []byte // 1,088, or 1,568 in epoch 0
	prekeyHash     []byte // 48, epoch 0 only
	startTime      []byte // 8, epoch 0 only
	startSignature []byte // 3,309, epoch 0 of PQ3A only
}

func (o *objects) flags() (f byte) {
	if o.kemKey != nil {
		f |= flagKEMKey
	}
	if o.kemCiphertext != nil {
		f |= flagKEMCiphertext
	}
	if o.prekeyHash != nil {
		f |= flagStart
	}
	return f
}

// appendWire appends the objects in wire order.
func (o *objects) appendWire(dst []byte) []byte {
	dst = append(dst, o.kemKey...)
	dst = append(dst, o.kemCiphertext...)
	dst = append(dst, o.prekeyHash...)
	dst = append(dst, o.startTime...)
	return append(dst, o.startSignature...)
}

// readObjects takes the objects that flags name. The slices alias the input.
func readObjects(r *codec.Reader, flags byte, suite account.Suite, epoch uint32) (o objects) {
	if flags&flagKEMKey != 0 {
		o.kemKey = r.Bytes(kemKeySize)
	}
	if flags&flagKEMCiphertext != 0 {
		size := kemCiphertextSize
		if epoch == 0 {
			size = startCiphertextSize
		}
		o.kemCiphertext = r.Bytes(size)
	}
	if flags&flagStart != 0 {
		o.prekeyHash = r.Bytes(prekeyHashSize)
		o.startTime = r.Bytes(startTimeSize)
		if suite == account.PQ3A {
			o.startSignature = r.Bytes(startSignatureSize)
		}
	}
	return o
}

// size is the length of what appendWire adds.
func (o *objects) size() int {
	return len(o.kemKey) + len(o.kemCiphertext) + len(o.prekeyHash) + len(o.startTime) + len(o.startSignature)
}

// objectsHash identifies the objects of one chain. Its first eight bytes ride
// on every message of the chain; they are a routing hint, never a key.
// SPEC §9.3.
type objectsHash [sha512.Size384]byte

func (h objectsHash) digest() (d [objectsDigestSize]byte) {
	copy(d[:], h[:])
	return d
}

// hash binds the objects to direction, session, epoch and ratchet key.
//
// formal: objects-hash
func (o *objects) hash(context []byte, id SessionID, epoch uint32, ratchetKey []byte) objectsHash {
	b := make([]byte, 0, 128+len(context)+o.size())
	b = append(b, "posthorn/objs/v1"...)
	b = append(b, context...)
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, epoch)
	b = append(b, ratchetKey...)
	b = codec.AppendV16(b, o.kemKey)
	b = codec.AppendV16(b, o.kemCiphertext)
	b = codec.AppendV16(b, o.prekeyHash)
	b = codec.AppendV16(b, o.startTime)
	b = codec.AppendV16(b, o.startSignature)
	return sha512.Sum384(b)
}

// carries is the pacing rule: on a chain with objects they ride on messages
// 0, 1, 3, 7, 15, … and on every large one, so that a lost copy is soon
// followed by another and a burst does not repeat them on each message.
// SPEC §9.3.
func carries(flags byte, n uint32, ciphertext int) bool {
	return flags&flagsObjects != 0 && (bits.OnesCount32(n+1) == 1 || ciphertext >= largeCiphertext)
}

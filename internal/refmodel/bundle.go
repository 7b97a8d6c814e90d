package refmodel

import "crypto/mlkem"

// The units of time: milliseconds. SPEC §3.2.
const (
	minute uint64 = 60 * 1000
	hour          = 60 * minute
	day           = 24 * hour
)

// Bundle is a prekey bundle. SPEC §5.1.
type Bundle struct {
	Suite               byte
	ECDH, KEM           []byte
	NotBefore, NotAfter uint64
	Signature           []byte
}

// ParseBundle reads the table of SPEC §5.1: V-11 to V-14.
func ParseBundle(b []byte) (bundle *Bundle, err error) {
	defer caught(&err)
	require(len(b) == 4991, "V-11")
	r := &reader{b, "V-11"}
	version := r.u8()
	bundle = &Bundle{
		Suite: r.u8(), ECDH: r.take(32), KEM: r.take(1568),
		NotBefore: r.u64(), NotAfter: r.u64(), Signature: r.take(3373),
	}
	r.end()
	require(version == 1 && (bundle.Suite == PQ3 || bundle.Suite == PQ3A), "V-11")
	_, exists := lift(bundle.ECDH)
	require(exists, "V-12")
	require(reduced(bundle.KEM), "V-13")
	require(bundle.NotAfter > bundle.NotBefore && bundle.NotAfter-bundle.NotBefore <= 30*day, "V-14")
	return bundle, nil
}

// reduced reports whether every 12-bit coefficient of an ML-KEM key is below
// the modulus 3,329; the last 32 bytes are a seed. SPEC §3.3.
func reduced(key []byte) bool {
	for i := 0; i+3 <= len(key)-32; i += 3 {
		low := int(key[i]) | int(key[i+1]&15)<<8
		high := int(key[i+1])>>4 | int(key[i+2])<<4
		if low >= 3329 || high >= 3329 {
			return false
		}
	}
	return true
}

// signed is what both signatures of a bundle cover. SPEC §5.1.
func (b *Bundle) signed(owner *Device) []byte {
	return cat(v16(suiteString(b.Suite)), []byte("preKeySignature"), []byte("v1"), owner.binding(b.Suite),
		v16(b.ECDH), v16(b.KEM), u64(b.NotBefore), u64(b.NotAfter))
}

// Hash is preKeyHash. SPEC §5.1.
func (b *Bundle) Hash() []byte {
	return sha384(v16(b.ECDH), v16(b.KEM), v16(b.Signature[:64]), v16(b.Signature[64:]))
}

// Marshal is the wire form. SPEC §5.1.
func (b *Bundle) Marshal() []byte {
	return cat(u8(1), u8(b.Suite), b.ECDH, b.KEM, u64(b.NotBefore), u64(b.NotAfter), b.Signature)
}

// check is what a sender asks of a bundle besides its form. SPEC §5.1.
func (b *Bundle) check(owner *Device, now uint64) {
	require(owner.lists(b.Suite), "V-16")
	require(owner.verifiesHybrid(b.signed(owner), b.Signature, "posthorn/bundle/v1"), "V-17")
	require(b.covers(now), "V-15")
}

// covers reports whether a time lies in the validity, give or take five
// minutes. SPEC §5.1, §5.3.
func (b *Bundle) covers(t uint64) bool {
	return t+5*minute >= b.NotBefore && t <= b.NotAfter+5*minute
}

// Prekey is a bundle with its private half. SPEC §5.1.
type Prekey struct {
	Bundle *Bundle
	scalar []byte
	seed   []byte
}

// NewPrekey makes and signs a bundle. SPEC §3.4, §5.1.
func NewPrekey(owner *Own, suite byte, notBefore, notAfter uint64, read Read) *Prekey {
	p := &Prekey{scalar: newScalar(read)}
	p.seed = draw(read, 64)
	key, err := mlkem.NewDecapsulationKey1024(p.seed)
	if err != nil {
		panic(err) // 64 bytes are a seed
	}
	p.Bundle = &Bundle{
		Suite: suite, ECDH: publicX(p.scalar), KEM: key.EncapsulationKey().Bytes(),
		NotBefore: notBefore, NotAfter: notAfter,
	}
	p.Bundle.Signature = owner.signHybrid(p.Bundle.signed(&owner.Device), "posthorn/bundle/v1")
	return p
}

package refmodel

import (
	"encoding/hex"

	"filippo.io/mldsa"
)

// The suites. SPEC §3.1.
const (
	PQ3  byte = 1
	PQ3A byte = 2
)

func suiteString(suite byte) []byte {
	if suite == PQ3 {
		return []byte("PQ3/P256/MLKEM1024/MLKEM768/SHA384/AES256CTR/ECDSA")
	}
	return []byte("PQ3A/P256/MLKEM1024/MLKEM768/SHA384/AES256CTR-HMAC/ECDSA+MLDSA65")
}

// Device is the public side of one end: what its record says and whose it is.
// SPEC §4.2.
type Device struct {
	Account []byte // 48 bytes
	ID      []byte // 32 bytes
	ECDSA   []byte // compressed, 33 bytes
	MLDSA   []byte // 1,952 bytes
	Suites  []byte
}

func (d *Device) lists(suite byte) bool {
	for _, s := range d.Suites {
		if s == suite {
			return true
		}
	}
	return false
}

// chosenSuite is the one suite of two devices, or 0. SPEC §4.4.
func chosenSuite(a, b *Device) byte {
	for _, suite := range []byte{PQ3A, PQ3} {
		if a.lists(suite) && b.lists(suite) {
			return suite
		}
	}
	return 0
}

// keyDigest is digest(key) of SPEC §3.6.
func (d *Device) keyDigest() []byte {
	return sha384([]byte("posthorn/devkeys/v1"), v16(d.ECDSA), v16(d.MLDSA))
}

// binding is Binding(account, device) of SPEC §4.3.
func (d *Device) binding(suite byte) []byte {
	if suite == PQ3 {
		return cat(v16([]byte(hex.EncodeToString(d.Account))), v16(d.ID), v16(d.ECDSA))
	}
	return cat(v16(d.Account), v16(d.ID), v16(d.keyDigest()))
}

// dst is dst(from, to) of SPEC §4.3.
func dst(suite byte, from, to *Device) []byte {
	return cat(v16(suiteString(suite)), from.binding(suite), to.binding(suite))
}

// Own is this device with its private keys, kept as the two seeds of SPEC §3.6,
// and the way in which it deviates, if it does.
type Own struct {
	Device
	Scalar []byte // 32 bytes
	Seed   []byte // 32 bytes
	Deviation
}

// NewOwn makes a device from drawn keys. SPEC §3.4, §3.6.
func NewOwn(account, id, suites []byte, read Read) *Own {
	own := &Own{Scalar: newScalar(read)}
	own.Seed = draw(read, 32)
	point := privateKey(own.Scalar).PublicKey().Bytes()
	sign := byte(2) | point[64]&1
	own.Device = Device{
		Account: account, ID: id, Suites: suites,
		ECDSA: cat([]byte{sign}, point[1:33]), MLDSA: own.mldsa().PublicKey().Bytes(),
	}
	return own
}

func (o *Own) mldsa() *mldsa.PrivateKey {
	key, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), o.Seed)
	if err != nil {
		panic(err) // 32 bytes are a seed
	}
	return key
}

// signMLDSA is the deterministic variant of FIPS 204. SPEC §3.1, §17.2.
func (o *Own) signMLDSA(message []byte, context string) []byte {
	signature, err := o.mldsa().SignDeterministic(message, &mldsa.Options{Context: context})
	if err != nil {
		panic(err) // contexts are short
	}
	return signature
}

// verifiesMLDSA is SPEC §3.6.
func (d *Device) verifiesMLDSA(message, signature []byte, context string) bool {
	key, err := mldsa.NewPublicKey(mldsa.MLDSA65(), d.MLDSA)
	return err == nil && mldsa.Verify(key, message, signature, &mldsa.Options{Context: context}) == nil
}

// signHybrid is ecdsa[64] ‖ mldsa[3309]. SPEC §3.6.
func (o *Own) signHybrid(message []byte, context string) []byte {
	return cat(signECDSA(o.Scalar, message), o.signMLDSA(message, context))
}

// verifiesHybrid needs both halves. SPEC §3.6.
func (d *Device) verifiesHybrid(message, signature []byte, context string) bool {
	return len(signature) == 3373 && verifiesECDSA(d.ECDSA, message, signature[:64], false) &&
		d.verifiesMLDSA(message, signature[64:], context)
}

package pq3_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/mlkem"
	"crypto/sha512"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// confessing is an Entropy that keeps every private key it made.
type confessing struct {
	pq3.Entropy
	scalars, seeds [][]byte
}

func (c *confessing) Read(p []byte) {
	c.Entropy.Read(p)
	switch len(p) {
	case 32:
		c.scalars = append(c.scalars, append([]byte(nil), p...))
	case 64:
		c.seeds = append(c.seeds, append([]byte(nil), p...))
	}
}

// eavesdropper recorded every message and was later given private keys. It
// derives everything by itself, with plain calls of the standard library.
type eavesdropper struct {
	scalars, seeds [][]byte
	alice, bob     account.Party
	bundle         *account.Bundle
	root, chain    []byte
	last           []byte // ratchet key of the epoch before
	advertised     []byte // KEM key of the epoch before

	ecdhSecret, kemSecret []byte // what the last root step took in
}

// read follows one message, the first of its epoch, and tries to decrypt it.
func (e *eavesdropper) read(wire []byte) string {
	f := pq3.FieldsOf(wire)
	from, to := e.alice, e.bob
	if f.Epoch%2 == 1 {
		from, to = to, from
	}
	context := account.SessionContext(f.Suite, from, to)
	other, answered := e.last, e.advertised
	if f.Epoch == 0 {
		other, answered, e.root = e.bundle.ECDH[:], e.bundle.KEM[:], make([]byte, 32)
		context = append(context, "session_start"...)
	} else {
		context = append(context, "pk_ratchet"...)
	}
	info := v16(context, other)
	info = v16(info, f.RatchetKey)
	kemSecret := make([]byte, 48)
	if f.KEMCiphertext != nil {
		kemSecret = e.decapsulate(f.KEMCiphertext, answered)
		info = v16(v16(info, f.KEMCiphertext), answered)
	}
	e.step(e.agree(other, f.RatchetKey), kemSecret, string(info))
	e.last, e.advertised = f.RatchetKey, f.KEMKey
	return e.decrypt(f.Ciphertext)
}

func (e *eavesdropper) step(ecdhSecret, kemSecret []byte, info string) {
	e.ecdhSecret, e.kemSecret = ecdhSecret, kemSecret
	x1, _ := hkdf.Extract(sha512.New384, ecdhSecret, e.root)
	x2, _ := hkdf.Extract(sha512.New384, x1, kemSecret)
	out, _ := hkdf.Expand(sha512.New384, x2, "rkDerivation-"+info, 64)
	e.root, e.chain = out[:32], out[32:]
}

// agree needs the private key of either public one; without it, it guesses.
func (e *eavesdropper) agree(a, b []byte) []byte {
	for _, scalar := range e.scalars {
		private, err := ecdh.P256().NewPrivateKey(scalar)
		if err != nil {
			continue
		}
		x := private.PublicKey().Bytes()[1:33]
		for _, pair := range [][2][]byte{{a, b}, {b, a}} {
			if string(x) == string(pair[0]) {
				secret, _ := private.ECDH(liftEven(pair[1]))
				return secret
			}
		}
	}
	return make([]byte, 32)
}

func (e *eavesdropper) decapsulate(ciphertext, public []byte) []byte {
	for _, seed := range e.seeds {
		if k, err := mlkem.NewDecapsulationKey768(seed); err == nil && string(k.EncapsulationKey().Bytes()) == string(public) {
			secret, _ := k.Decapsulate(ciphertext)
			return secret
		}
		if k, err := mlkem.NewDecapsulationKey1024(seed); err == nil && string(k.EncapsulationKey().Bytes()) == string(public) {
			secret, _ := k.Decapsulate(ciphertext)
			return secret
		}
	}
	return make([]byte, 32)
}

func (e *eavesdropper) decrypt(ciphertext []byte) string {
	mk, _ := hkdf.Expand(sha512.New384, e.chain, "msgKeyDerivation", 32)
	material, _ := hkdf.Expand(sha512.New384, mk, "aes-ctr", 48)
	block, _ := aes.NewCipher(material[16:])
	frame := make([]byte, len(ciphertext))
	cipher.NewCTR(block, material[:16]).XORKeyStream(frame, ciphertext)
	if n := binary.BigEndian.Uint32(frame); int(n) < len(frame)-4 {
		return string(frame[4 : 4+n])
	}
	return ""
}

func v16(dst, x []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(x))), x...)
}

// recorded is an alternating conversation with its keys confessed.
func recorded(t *testing.T, suite account.Suite) (wires [][]byte, keys *confessing, p *pair) {
	keys = &confessing{Entropy: pq3test.NewEntropy("confessed")}
	p = newPair(t, pq3.Policy{EveryMessages: 5}, suite)
	p.alice.Ent, p.bob.Ent = keys, keys
	p.bob.Rotate(p.now)
	for i := range 40 {
		from := []*pq3test.Endpoint{p.alice, p.bob}[i%2]
		wire := p.seal(from, "secret of the day")
		p.deliver(p.peer(from), wire)
		wires = append(wires, wire)
	}
	return wires, keys, p
}

// countRead lets an eavesdropper with some keys follow a recording.
func countRead(wires [][]byte, p *pair, scalars, seeds [][]byte) (n int) {
	e := &eavesdropper{scalars: scalars, seeds: seeds, alice: p.alice.Party(), bob: p.bob.Party(), bundle: p.bob.Bundle()}
	for _, wire := range wires {
		if strings.HasPrefix(e.read(wire), "secret of the day") {
			n++
		}
	}
	return n
}

// TestTA14HarvestNowDecryptLater: everything is recorded, and later every
// P-256 private key is known. The control knows the ML-KEM keys as well.
func TestTA14HarvestNowDecryptLater(t *testing.T) {
	for _, suite := range bothSuites {
		wires, keys, p := recorded(t, suite)
		if n := countRead(wires, p, keys.scalars, keys.seeds); n != len(wires) {
			t.Fatalf("%s: the control reads %d of %d", suite, n, len(wires))
		}
		if n := countRead(wires, p, keys.scalars, nil); n != 0 {
			t.Errorf("%s: all P-256 keys read %d messages", suite, n)
		}
	}
}

// TestTA15MLKEMBrokenWhileP256Holds: the other direction of the hybrid.
func TestTA15MLKEMBrokenWhileP256Holds(t *testing.T) {
	for _, suite := range bothSuites {
		wires, keys, p := recorded(t, suite)
		if n := countRead(wires, p, nil, keys.seeds); n != 0 {
			t.Errorf("%s: all ML-KEM keys read %d messages", suite, n)
		}
	}
}

// TestHealingOfALeakedState: a thief of one state, with a quantum computer,
// reads on until the next KEM rekeys complete and no further.
func TestHealingOfALeakedState(t *testing.T) {
	wires, keys, p := recorded(t, account.PQ3A)
	leak := 12
	e := &eavesdropper{scalars: keys.scalars, seeds: keys.seeds, alice: p.alice.Party(), bob: p.bob.Party(), bundle: p.bob.Bundle()}
	for _, wire := range wires[:leak] {
		e.read(wire)
	}
	e.seeds = nil // the state is known; KEM keys made from now on are not
	read := 0
	for _, wire := range wires[leak:] {
		if !strings.HasPrefix(e.read(wire), "secret of the day") {
			break
		}
		read++
	}
	t.Logf("%d messages readable after the leak, at an interval of 5", read)
	if read == 0 || read > 7 {
		t.Errorf("%d messages readable, at most 7", read)
	}
	for i, wire := range wires[leak+read:] {
		if strings.HasPrefix(e.read(wire), "secret of the day") {
			t.Errorf("message %d is readable again", leak+read+i)
		}
	}
}

// liftEven is the point with an x-coordinate and an even y.
func liftEven(x []byte) *ecdh.PublicKey {
	px, py := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x...))
	point := make([]byte, 65)
	point[0] = 4
	px.FillBytes(point[1:33])
	py.FillBytes(point[33:])
	key, err := ecdh.P256().NewPublicKey(point)
	if err != nil {
		panic(err)
	}
	return key
}

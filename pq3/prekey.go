package pq3

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/xonly"
)

// prekeyVersion is the first byte of a stored prekey.
const prekeyVersion = 1

// Prekey is the private half of a prekey bundle with the bundle itself. It
// opens every session start made to that bundle, so erase it when its
// retention ends (PrekeyRetention after the bundle's notAfter). SPEC §5.1.
type Prekey struct {
	ecdh     *ecdh.PrivateKey
	kem      secret.Seed64
	expanded *mlkem.DecapsulationKey1024 // of kem
	bundle   *account.Bundle
}

// Format shows nothing of a prekey, for the reason that Session's does.
func (p Prekey) Format(f fmt.State, _ rune) { secret.Redact(f) }

// Prekeys finds the private half that a session start names.
type Prekeys interface {
	// Prekey returns false when there is none, or when it has been erased.
	Prekey(account.BundleHash) (*Prekey, bool)
}

// NewPrekey makes fresh ECDH and ML-KEM-1024 prekeys for one suite and signs
// their bundle with both device keys. notAfter may be at most BundleLife after
// notBefore.
func NewPrekey(me *Identity, suite account.Suite, notBefore, notAfter time.Time, ent Entropy) (*Prekey, error) {
	var p *Prekey
	secret.Do(func() { p = drawPrekey(ent) })
	bundle, err := account.SignBundle(me.self, me.key, suite,
		xonly.X(p.ecdh.PublicKey()), p.expanded.EncapsulationKey().Bytes(),
		millis(notBefore), millis(notAfter), ent.SignReader())
	if err != nil {
		return nil, err
	}
	p.bundle = bundle
	return p, nil
}

func drawPrekey(ent Entropy) *Prekey {
	p := &Prekey{ecdh: xonly.NewKey(drawing(ent, "prekey ecdh"))}
	drawing(ent, "prekey kem")(p.kem[:])
	p.expand()
	return p
}

// Bundle is the public half.
func (p *Prekey) Bundle() *account.Bundle { return p.bundle }

// Hash names the bundle in a session start.
func (p *Prekey) Hash() account.BundleHash { return p.bundle.Hash() }

// Marshal is the storage form: version ‖ ECDH key (32) ‖ ML-KEM seed (64) ‖
// v32(bundle). It is secret; seal it before it is written.
func (p *Prekey) Marshal() (b []byte) {
	secret.Do(func() {
		b = make([]byte, 0, 1+32+len(p.kem)+4+account.BundleSize)
		b = append(b, prekeyVersion)
		b = append(b, p.ecdh.Bytes()...)
		b = append(b, p.kem[:]...)
		b = codec.AppendV32(b, p.bundle.Marshal())
	})
	return b
}

// ParsePrekey is the reverse of Marshal. It refuses private keys that are not
// those of the bundle with ErrState.
func ParsePrekey(b []byte) (p *Prekey, err error) {
	secret.Do(func() { p, err = parsePrekey(b) })
	return p, err
}

func parsePrekey(b []byte) (*Prekey, error) {
	r := codec.NewReader(b)
	version := r.U8()
	scalar := r.Bytes(32)
	p := &Prekey{}
	r.Copy(p.kem[:])
	encoded := r.V32(MaxMessage)
	if !r.Done() || version != prekeyVersion {
		return nil, reject.New("V-67", ErrState, "not a stored prekey")
	}
	var err error
	if p.ecdh, err = ecdh.P256().NewPrivateKey(scalar); err != nil {
		return nil, reject.New("V-67", ErrState, "not a P-256 private key")
	}
	if p.bundle, err = account.ParseBundle(encoded); err != nil {
		return nil, reject.New("V-67", ErrState, "not a prekey bundle")
	}
	p.expand()
	if !p.matchesBundle() {
		return nil, reject.New("V-67", ErrState, "the keys are not the bundle's")
	}
	return p, nil
}

func (p *Prekey) matchesBundle() bool {
	kem := p.expanded.EncapsulationKey().Bytes()
	return xonly.X(p.ecdh.PublicKey()) == p.bundle.ECDH && string(kem) == string(p.bundle.KEM[:])
}

// expand computes the ML-KEM key from its seed, once for all starts.
func (p *Prekey) expand() {
	key, err := mlkem.NewDecapsulationKey1024(p.kem[:])
	if err != nil {
		panic("pq3: ML-KEM-1024 refused a 64-byte seed: " + err.Error())
	}
	p.expanded = key
}

package pq3_test

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/vectors"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// TestVectorsRatchetECDH takes each published point as a ratchet key: the
// valid ones agree on the stated secret, and a message that carries an x of no
// point is refused and changes nothing.
func TestVectorsRatchetECDH(t *testing.T) {
	p := newPair(t, pq3.Policy{})
	p.talk(3)
	wire := p.seal(p.alice, "opens an epoch")
	for _, file := range vectors.ECDHFiles() {
		tally := vectors.Count(t, "pq3", file)
		for _, c := range vectors.ECDH(t, file) {
			if c.X == nil {
				tally.Skipped(vectors.OnlyECDH32)
				continue
			}
			shared, err := pq3.VectorAgree(c.Private, c.X)
			switch {
			case c.Valid():
				if err != nil || !bytes.Equal(shared, c.Shared) {
					t.Errorf("%s %d: secret %x, %v", file, c.ID, shared, err)
				}
				tally.Ran(vectors.Agreed)
			case err == nil:
				tally.Skipped(vectors.OnlyECDH32) // a wrong y or a compressed form: x alone is of the curve
			default:
				p.refuses(p.bob, p.forge(p.alice, wire, func(f *pq3.Fields) { f.RatchetKey = c.X }), "V-51", pq3.ErrHeader)
				tally.Ran(vectors.OffCurve)
			}
		}
	}
	p.deliver(p.bob, wire)
}

// chosen is an Entropy whose encapsulations use the randomness of a vector.
type chosen struct {
	pq3.Entropy
	m []byte
}

func (c chosen) Encapsulate(ek crypto.Encapsulator) (shared, ciphertext []byte) {
	shared, ciphertext, err := mlkemtest.Encapsulate768(ek.(*mlkem.EncapsulationKey768), c.m)
	if err != nil {
		panic(err)
	}
	return shared, ciphertext
}

// advertising is a conversation in which Bob has just advertised a KEM key.
type advertising struct {
	*pair
	wire []byte // Bob's message with the key
}

func newAdvertising(t *testing.T) advertising {
	p := newPair(t, pq3.Policy{})
	p.say(p.alice, 1)
	return advertising{p, p.seal(p.bob, "advertises")}
}

// encapsulates answers an ML-KEM-768 key with the vector's randomness. A bad
// key must be refused in a message as well.
func (a advertising) encapsulates(c vectors.KEMTest) string {
	a.t.Helper()
	if !c.Valid() {
		return a.refusesKey(c.EK)
	}
	shared, ciphertext, err := pq3.VectorEncapsulate768(c.EK, chosen{m: c.M})
	if err != nil || !bytes.Equal(shared, c.Secret) || !bytes.Equal(ciphertext, c.Ciphertext) {
		a.t.Errorf("%d: another secret or ciphertext, %v", c.ID, err)
	}
	return vectors.Encapsed
}

func (a advertising) refusesKey(ek []byte) string {
	a.t.Helper()
	_, _, err := pq3.VectorEncapsulate768(ek, nil)
	wantRefusal(a.t, err, "V-52", pq3.ErrHeader)
	bad := a.forge(a.bob, a.wire, func(f *pq3.Fields) { f.KEMKey = ek })
	if len(ek) == mlkem.EncapsulationKeySize768 {
		a.refuses(a.alice, bad, "V-52", pq3.ErrHeader)
		return vectors.Unreduced
	}
	if _, err := pq3.ParseMessage(bad); !errors.Is(err, pq3.ErrMalformed) {
		a.t.Errorf("a message with a KEM key of %d bytes: %v", len(ek), err)
	}
	return vectors.EKLength
}

func TestVectorsAdvertisedKEM(t *testing.T) {
	a := newAdvertising(t)
	tally := vectors.Count(t, "pq3", vectors.KEM768Encaps)
	for _, c := range vectors.KEM(t, vectors.KEM768Encaps) {
		tally.Ran(a.encapsulates(c))
	}
	a.deliver(a.alice, a.wire)
}

func TestVectorsAdvertisedKEMFromACVP(t *testing.T) {
	a := newAdvertising(t)
	tally := vectors.Count(t, "pq3", vectors.ACVPEncaps)
	for _, c := range vectors.KEM(t, vectors.ACVPEncaps) {
		switch {
		case c.Set == "ML-KEM-512":
			tally.Skipped(vectors.OtherKEM)
		case c.Set == "ML-KEM-1024":
			tally.Skipped(vectors.OtherSet)
		case c.Function == "decapsulation":
			tally.Skipped(vectors.OnlySeeds)
		default:
			tally.Ran(a.encapsulates(c))
		}
	}
}

func TestVectorsAdvertisedKEMModulus(t *testing.T) {
	a := newAdvertising(t)
	tally := vectors.Count(t, "pq3", vectors.KEM768Modulus)
	for _, ek := range vectors.Lines(t, vectors.KEM768Modulus) {
		tally.Ran(a.refusesKey(ek))
	}
}

// storedKEM holds ML-KEM seeds as the product stores them: that of a 768 key
// in a session state, that of a 1024 key in a prekey.
type storedKEM struct {
	*pair
	state []byte // of Bob, who advertises
	at    int    // where the seed stands in it
}

func newStoredKEM(t *testing.T) storedKEM {
	a := newAdvertising(t)
	s := a.bob.Sessions.Sending()
	state := s.MarshalState()
	return storedKEM{a.pair, state, bytes.Index(state, pq3.Secrets(s)["KEM seed"])}
}

// session768 restores the state with another seed in it.
func (k storedKEM) session768(seed []byte) (*pq3.Session, error) {
	state := append(append(bytes.Clone(k.state[:k.at]), seed...), k.state[k.at+64:]...)
	return pq3.RestoreSession(k.bob.Identity, k.alice.Party(), pq3.Policy{}, state, nil)
}

// prekey1024 parses a stored prekey with this seed and this public key.
func (k storedKEM) prekey1024(seed, ek []byte) (*pq3.Prekey, error) {
	stored, err := pq3.NewPrekey(k.bob.Identity, account.PQ3A, k.now, k.now.Add(1e9), pq3test.NewEntropy("vectors"))
	if err != nil {
		k.t.Fatal(err)
	}
	bundle := *stored.Bundle()
	copy(bundle.KEM[:], ek)
	raw := append(append(stored.Marshal()[:1+32], seed...), binary.BigEndian.AppendUint32(nil, account.BundleSize)...)
	return pq3.ParsePrekey(append(raw, bundle.Marshal()...))
}

// generates makes the key pair of a seed.
func (k storedKEM) generates(set string, c vectors.KEMTest) string {
	k.t.Helper()
	if set == "ML-KEM-1024" {
		if _, err := k.prekey1024(c.Seed, c.EK); err != nil {
			k.t.Errorf("%d: %v", c.ID, err)
		}
		return vectors.Generated
	}
	s, err := k.session768(c.Seed)
	if err != nil {
		k.t.Fatalf("%d: %v", c.ID, err)
	}
	if _, ek, err := pq3.VectorDecapsulate768(s, make([]byte, mlkem.CiphertextSize768)); err != nil || !bytes.Equal(ek, c.EK) {
		k.t.Errorf("%d: another public key, %v", c.ID, err)
	}
	return vectors.Generated
}

// decapsulates opens a ciphertext under a stored seed. A wrong one of the
// right length gives the stated secret all the same: that is implicit
// rejection.
func (k storedKEM) decapsulates(set string, c vectors.KEMTest) string {
	k.t.Helper()
	var shared, ek []byte
	var err, stored error
	if set == "ML-KEM-1024" {
		ek = c.EK
		if shared, err = nil, nil; len(c.Seed) != mlkem.SeedSize {
			_, stored = k.prekey1024(c.Seed, nil)
		} else if p, e := k.prekey1024(c.Seed, c.EK); e == nil {
			shared, err = pq3.VectorDecapsulate1024(p, c.Ciphertext)
		} else {
			stored = e
		}
	} else if s, e := k.session768(c.Seed); e == nil {
		shared, ek, err = pq3.VectorDecapsulate768(s, c.Ciphertext)
	} else {
		stored = e
	}
	switch {
	case len(c.Seed) != mlkem.SeedSize:
		if !errors.Is(stored, pq3.ErrState) {
			k.t.Errorf("%d: a seed of %d bytes: %v", c.ID, len(c.Seed), stored)
		}
		return vectors.SeedLength
	case !c.Valid():
		if stored != nil || err == nil {
			k.t.Errorf("%d: a ciphertext of %d bytes: %v, %v", c.ID, len(c.Ciphertext), stored, err)
		}
		return vectors.CTLength
	}
	if stored != nil || err != nil || !bytes.Equal(shared, c.Secret) || !bytes.Equal(ek, c.EK) {
		k.t.Errorf("%d: another secret, %v, %v", c.ID, stored, err)
	}
	return vectors.Decapsed
}

func TestVectorsStoredKEM(t *testing.T) {
	k := newStoredKEM(t)
	for file, set := range map[string]string{vectors.KEM768: "ML-KEM-768", vectors.KEM1024: "ML-KEM-1024"} {
		tally := vectors.Count(t, "pq3", file)
		for _, c := range vectors.KEM(t, file) {
			tally.Ran(k.decapsulates(set, c))
		}
	}
}

func TestVectorsKEMKeyPairs(t *testing.T) {
	k := newStoredKEM(t)
	for _, file := range []string{vectors.KEM768KeyGen, vectors.KEM1024KeyGen, vectors.ACVPKeyGen} {
		tally := vectors.Count(t, "pq3", file)
		for _, c := range vectors.KEM(t, file) {
			if c.Set == "ML-KEM-512" {
				tally.Skipped(vectors.OtherKEM)
				continue
			}
			tally.Ran(k.generates(c.Set, c))
		}
	}
	other := vectors.KEM(t, vectors.KEM1024KeyGen)
	_, err := k.prekey1024(other[0].Seed, other[1].EK)
	wantRefusal(t, err, "V-67", pq3.ErrState)
}

// TestVectorsKEMSteps: the files of CCTV that show one key pair, one
// encapsulation and one decapsulation. They follow the draft of FIPS 203, whose
// key generation hashes d alone: the standard makes another pair of the seed.
func TestVectorsKEMSteps(t *testing.T) {
	k, a := newStoredKEM(t), newAdvertising(t)
	for _, file := range []string{vectors.KEM768Steps, vectors.KEM768Unlucky, vectors.KEM1024Steps, vectors.KEM1024Unlucky} {
		tally := vectors.Count(t, "pq3", file)
		v := vectors.Values(t, file)
		c := vectors.KEMTest{EK: vectors.Bytes(t, v, "ek"), M: vectors.Bytes(t, v, "m"), Ciphertext: vectors.Bytes(t, v, "c"), Secret: vectors.Bytes(t, v, "K")}
		seed := append(vectors.Bytes(t, v, "d"), vectors.Bytes(t, v, "z")...)
		if len(c.EK) == mlkem.EncapsulationKeySize768 {
			tally.Ran(a.encapsulates(c))
		} else {
			tally.Ran(k.encapsulates1024(c))
			_, err := k.prekey1024(seed, c.EK)
			wantRefusal(t, err, "V-67", pq3.ErrState)
		}
		tally.Skipped(vectors.DraftKeys)
		tally.Skipped(vectors.OnlySeeds)
	}
}

// encapsulates1024 encapsulates to the key of a parsed prekey bundle.
func (k storedKEM) encapsulates1024(c vectors.KEMTest) string {
	k.t.Helper()
	offered := *k.bob.Bundle()
	copy(offered.KEM[:], c.EK)
	bundle, err := account.ParseBundle(offered.Marshal())
	if err != nil {
		k.t.Fatal(err)
	}
	shared, ciphertext, err := mlkemtest.Encapsulate1024(bundle.KEMKey(), c.M)
	if err != nil || !bytes.Equal(shared, c.Secret) || !bytes.Equal(ciphertext, c.Ciphertext) {
		k.t.Errorf("another secret or ciphertext, %v", err)
	}
	return vectors.Encapsed
}

// TestVectorsExpandedKeysAreLeftOut counts the files whose private keys are in
// the expanded form.
func TestVectorsExpandedKeysAreLeftOut(t *testing.T) {
	for _, file := range []string{vectors.KEM768Expanded, vectors.KEM1024Expanded} {
		tally := vectors.Count(t, "pq3", file)
		for range vectors.KEM(t, file) {
			tally.Skipped(vectors.OnlySeeds)
		}
	}
	for _, file := range []string{vectors.KEM768Strcmp, vectors.KEM1024Strcmp} {
		tally := vectors.Count(t, "pq3", file)
		if _, seed := vectors.Values(t, file)["d"]; !seed {
			tally.Skipped(vectors.OnlySeeds)
		}
	}
}

package account

import (
	"bytes"
	"crypto/mlkem"
	"crypto/mlkem/mlkemtest"
	"encoding/asn1"
	"errors"
	"math/big"
	"testing"

	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/internal/vectors"
)

// pointKey makes a hybrid key with the ECDSA half given as an uncompressed
// point.
func pointKey(t *testing.T, point []byte) *VerifyingKey {
	t.Helper()
	return must(ParseVerifyingKey(compress(point), newActor("vectors").Key.MLDSABytes()))
}

type ecdsaGroup struct {
	Key struct {
		Point vectors.Hex `json:"uncompressed"`
	} `json:"publicKey"`
	Tests []ecdsaVector
}

type ecdsaVector struct {
	ID     int         `json:"tcId"`
	Msg    vectors.Hex `json:"msg"`
	Sig    vectors.Hex `json:"sig"`
	Result string      `json:"result"`
}

func eachECDSA(t *testing.T, file string, run func(*VerifyingKey, ecdsaVector) string) {
	tally := vectors.Count(t, "account", file)
	for _, g := range vectors.Groups[ecdsaGroup](t, file) {
		key := pointKey(t, g.Key.Point)
		for _, c := range g.Tests {
			tally.Ran(run(key, c))
		}
	}
}

// TestVectorsECDSA: of the two signatures that ECDSA allows for each r, the
// wire has the one with the lower s. Of a vector with the other one, the twin
// must verify and the vector itself must not.
func TestVectorsECDSA(t *testing.T) {
	eachECDSA(t, vectors.ECDSA, func(key *VerifyingKey, c ecdsaVector) string {
		err := key.VerifyECDSA(c.Msg, c.Sig)
		if c.Result == "invalid" {
			if err == nil {
				t.Errorf("%d: an invalid signature verifies", c.ID)
			}
			return vectors.Refused
		}
		return validECDSA(t, key, c, err)
	})
}

// validECDSA judges what VerifyECDSA said of a signature of 64 bytes that is
// mathematically valid.
func validECDSA(t *testing.T, key *VerifyingKey, c ecdsaVector, err error) string {
	t.Helper()
	if bytes.Compare(c.Sig[32:], halfOrder[:]) <= 0 {
		if err != nil {
			t.Errorf("%d: %v", c.ID, err)
		}
		return vectors.Verified
	}
	wantCheck(t, err, "V-07", ErrSignature)
	twin := bytes.Clone(c.Sig)
	new(big.Int).Sub(new(big.Int).SetBytes(order[:]), new(big.Int).SetBytes(c.Sig[32:])).FillBytes(twin[32:])
	if err := key.VerifyECDSA(c.Msg, twin); err != nil {
		t.Errorf("%d: with the lower s: %v", c.ID, err)
	}
	return vectors.HighS
}

// TestVectorsECDSAInDER: the wire has no DER, so each of these is refused as
// it stands. What the valid ones hold must verify once it is r‖s.
func TestVectorsECDSAInDER(t *testing.T) {
	eachECDSA(t, vectors.ECDSADER, func(key *VerifyingKey, c ecdsaVector) string {
		wantCheck(t, key.VerifyECDSA(c.Msg, c.Sig), "V-05", ErrSignature)
		if c.Result == "valid" {
			var rs struct{ R, S *big.Int }
			_ = must(asn1.Unmarshal(c.Sig, &rs))
			c.Sig = append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
			validECDSA(t, key, c, key.VerifyECDSA(c.Msg, c.Sig))
		}
		return vectors.DERRefused
	})
}

// TestVectorsECDSAOtherHash: a signature over SHA-512 is none, valid or not.
func TestVectorsECDSAOtherHash(t *testing.T) {
	eachECDSA(t, vectors.ECDSA512, func(key *VerifyingKey, c ecdsaVector) string {
		if err := key.VerifyECDSA(c.Msg, c.Sig); !errors.Is(err, ErrSignature) {
			t.Errorf("%d: %v", c.ID, err)
		}
		return vectors.OtherHash
	})
}

// TestVectorsRFC6979 signs with a key and message whose first nonce candidate
// falls outside the group.
func TestVectorsRFC6979(t *testing.T) {
	tally := vectors.Count(t, "account", vectors.RFC6979)
	values := vectors.Values(t, vectors.RFC6979)
	seeds := KeySeeds{ECDSA: secret.Key(vectors.Bytes(t, values, "x"))}
	key := must(seeds.SigningKey())
	point := append([]byte{4}, append(vectors.Bytes(t, values, "Ux"), vectors.Bytes(t, values, "Uy")...)...)
	if !bytes.Equal(key.Public().ECDSABytes(), compress(point)) {
		t.Error("another public key")
	}
	got := must(key.SignECDSA(nil, []byte(values["message"])))
	want := append(vectors.Bytes(t, values, "r"), vectors.Bytes(t, values, "s")...)
	if !bytes.Equal(got[:], want) {
		t.Errorf("signature %x, want %x", got, want)
	}
	tally.Ran(vectors.Signed)
}

type mldsaGroup struct {
	PublicKey vectors.Hex `json:"publicKey"`
	Seed      vectors.Hex `json:"privateSeed"`
	Tests     []struct {
		ID     int          `json:"tcId"`
		Msg    *vectors.Hex `json:"msg"`
		Random vectors.Hex  `json:"rnd"`
		Ctx    vectors.Hex  `json:"ctx"`
		Sig    vectors.Hex  `json:"sig"`
		Result string       `json:"result"`
	} `json:"tests"`
}

// TestVectorsMLDSAVerify: keys of the wrong length are refused as keys, all
// else as signatures.
func TestVectorsMLDSAVerify(t *testing.T) {
	tally := vectors.Count(t, "account", vectors.MLDSAVerify)
	classical := newActor("vectors").Key.ECDSABytes()
	for _, g := range vectors.Groups[mldsaGroup](t, vectors.MLDSAVerify) {
		key, err := ParseVerifyingKey(classical, g.PublicKey)
		for _, c := range g.Tests {
			if len(g.PublicKey) != MLDSAKeySize {
				wantCheck(t, err, "V-03", ErrKey)
				tally.Ran(vectors.KeyLength)
				continue
			}
			err := key.VerifyMLDSA(*c.Msg, c.Sig, string(c.Ctx))
			if c.Result == "valid" && err == nil {
				tally.Ran(vectors.Verified)
				continue
			}
			wantCheck(t, err, "V-06", ErrSignature)
			if c.Result != "invalid" {
				t.Errorf("%d: %v", c.ID, err)
			}
			tally.Ran(vectors.Refused)
		}
	}
}

// TestVectorsMLDSASign signs deterministically from stored seeds.
func TestVectorsMLDSASign(t *testing.T) {
	tally := vectors.Count(t, "account", vectors.MLDSASign)
	_, seeds := GenerateSigningKey(stream("vectors"))
	for _, g := range vectors.Groups[mldsaGroup](t, vectors.MLDSASign) {
		if len(g.Seed) != len(seeds.MLDSA) {
			for range g.Tests {
				tally.Skipped(vectors.SeedWidth)
			}
			continue
		}
		seeds.MLDSA = secret.Key(g.Seed)
		key := must(seeds.SigningKey())
		if !bytes.Equal(key.Public().MLDSABytes(), g.PublicKey) {
			t.Errorf("seed %x gives another public key", g.Seed[:4])
		}
		for _, c := range g.Tests {
			if c.Msg == nil {
				tally.Skipped(vectors.ExternalMu)
				continue
			}
			got, err := key.SignMLDSA(nil, *c.Msg, string(c.Ctx))
			switch {
			case c.Result == "invalid":
				if err == nil {
					t.Errorf("%d: a context of %d bytes was signed", c.ID, len(c.Ctx))
				}
				tally.Ran(vectors.ContextLong)
			case len(c.Random) > 0 && bytes.Count(c.Random, []byte{0}) != len(c.Random):
				if err := key.Public().VerifyMLDSA(*c.Msg, c.Sig, string(c.Ctx)); err != nil {
					t.Errorf("%d: %v", c.ID, err)
				}
				tally.Ran(vectors.Verified)
			default:
				if err != nil || !bytes.Equal(got, c.Sig) {
					t.Errorf("%d: another signature, %v", c.ID, err)
				}
				tally.Ran(vectors.Signed)
			}
		}
	}
}

// rawBundle is a bundle with these prekeys on the wire. Its signature is all
// zeros, which parsing does not look at.
func rawBundle(x [32]byte, kem []byte) []byte {
	b := &Bundle{Suite: PQ3A, ECDH: x, NotBefore: millis(testTime), NotAfter: millis(testTime) + 1000}
	raw := b.Marshal()
	return append(append(append([]byte{}, raw[:2+32]...), kem...), raw[2+32+len(b.KEM):]...)
}

// TestVectorsBundleECDH carries each published point in a bundle.
func TestVectorsBundleECDH(t *testing.T) {
	_, kem := prekeys("vectors")
	for _, file := range vectors.ECDHFiles() {
		tally := vectors.Count(t, "account", file)
		for _, c := range vectors.ECDH(t, file) {
			if c.X == nil {
				tally.Skipped(vectors.OnlyECDH32)
				continue
			}
			bundle, err := ParseBundle(rawBundle([32]byte(c.X), kem))
			switch {
			case c.Valid():
				if err != nil || !bytes.Equal(agreeOver(t, c.Private, bundle), c.Shared) {
					t.Errorf("%s %d: %v, or another secret", file, c.ID, err)
				}
				tally.Ran(vectors.Agreed)
			case err == nil:
				tally.Skipped(vectors.OnlyECDH32) // a wrong y or a compressed form: x alone is of the curve
			default:
				wantCheck(t, err, "V-12", ErrBundle)
				tally.Ran(vectors.OffCurve)
			}
		}
	}
}

func agreeOver(t *testing.T, scalar []byte, b *Bundle) []byte {
	t.Helper()
	key := must(b.ECDHKey().Curve().NewPrivateKey(scalar))
	return must(key.ECDH(b.ECDHKey()))
}

// encapsulates carries an ML-KEM-1024 key in a bundle and encapsulates to it
// with the vector's randomness.
func encapsulates(t *testing.T, c vectors.KEMTest) string {
	t.Helper()
	x, _ := prekeys("vectors")
	bundle, err := ParseBundle(rawBundle(x, c.EK))
	switch {
	case len(c.EK) != mlkem.EncapsulationKeySize1024:
		wantCheck(t, err, "V-11", ErrBundle)
		a := newActor("vectors")
		_, err = SignBundle(a.party("vectors"), a.key, PQ3A, x, c.EK, 1, 2, nil)
		wantCheck(t, err, "V-13", ErrBundle)
		return vectors.EKLength
	case !c.Valid():
		wantCheck(t, err, "V-13", ErrBundle)
		return vectors.Unreduced
	}
	if err != nil {
		t.Fatalf("%d: %v", c.ID, err)
	}
	shared, ciphertext, err := mlkemtest.Encapsulate1024(bundle.KEMKey(), c.M)
	if err != nil || !bytes.Equal(shared, c.Secret) || !bytes.Equal(ciphertext, c.Ciphertext) {
		t.Errorf("%d: another secret or ciphertext, %v", c.ID, err)
	}
	return vectors.Encapsed
}

func TestVectorsBundleKEM(t *testing.T) {
	tally := vectors.Count(t, "account", vectors.KEM1024Encaps)
	for _, c := range vectors.KEM(t, vectors.KEM1024Encaps) {
		tally.Ran(encapsulates(t, c))
	}
}

func TestVectorsBundleKEMFromACVP(t *testing.T) {
	tally := vectors.Count(t, "account", vectors.ACVPEncaps)
	for _, c := range vectors.KEM(t, vectors.ACVPEncaps) {
		switch {
		case c.Set == "ML-KEM-512":
			tally.Skipped(vectors.OtherKEM)
		case c.Set == "ML-KEM-768":
			tally.Skipped(vectors.OtherSet)
		case c.Function == "decapsulation":
			tally.Skipped(vectors.OnlySeeds)
		default:
			tally.Ran(encapsulates(t, c))
		}
	}
}

func TestVectorsBundleKEMModulus(t *testing.T) {
	tally := vectors.Count(t, "account", vectors.KEM1024Modulus)
	x, _ := prekeys("vectors")
	for _, ek := range vectors.Lines(t, vectors.KEM1024Modulus) {
		_, err := ParseBundle(rawBundle(x, ek))
		wantCheck(t, err, "V-13", ErrBundle)
		tally.Ran(vectors.Unreduced)
	}
}

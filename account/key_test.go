package account

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/internal/secret"
)

func TestVerifyingKeyRoundTrip(t *testing.T) {
	k := newActor("alice").key.Public()
	again, err := ParseVerifyingKey(k.ECDSABytes(), k.MLDSABytes())
	if err != nil || !again.Equal(k) || again.Digest() != k.Digest() {
		t.Fatalf("%v", err)
	}
	in := codec.AppendV16([]byte("posthorn/devkeys/v1"), k.ECDSABytes())
	if want := sha512.Sum384(codec.AppendV16(in, k.MLDSABytes())); k.Digest() != want {
		t.Fatal("the digest is not the one of SPEC §3.6")
	}
	k.ECDSABytes()[0] ^= 1
	if !bytes.Equal(k.ECDSABytes(), again.ECDSABytes()) {
		t.Fatal("a caller changed the key through its bytes")
	}
}

func TestV03VerifyingKey(t *testing.T) {
	k := newActor("alice").key.Public()
	ec, pq := k.ECDSABytes(), k.MLDSABytes()
	prime := elliptic.P256().Params().P.Bytes()
	cases := map[string][2][]byte{
		"short":        {ec[:32], pq},
		"long":         {append(bytes.Clone(ec), 0), pq},
		"uncompressed": {append([]byte{4}, make([]byte, 64)...), pq},
		"prefix":       {append([]byte{5}, ec[1:]...), pq},
		"x = p":        {append([]byte{2}, prime...), pq},
		"off curve":    {append([]byte{2}, offCurve(t)...), pq},
		"infinity":     {[]byte{0}, pq},
		"short mldsa":  {ec, pq[1:]},
		"long mldsa":   {ec, append(bytes.Clone(pq), 0)},
		"nothing":      {nil, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseVerifyingKey(c[0], c[1])
			wantCheck(t, err, "V-03", ErrKey)
		})
	}
}

// offCurve finds an x-coordinate of no P-256 point.
func offCurve(t testing.TB) []byte {
	for i := byte(1); i < 100; i++ {
		x := make([]byte, 32)
		x[31] = i
		if p, _ := elliptic.UnmarshalCompressed(elliptic.P256(), append([]byte{2}, x...)); p == nil {
			return x
		}
	}
	t.Fatal("every small x is on the curve")
	return nil
}

func TestSignVerify(t *testing.T) {
	a := newActor("alice")
	for i := range 40 {
		msg := bytes.Repeat([]byte{byte(i)}, i)
		sig := must(a.key.SignHybrid(nil, msg, "test"))
		if err := a.Key.VerifyHybrid(msg, sig, "test"); err != nil {
			t.Fatal(err)
		}
		again := must(a.key.SignHybrid(nil, msg, "test"))
		if *again != *sig {
			t.Fatal("without randomness two signatures differ")
		}
	}
	if len((&Signature{}).Append(nil)) != SignatureSize {
		t.Fatal("a signature is not 3,373 bytes")
	}
}

func TestSignHedged(t *testing.T) {
	a := newActor("alice")
	sig := must(a.key.SignHybrid(readerOf(stream("hedge")), []byte("msg"), "test"))
	if err := a.Key.VerifyHybrid([]byte("msg"), sig, "test"); err != nil {
		t.Fatal(err)
	}
}

type readerOf func([]byte)

func (r readerOf) Read(p []byte) (int, error) { r(p); return len(p), nil }

func TestV05ECDSA(t *testing.T) {
	a, b := newActor("alice"), newActor("bob")
	msg := []byte("msg")
	sig := must(a.key.SignECDSA(nil, msg))
	wantCheck(t, a.Key.VerifyECDSA(msg, sig[:63]), "V-05", ErrSignature)
	wantCheck(t, a.Key.VerifyECDSA(msg, append(sig[:], 0)), "V-05", ErrSignature)
	wantCheck(t, a.Key.VerifyECDSA(msg, nil), "V-05", ErrSignature)
	wantCheck(t, a.Key.VerifyECDSA(msg, make([]byte, 64)), "V-05", ErrSignature)
	wantCheck(t, a.Key.VerifyECDSA([]byte("other"), sig[:]), "V-05", ErrSignature)
	wantCheck(t, b.Key.VerifyECDSA(msg, sig[:]), "V-05", ErrSignature)
	tooBig := sig
	copy(tooBig[:32], order[:])
	wantCheck(t, a.Key.VerifyECDSA(msg, tooBig[:]), "V-05", ErrSignature)
	for i := range 32 {
		flipped := sig
		flipped[i] ^= 1
		wantCheck(t, a.Key.VerifyECDSA(msg, flipped[:]), "V-05", ErrSignature)
	}
}

func TestV06MLDSA(t *testing.T) {
	a, b := newActor("alice"), newActor("bob")
	msg := []byte("msg")
	sig := must(a.key.SignMLDSA(nil, msg, "test"))
	wantCheck(t, a.Key.VerifyMLDSA(msg, sig, "other"), "V-06", ErrSignature)
	wantCheck(t, a.Key.VerifyMLDSA(msg, sig, ""), "V-06", ErrSignature)
	wantCheck(t, a.Key.VerifyMLDSA([]byte("other"), sig, "test"), "V-06", ErrSignature)
	wantCheck(t, b.Key.VerifyMLDSA(msg, sig, "test"), "V-06", ErrSignature)
	wantCheck(t, a.Key.VerifyMLDSA(msg, sig[1:], "test"), "V-06", ErrSignature)
	wantCheck(t, a.Key.VerifyMLDSA(msg, append(sig, 0), "test"), "V-06", ErrSignature)
	hybrid := must(a.key.SignHybrid(nil, msg, "test"))
	hybrid.MLDSA[100] ^= 1
	wantCheck(t, a.Key.VerifyHybrid(msg, hybrid, "test"), "V-06", ErrSignature)
}

func TestV07HighSRejected(t *testing.T) {
	a := newActor("alice")
	n := new(big.Int).SetBytes(order[:])
	for i := range 20 {
		msg := []byte{byte(i)}
		sig := must(a.key.SignECDSA(nil, msg))
		twin := sig
		new(big.Int).Sub(n, new(big.Int).SetBytes(sig[32:])).FillBytes(twin[32:])
		// Go's own verifier takes the twin: the check is ours.
		x, y := elliptic.UnmarshalCompressed(elliptic.P256(), a.Key.ECDSABytes())
		public := must(ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(x, y)))
		digest := crypto.SHA256.New()
		digest.Write(msg)
		if !ecdsa.VerifyASN1(public, digest.Sum(nil), appendDER(nil, twin[:])) {
			t.Fatal("the twin signature does not verify, so this test shows nothing")
		}
		wantCheck(t, a.Key.VerifyECDSA(msg, twin[:]), "V-07", ErrSignature)
	}
}

func TestSignerHighSIsLowered(t *testing.T) {
	a := newActor("alice")
	k := must(NewSigningKey(highSigner{a.key.classical}, a.key.post))
	for i := range 10 {
		sig := must(k.SignECDSA(nil, []byte{byte(i)}))
		if err := a.Key.VerifyECDSA([]byte{byte(i)}, sig[:]); err != nil {
			t.Fatal(err)
		}
	}
}

// highSigner is a device that always returns the greater s.
type highSigner struct{ crypto.Signer }

func (h highSigner) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	der, err := h.Signer.Sign(rand, digest, opts)
	if err != nil {
		return nil, err
	}
	sig, err := lowSFromDER(der)
	if err != nil {
		return nil, err
	}
	s := new(big.Int).Sub(new(big.Int).SetBytes(order[:]), new(big.Int).SetBytes(sig[32:]))
	s.FillBytes(sig[32:])
	return appendDER(nil, sig[:]), nil
}

func TestSignerGarbageIsNoSignature(t *testing.T) {
	a := newActor("alice")
	for _, out := range [][]byte{nil, {0x30, 0}, make([]byte, 64), appendDER(nil, make([]byte, 64))} {
		k := must(NewSigningKey(fixedSigner{a.key.classical, out, nil}, fixedSigner{a.key.post, out, nil}))
		if _, err := k.SignHybrid(nil, nil, ""); !errors.Is(err, errSignerOutput) {
			t.Errorf("ECDSA output %x: %v", out, err)
		}
		if _, err := k.SignMLDSA(nil, nil, ""); err == nil {
			t.Errorf("ML-DSA output %x was taken", out)
		}
	}
	gone := errors.New("token removed")
	k := must(NewSigningKey(fixedSigner{a.key.classical, nil, gone}, fixedSigner{a.key.post, nil, gone}))
	if _, err := k.SignECDSA(nil, nil); !errors.Is(err, gone) {
		t.Error(err)
	}
	if _, err := k.SignMLDSA(nil, nil, ""); !errors.Is(err, gone) {
		t.Error(err)
	}
}

// fixedSigner is a token that answers the same to everything.
type fixedSigner struct {
	crypto.Signer
	out []byte
	err error
}

func (f fixedSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return f.out, f.err }

func TestNewSigningKeyWantsTheRightKinds(t *testing.T) {
	a := newActor("alice")
	ed := ed25519.NewKeyFromSeed(make([]byte, 32))
	p384 := must(ecdsa.ParseRawPrivateKey(elliptic.P384(), append(make([]byte, 47), 7)))
	for name, pair := range map[string][2]crypto.Signer{
		"ed25519 first": {ed, a.key.post}, "p384 first": {p384, a.key.post},
		"ed25519 second": {a.key.classical, ed}, "swapped": {a.key.post, a.key.classical},
	} {
		if _, err := NewSigningKey(pair[0], pair[1]); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestKeySeedsRebuildTheKey(t *testing.T) {
	key, seeds := GenerateSigningKey(stream("alice"))
	if again := must(seeds.SigningKey()); !again.Public().Equal(key.Public()) {
		t.Fatal("another key came back")
	}
	if _, err := (KeySeeds{MLDSA: seeds.MLDSA}).SigningKey(); !errors.Is(err, ErrKey) {
		t.Fatalf("zero scalar: %v", err)
	}
	if _, err := (KeySeeds{ECDSA: secret.Key(order), MLDSA: seeds.MLDSA}).SigningKey(); !errors.Is(err, ErrKey) {
		t.Fatalf("scalar = N: %v", err)
	}
}

func TestPrivateKeysDoNotPrint(t *testing.T) {
	key, seeds := GenerateSigningKey(stream("alice"))
	var out strings.Builder
	for _, v := range []any{key, *key, seeds, &seeds} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		out.Write(must(json.Marshal(v)))
		slog.New(slog.NewTextHandler(&out, nil)).Info("key", "value", v)
	}
	for _, s := range [][]byte{seeds.ECDSA[:], seeds.MLDSA[:]} {
		for _, form := range []string{string(s[:8]), hex.EncodeToString(s[:8]), fmt.Sprint(s[:4])[1:12]} {
			if strings.Contains(strings.ToLower(out.String()), form) {
				t.Fatal("secret bytes were printed")
			}
		}
	}
}

func BenchmarkVerifyECDSA(b *testing.B) {
	a := newActor("alice")
	sig := must(a.key.SignECDSA(nil, []byte("msg")))
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Key.VerifyECDSA([]byte("msg"), sig[:]); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerifyHybrid(b *testing.B) {
	a := newActor("alice")
	sig := must(a.key.SignHybrid(nil, []byte("msg"), "test"))
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Key.VerifyHybrid([]byte("msg"), sig, "test"); err != nil {
			b.Fatal(err)
		}
	}
}

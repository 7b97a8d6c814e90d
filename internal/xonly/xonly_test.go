package xonly

import (
	"bytes"
	"crypto/ecdh"
	"crypto/elliptic"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func source(seed byte) func([]byte) {
	stream := rand.NewChaCha8([32]byte{seed})
	return func(p []byte) { _, _ = stream.Read(p) }
}

// Both ends agree whatever the sign of either y was.
func TestLiftedKeysAgree(t *testing.T) {
	read := source(1)
	odd := 0
	for range 200 {
		a, b := NewKey(read), NewKey(read)
		xa, xb := X(a.PublicKey()), X(b.PublicKey())
		la, errA := Lift(xa[:])
		lb, errB := Lift(xb[:])
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		left, _ := a.ECDH(lb)
		right, _ := b.ECDH(la)
		direct, _ := a.ECDH(b.PublicKey())
		if !bytes.Equal(left, right) || !bytes.Equal(left, direct) {
			t.Fatal("the two ends disagree")
		}
		if lb.Bytes()[64]&1 != 0 || X(lb) != xb {
			t.Fatal("the lifted point is not the even one over x")
		}
		if b.PublicKey().Bytes()[64]&1 == 1 {
			odd++
		}
	}
	if odd < 50 || odd > 150 {
		t.Fatalf("%d of 200 keys had an odd y, so this test shows little", odd)
	}
}

// About half of all strings are on the curve; Lift decides as the curve
// equation does.
func TestLiftFollowsTheCurveEquation(t *testing.T) {
	read := source(2)
	params := elliptic.P256().Params()
	refused := 0
	for range 300 {
		var x [Size]byte
		read(x[:])
		_, err := Lift(x[:])
		on := squareOf(new(big.Int).SetBytes(x[:]), params)
		if on != (err == nil) {
			t.Fatalf("x %x: on the curve is %v, error is %v", x, on, err)
		}
		if err != nil {
			refused++
		}
	}
	if refused < 100 || refused > 200 {
		t.Errorf("%d of 300 were refused", refused)
	}
}

func squareOf(x *big.Int, params *elliptic.CurveParams) bool {
	if x.Cmp(params.P) >= 0 {
		return false
	}
	y2 := new(big.Int).Exp(x, big.NewInt(3), params.P)
	y2.Sub(y2, new(big.Int).Mul(x, big.NewInt(3)))
	y2.Add(y2, params.B).Mod(y2, params.P)
	return big.Jacobi(y2, params.P) >= 0
}

func TestLiftRefusesOutOfRange(t *testing.T) {
	p := elliptic.P256().Params().P
	onCurve := X(NewKey(source(3)).PublicKey())
	refused := [][]byte{nil, {}, onCurve[:31], append(onCurve[:], 0), p.Bytes(), bytes.Repeat([]byte{0xff}, Size)}
	for i := range int64(20) {
		refused = append(refused, new(big.Int).Add(p, big.NewInt(i)).Bytes())
	}
	for _, x := range refused {
		if key, err := Lift(x); !errors.Is(err, ErrPoint) || key != nil {
			t.Errorf("x %x: %v", x, err)
		}
	}
}

// A draw that is no scalar is thrown away, not reduced.
func TestNewKeyDrawsAgain(t *testing.T) {
	order := elliptic.P256().Params().N.Bytes()
	good := bytes.Repeat([]byte{7}, Size)
	draws := [][]byte{make([]byte, Size), order, bytes.Repeat([]byte{0xff}, Size), good}
	n := 0
	key := NewKey(func(p []byte) { copy(p, draws[n]); n++ })
	want, err := ecdh.P256().NewPrivateKey(good)
	if err != nil || n != len(draws) || !key.Equal(want) {
		t.Errorf("after %d draws: %v", n, err)
	}
}

// FuzzLift: one x, one key; and every key is lifted from its own x.
func FuzzLift(f *testing.F) {
	x := X(NewKey(source(4)).PublicKey())
	decodertest.Seed(f, "point", x[:])
	decodertest.Seed(f, "field-prime", elliptic.P256().Params().P.Bytes())
	decodertest.Seed(f, "no-point", append(make([]byte, 31), 1))
	decodertest.Seed(f, "short", x[:31])
	f.Fuzz(func(t *testing.T, x []byte) {
		encode := func(key *ecdh.PublicKey) []byte { x := X(key); return x[:] }
		key, ok := decodertest.Canonical(t, x, Lift, encode)
		if ok && key.Bytes()[64]&1 != 0 {
			t.Fatal("the point is not the even one")
		}
	})
}

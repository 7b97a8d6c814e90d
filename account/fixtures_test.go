package account

import (
	"crypto/mlkem"
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/xonly"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testTime is when everything in these tests happens.
var testTime = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// stream gives deterministic bytes for a seed.
func stream(seed string) func([]byte) {
	var key [32]byte
	copy(key[:], seed)
	source := rand.NewChaCha8(key)
	return func(p []byte) { _, _ = source.Read(p) }
}

// actor is a device with its private key.
type actor struct {
	*Device
	key *SigningKey
}

func newActor(seed string, suites ...Suite) actor {
	if len(suites) == 0 {
		suites = []Suite{PQ3, PQ3A}
	}
	read := stream(seed)
	key, _ := GenerateSigningKey(read)
	d := &Device{Key: key.Public(), Suites: suites, CreatedAt: millis(testTime), Name: []byte("sealed " + seed)}
	read(d.ID[:])
	return actor{d, key}
}

func (a actor) author() Author { return Author{Device: &a.ID, Key: a.key} }

// party places the device in an account of its own making.
func (a actor) party(seed string) Party {
	var id ID
	stream("account " + seed)(id[:])
	return Party{Account: id, Device: a.Device}
}

// prekeys are the public halves a bundle offers.
func prekeys(seed string) (ecdhX [32]byte, kem []byte) {
	read := stream(seed)
	ecdhX = xonly.X(xonly.NewKey(read).PublicKey())
	var d [mlkem.SeedSize]byte
	read(d[:])
	dk, err := mlkem.NewDecapsulationKey1024(d[:])
	if err != nil {
		panic(err)
	}
	return ecdhX, dk.EncapsulationKey().Bytes()
}

// testBundle is valid from testTime for 30 days.
func testBundle(t testing.TB, a actor, owner Party, s Suite) *Bundle {
	t.Helper()
	x, kem := prekeys("prekeys of " + a.ID.String()[:8])
	from := millis(testTime)
	b, err := SignBundle(owner, a.key, s, x, kem, from, from+uint64(MaxBundleValidity.Milliseconds()), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// wantCheck fails unless err is a refusal by this check with this sentinel.
func wantCheck(t testing.TB, err error, check string, sentinel error) {
	t.Helper()
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Check != check || !errors.Is(err, sentinel) {
		t.Fatalf("got %v, want a refusal by %s with %q", err, check, sentinel)
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// sameRoster compares everything that a roster says.
func sameRoster(a, b *Roster) bool {
	same := a.id == b.id && a.seq == b.seq && a.head == b.head && len(a.devices) == len(b.devices) &&
		(a.recovery == nil) == (b.recovery == nil) && (a.recovery == nil || a.recovery.Equal(b.recovery))
	for i := 0; same && i < len(a.devices); i++ {
		same = string(a.devices[i].Marshal()) == string(b.devices[i].Marshal())
	}
	return same
}

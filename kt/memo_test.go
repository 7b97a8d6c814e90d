package kt

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"
)

// warm is a town, an answer in it, and what a device has kept of verifying it.
func warm(t testing.TB) (*testLog, *Answer, Known) {
	t.Helper()
	l := town(1)
	bare := Known{Size: 3, Root: l.root(3), Label: &Label{0, l.values["alice"][0]}}
	a := must(ParseAnswer(l.answer("alice", bare).Marshal()))
	v, err := l.check(a, bare)
	if err != nil {
		t.Fatal(err)
	}
	kept := bare
	kept.Checkpoint, kept.Place = v.Checkpoint, v.Place
	return l, a, kept
}

// What was verified before saves work on the very same bytes, and changes no
// verdict on any other.
func TestKeptWorkChangesNoVerdict(t *testing.T) {
	l, honest, kept := warm(t)
	for name, try := range map[string]struct {
		check string // "": it is accepted
		spoil func(*Answer, *Known)
		later time.Duration
	}{
		"nothing":                   {"", func(*Answer, *Known) {}, 0},
		"another proof":             {"V-188", func(a *Answer, _ *Known) { a.VRFProof[40] ^= 1 }, 0},
		"a place of another name":   {"", func(_ *Answer, k *Known) { k.Place = &Place{Name: "bob", VRF: k.Place.VRF, Proof: k.Place.Proof} }, 0},
		"a place under another key": {"", func(_ *Answer, k *Known) { k.Place = &Place{Name: "alice", Proof: k.Place.Proof} }, 0},
		"a signature less":          {"V-183", func(a *Answer, _ *Known) { a.Checkpoint = a.Checkpoint[:len(a.Checkpoint)-len(lastLine(a.Checkpoint))] }, 0},
		"a checkpoint nobody verified": {"V-182", func(a *Answer, k *Known) {
			a.Checkpoint = a.Checkpoint[:100]
			k.Checkpoint = &Checkpoint{Note: a.Checkpoint, Size: 5}
		}, 0},
		"another policy's checkpoint": {"V-182", func(a *Answer, k *Known) {
			other := town(2)
			k.Checkpoint = must(other.policy.Checkpoint(other.checkpoint(5)))
			a.Checkpoint = k.Checkpoint.Note
		}, 0},
		"a day later":     {"V-184", func(*Answer, *Known) {}, 25 * time.Hour},
		"a rollback":      {"V-185", func(_ *Answer, k *Known) { k.Size = 9 }, 0},
		"another root":    {"V-187", func(a *Answer, _ *Known) { a.Root.MapRoot[0] ^= 1 }, 0},
		"another opening": {"V-190", func(a *Answer, _ *Known) { a.Present.Opening[0] ^= 1 }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, known := must(ParseAnswer(honest.Marshal())), kept
			try.spoil(a, &known)
			r := record("alice", 2)
			_, err := l.policy.Verify(a, "alice", &r, known, testNow().Add(try.later))
			if _, bare := l.policy.Verify(a, "alice", &r, known.Bare(), testNow().Add(try.later)); (bare == nil) != (err == nil) || err != nil && bare.Error() != err.Error() {
				t.Errorf("%v, and without what was kept: %v", err, bare)
			}
			if try.check != "" {
				refusedBy(t, try.check, err)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// lastLine is the last line of a text, with its end.
func lastLine(text []byte) []byte {
	for i := len(text) - 2; i >= 0; i-- {
		if text[i] == '\n' {
			return text[i+1:]
		}
	}
	return text
}

// BenchmarkVerify is the whole check of one look-up on a device: of a name and a
// checkpoint that are new to it, of a name that it has looked up before, and of
// such a name under a checkpoint that it has opened before. Beside the time stands
// how many verifications of an ECDSA P-256 signature take as long in the same run.
func BenchmarkVerify(b *testing.B) {
	l, a, kept := warm(b)
	named := kept
	named.Checkpoint = nil
	for _, run := range []struct {
		name  string
		known Known
	}{{"cold", kept.Bare()}, {"name", named}, {"name-and-checkpoint", kept}} {
		b.Run(run.name, func(b *testing.B) {
			var signatures time.Duration
			verify, n := signature(), 0
			for b.Loop() {
				if _, err := l.check(a, run.known); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				began := time.Now()
				verify()
				signatures += time.Since(began)
				n++
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed())/float64(signatures), "×ECDSA")
			b.ReportMetric(float64(signatures.Nanoseconds())/float64(n), "ns/ECDSA")
		})
	}
}

// signature verifies one ECDSA signature.
func signature() func() {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	digest := sha256.Sum256([]byte("a message"))
	signed := must(ecdsa.SignASN1(rand.Reader, key, digest[:]))
	return func() {
		if !ecdsa.VerifyASN1(&key.PublicKey, digest[:], signed) {
			panic("not verified")
		}
	}
}

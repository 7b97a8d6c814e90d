package account

import (
	"bytes"
	"testing"
	"time"
)

func bundleOf(t testing.TB, seed string) (actor, Party, *Bundle) {
	t.Helper()
	a := newActor(seed)
	owner := a.party(seed)
	return a, owner, testBundle(t, a, owner, PQ3A)
}

func TestBundleRoundTrip(t *testing.T) {
	_, owner, b := bundleOf(t, "alice")
	raw := b.Marshal()
	parsed, err := ParseBundle(raw)
	if err != nil || len(raw) != BundleSize || !bytes.Equal(parsed.Marshal(), raw) || parsed.Hash() != b.Hash() {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	if err := parsed.Verify(owner, testTime); err != nil {
		t.Error(err)
	}
}

func TestV11BundleOfAnotherFormRefused(t *testing.T) {
	_, _, b := bundleOf(t, "alice")
	raw := b.Marshal()
	for _, bad := range [][]byte{nil, raw[:len(raw)-1], append(bytes.Clone(raw), 0), append([]byte{2}, raw[1:]...), append([]byte{1, 9}, raw[2:]...)} {
		_, err := ParseBundle(bad)
		wantCheck(t, err, "V-11", ErrBundle)
	}
}

// TestTA16MalformedPrekeys: the halves of a bundle are checked when it is
// parsed, by the server and by every sender.
func TestTA16MalformedPrekeys(t *testing.T) {
	_, _, b := bundleOf(t, "alice")
	t.Run("V-12 no x-coordinate of the curve", func(t *testing.T) {
		for _, x := range [][32]byte{{31: 1}, [32]byte(bytes.Repeat([]byte{0xff}, 32))} {
			bad := *b
			bad.ECDH = x
			_, err := ParseBundle(bad.Marshal())
			wantCheck(t, err, "V-12", ErrBundle)
		}
	})
	t.Run("V-13 unreduced or short KEM key", func(t *testing.T) {
		bad := *b
		bad.KEM[0], bad.KEM[1] = 0xff, 0xff
		_, err := ParseBundle(bad.Marshal())
		wantCheck(t, err, "V-13", ErrBundle)
		a := newActor("alice")
		x, kem := prekeys("p")
		_, err = SignBundle(a.party("p"), a.key, PQ3A, x, kem[1:], 1, 2, nil)
		wantCheck(t, err, "V-13", ErrBundle)
	})
}

func TestV14ValidityOfABundle(t *testing.T) {
	_, _, b := bundleOf(t, "alice")
	month := uint64(MaxBundleValidity.Milliseconds())
	for after, ok := range map[uint64]bool{0: false, 1: true, month: true, month + 1: false} {
		changed := *b
		changed.NotAfter = changed.NotBefore + after
		_, err := ParseBundle(changed.Marshal())
		if ok && err != nil {
			t.Errorf("%d ms: %v", after, err)
		} else if !ok {
			wantCheck(t, err, "V-14", ErrBundle)
		}
	}
}

func TestTA16BundleOutsideItsTime(t *testing.T) {
	t.Run("V-15 five minutes of skew, no more", func(t *testing.T) {
		_, owner, b := bundleOf(t, "alice")
		for at, ok := range map[time.Duration]bool{
			-5 * time.Minute: true, -5*time.Minute - time.Millisecond: false,
			MaxBundleValidity + 5*time.Minute: true, MaxBundleValidity + 5*time.Minute + time.Millisecond: false,
		} {
			err := b.Verify(owner, testTime.Add(at))
			if ok && err != nil {
				t.Errorf("%v: %v", at, err)
			} else if !ok {
				wantCheck(t, err, "V-15", ErrBundle)
			}
		}
	})
}

func TestV16SuiteThatTheDeviceDoesNotList(t *testing.T) {
	a, owner, b := bundleOf(t, "alice")
	classic := *a.Device
	classic.Suites = []Suite{PQ3}
	wantCheck(t, b.Verify(Party{owner.Account, &classic}, testTime), "V-16", ErrBundle)
	x, kem := prekeys("p")
	_, err := SignBundle(Party{owner.Account, &classic}, a.key, PQ3A, x, kem, 1, 2, nil)
	wantCheck(t, err, "V-16", ErrBundle)
}

// TestTA16ForeignOrTamperedBundle: any field changed, or another owner.
func TestTA16ForeignOrTamperedBundle(t *testing.T) {
	t.Run("V-17 not signed by this device for this suite", func(t *testing.T) {
		_, owner, b := bundleOf(t, "alice")
		_, other, _ := bundleOf(t, "mallory")
		wantCheck(t, b.Verify(other, testTime), "V-17", ErrBundle)
		wantCheck(t, b.Verify(Party{other.Account, owner.Device}, testTime), "V-17", ErrBundle)
		raw := b.Marshal()
		for at := 1; at < len(raw); at += 41 {
			bad := bytes.Clone(raw)
			bad[at] ^= 1
			parsed, err := ParseBundle(bad)
			if err == nil {
				err = parsed.Verify(owner, testTime)
			}
			if err == nil {
				t.Errorf("byte %d changed, and the bundle verifies", at)
			}
		}
	})
}

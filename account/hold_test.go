package account

import (
	"bytes"
	"testing"
)

func TestHoldRoundTrip(t *testing.T) {
	h := newHousehold(t)
	want := Hold{Account: h.ID(), At: millis(testTime), Nonce: [16]byte{1, 2, 3}}
	raw := must(SignHold(want, h.recovery, nil))
	if got, err := OpenHold(raw, h.Roster); err != nil || got != want || len(raw) != holdSize+SignatureSize {
		t.Fatalf("%v, %v", got, err)
	}
}

func TestV04Hold(t *testing.T) {
	h := newHousehold(t)
	hold := Hold{Account: h.ID(), At: millis(testTime)}
	good := must(SignHold(hold, h.recovery, nil))
	elsewhere := hold
	elsewhere.Account[0] ^= 1
	refuse := func(name string, raw []byte, r *Roster) {
		t.Run(name, func(t *testing.T) {
			_, err := OpenHold(raw, r)
			wantCheck(t, err, "V-04", ErrHold)
		})
	}
	refuse("empty", nil, h.Roster)
	refuse("short", good[:len(good)-1], h.Roster)
	refuse("long", append(bytes.Clone(good), 0), h.Roster)
	refuse("version", append([]byte{2}, good[1:]...), h.Roster)
	refuse("other account", must(SignHold(elsewhere, h.recovery, nil)), h.Roster)
	refuse("signed by a device", must(SignHold(hold, h.phone.key, nil)), h.Roster)
	for _, i := range []int{50, 60, holdSize + 3, holdSize + 64 + 3} { // time, nonce, either signature
		flipped := bytes.Clone(good)
		flipped[i] ^= 1
		refuse("flipped", flipped, h.Roster)
	}
	cleared := must(h.Apply(h.sign(h.byRecovery(), nil, ClearRecovery{})))
	refuse("no recovery key", good, cleared)
}

package account

import (
	"bytes"
	"testing"
)

func TestDeviceRoundTrip(t *testing.T) {
	for _, a := range []actor{newActor("one"), newActor("two", PQ3A), newActor("future", PQ3A, 7)} {
		raw := a.Marshal()
		parsed, err := ParseDevice(raw)
		if err != nil || !bytes.Equal(parsed.Marshal(), raw) {
			t.Errorf("%s: %v", a.ID, err)
		}
	}
}

func TestV09DeviceRecordOfAnotherFormRefused(t *testing.T) {
	raw := newActor("device").Marshal()
	for n := range len(raw) {
		if _, err := ParseDevice(raw[:n]); err == nil {
			t.Fatalf("accepted after %d of %d bytes", n, len(raw))
		}
	}
	_, err := ParseDevice(append(bytes.Clone(raw), 0))
	wantCheck(t, err, "V-09", ErrDevice)
	_, err = ParseDevice(append([]byte{2}, raw[1:]...))
	wantCheck(t, err, "V-09", ErrDevice)
	long := *newActor("device").Device
	long.Name = make([]byte, MaxDeviceName+1)
	wantCheck(t, long.check(), "V-09", ErrDevice)
}

func TestV10SuitesAscendWithoutRepeats(t *testing.T) {
	for _, suites := range [][]Suite{nil, {0}, {PQ3A, PQ3}, {PQ3, PQ3}, make([]Suite, maxSuites+1)} {
		d := *newActor("device").Device
		d.Suites = suites
		_, err := ParseDevice(d.Marshal())
		wantCheck(t, err, "V-10", ErrDevice)
	}
}

func TestV08DevicesWithoutACommonSuite(t *testing.T) {
	both, classic, hybrid := newActor("b"), newActor("c", PQ3), newActor("h", PQ3A)
	for _, c := range []struct {
		a, b actor
		want Suite
	}{{both, both, PQ3A}, {both, classic, PQ3}, {hybrid, both, PQ3A}} {
		if got, err := ChooseSuite(c.a.Device, c.b.Device); err != nil || got != c.want {
			t.Errorf("got %v, %v, want %v", got, err, c.want)
		}
	}
	_, err := ChooseSuite(classic.Device, hybrid.Device)
	wantCheck(t, err, "V-08", ErrSuite)
	_, err = ChooseSuite(newActor("x", 9).Device, newActor("y", 9).Device)
	wantCheck(t, err, "V-08", ErrSuite)
}

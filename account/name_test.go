package account

import (
	"strings"
	"testing"
)

func TestParseNameAccepts(t *testing.T) {
	for _, s := range []string{"bob", "a.b", "---", "0_0", strings.Repeat("z", MaxNameLen)} {
		if n, err := ParseName(s); err != nil || string(n) != s {
			t.Errorf("ParseName(%q) = %q, %v", s, n, err)
		}
	}
}

func TestV01NameRule(t *testing.T) {
	for _, s := range []string{"", "ab", strings.Repeat("a", MaxNameLen+1), "Bob", "@bob", "bob ", "b\x00b", "böb", "bob\n", "a/b", "аlice"} {
		_, err := ParseName(s)
		wantCheck(t, err, "V-01", ErrName)
	}
}

func TestIDRoundTrip(t *testing.T) {
	var id ID
	var dev DeviceID
	stream("ids")(id[:])
	stream("ids")(dev[:])
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Errorf("account id: %v, %v", got, err)
	}
	if got, err := ParseDeviceID(dev.String()); err != nil || got != dev {
		t.Errorf("device id: %v, %v", got, err)
	}
}

func TestV02IDText(t *testing.T) {
	good := ID{0xab}.String()
	for _, s := range []string{"", good[2:], good + "00", strings.ToUpper(good), "g" + good[1:], " " + good[1:]} {
		id, err := ParseID(s)
		wantCheck(t, err, "V-02", ErrID)
		if id != (ID{}) {
			t.Errorf("a refused id is not zero for %q", s)
		}
	}
	_, err := ParseDeviceID(good)
	wantCheck(t, err, "V-02", ErrID)
}

package localdb

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/posthorn/posthorn/account"
)

func TestLogIsStored(t *testing.T) {
	dir, db := made(t)
	if err := db.View(t.Context(), func(tx *Tx) error { _, err := tx.Log(); return err }); !errors.Is(err, ErrNotFound) {
		t.Errorf("a log before there is one: %v", err)
	}
	want := Log{
		Policy: []byte("policy"), Size: 7, Root: [32]byte{1}, Note: []byte("note"), Witnesses: []string{"one", "two"},
		SignedAt: 3, CheckedAt: 4, AskedAt: 5, Alarm: "/evidence",
	}
	name := LogName{Name: "alice", Version: 2, Value: [32]byte{9}, CheckedAt: 8}
	place := LogPlace{Name: "alice", VRF: [32]byte{1}, Proof: [80]byte{79: 2}, Index: [32]byte{3}}
	update(t, db, func(tx *Tx) error {
		return errors.Join(tx.PutLog(Log{Size: 1}), tx.PutLog(want), tx.PutLogName(LogName{Name: "alice"}), tx.PutLogName(name),
			tx.PutLogPlace(LogPlace{Name: "alice"}), tx.PutLogPlace(place))
	})
	db = reopen(t, dir, db)
	if got := view(t, db, (*Tx).Log); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := view(t, db, func(tx *Tx) (LogName, error) { return tx.LogName("alice") }); got != name {
		t.Errorf("got %+v", got)
	}
	if got := view(t, db, func(tx *Tx) (LogPlace, error) { return tx.LogPlace("alice") }); got != place {
		t.Errorf("got %+v", got)
	}
	update(t, db, (*Tx).ForgetLog)
	for _, get := range []func(tx *Tx) error{
		func(tx *Tx) error { _, err := tx.Log(); return err },
		func(tx *Tx) error { _, err := tx.LogName("alice"); return err },
		func(tx *Tx) error { _, err := tx.LogPlace("alice"); return err },
	} {
		if err := db.View(t.Context(), get); !errors.Is(err, ErrNotFound) {
			t.Errorf("after it was forgotten: %v", err)
		}
	}
}

// TestToldDevicesAreForgottenAtRandom: at most so many are remembered, and the
// newest is always among them.
func TestToldDevicesAreForgottenAtRandom(t *testing.T) {
	_, db := made(t)
	for i := range 20 {
		device := account.DeviceID{byte(i)}
		update(t, db, func(tx *Tx) error { return tx.PutTold(device, uint64(i), 5) })
		if !view(t, db, func(tx *Tx) (bool, error) { return tx.Told(device) }) {
			t.Fatalf("device %d was forgotten at once", i)
		}
		if n := view(t, db, func(tx *Tx) (int, error) { return tx.count("SELECT count(*) FROM kt_told") }); n != min(i+1, 5) {
			t.Fatalf("%d devices after %d", n, i+1)
		}
	}
}

// TestHeardHeadsAreBounded: who passes on many heads, or has many accounts, does
// not make this device forget what a contact has said.
func TestHeardHeadsAreBounded(t *testing.T) {
	_, db := made(t)
	hear := func(head, from byte, at int) {
		update(t, db, func(tx *Tx) error {
			return tx.PutHeard(Heard{Head: []byte{head}, Account: account.ID{from}, At: uint64(at)}, 4)
		})
	}
	left := func() (heads []byte) {
		for _, h := range view(t, db, (*Tx).Heard) {
			heads = append(heads, h.Head...)
		}
		return heads
	}
	update(t, db, func(tx *Tx) error { return tx.PutContact(Contact{Account: account.ID{1}, Name: "bob", State: Friend}) })
	hear(100, 1, 0)
	for i := range 9 {
		hear(byte(i), 2, 1+i)
	}
	if got := left(); !bytes.Equal(got, []byte{100, 8}) {
		t.Errorf("after many heads of one account: %v", got)
	}
	for i := range 9 {
		hear(byte(20+i), byte(20+i), 20+i)
	}
	if got := left(); !bytes.Equal(got, []byte{100, 26, 27, 28}) {
		t.Errorf("after heads of many accounts: %v", got)
	}
	hear(100, 28, 30) // somebody else says the same, and then something else
	hear(99, 28, 31)
	if got := left(); !bytes.Equal(got, []byte{100, 26, 27, 99}) {
		t.Errorf("after what somebody took back: %v", got)
	}
	hear(101, 1, 40)
	update(t, db, func(tx *Tx) error { return tx.DropHeard(account.ID{27}) })
	if got := left(); !bytes.Equal(got, []byte{26, 99, 101}) {
		t.Errorf("left %v", got)
	}
}

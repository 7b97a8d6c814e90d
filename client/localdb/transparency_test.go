package localdb

import (
	"errors"
	"fmt"
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
	update(t, db, func(tx *Tx) error {
		return errors.Join(tx.PutLog(Log{Size: 1}), tx.PutLog(want), tx.PutLogName(LogName{Name: "alice"}), tx.PutLogName(name))
	})
	db = reopen(t, dir, db)
	if got := view(t, db, (*Tx).Log); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	if got := view(t, db, func(tx *Tx) (LogName, error) { return tx.LogName("alice") }); got != name {
		t.Errorf("got %+v", got)
	}
	update(t, db, (*Tx).ForgetLog)
	for _, get := range []func(tx *Tx) error{
		func(tx *Tx) error { _, err := tx.Log(); return err },
		func(tx *Tx) error { _, err := tx.LogName("alice"); return err },
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

func TestHeardHeadsAreBounded(t *testing.T) {
	_, db := made(t)
	for i := range 9 {
		update(t, db, func(tx *Tx) error { return tx.PutHeard(Heard{Head: []byte{byte(i)}, At: uint64(i)}, 4) })
	}
	update(t, db, func(tx *Tx) error { return tx.DropHeard([]byte{6}) })
	var left []string
	for _, h := range view(t, db, (*Tx).Heard) {
		left = append(left, fmt.Sprint(h.Head[0]))
	}
	if fmt.Sprint(left) != "[5 7 8]" {
		t.Errorf("left %v", left)
	}
}

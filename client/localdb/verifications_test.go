package localdb

import (
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
)

func TestVerificationIsKeptForEachAccount(t *testing.T) {
	_, db := made(t)
	one := Verification{Account: account.ID{1}, ID: [16]byte{2}, Device: account.DeviceID{3}, Run: []byte("nonce"), Failed: 2, FailedAt: 9}
	other := Verification{Account: account.ID{4}, Run: []byte{}}
	update(t, db, func(tx *Tx) error { return errors.Join(tx.PutVerification(other), tx.PutVerification(one)) })
	one.Failed = 3
	update(t, db, func(tx *Tx) error { return tx.PutVerification(one) })
	got := view(t, db, func(tx *Tx) (Verification, error) {
		v, err := tx.Verification(one.Account)
		v.Run = slices.Clone(v.Run) // what was opened ends with the transaction
		return v, err
	})
	if !reflect.DeepEqual(got, one) {
		t.Errorf("got %+v", got)
	}
	if err := db.View(t.Context(), func(tx *Tx) error { _, err := tx.Verification(account.ID{5}); return err }); !errors.Is(err, ErrNotFound) {
		t.Errorf("an account that was never compared: %v", err)
	}
}

// A run holds a nonce, so it opens in its own row alone.
func TestRunOpensInItsOwnRow(t *testing.T) {
	_, db := made(t)
	err := db.Update(t.Context(), func(tx *Tx) error {
		if err := tx.PutVerification(Verification{Account: account.ID{1}, Run: []byte("nonce")}); err != nil {
			return err
		}
		moved := account.ID{2}
		if _, err := tx.exec("UPDATE verifications SET account = ?", moved[:]); err != nil {
			return err
		}
		_, err := tx.Verification(moved)
		return err
	})
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("a run in another row: %v", err)
	}
}

func TestFormerContactGivesUpItsName(t *testing.T) {
	_, db := made(t)
	old, next := Contact{Account: account.ID{1}, Name: "bob", State: Friend, VerifiedAt: 7, ChangedTo: account.ID{2}}, Contact{Account: account.ID{2}, Name: "bob", State: Friend}
	update(t, db, func(tx *Tx) error { return errors.Join(tx.PutContact(old), tx.PutContact(next)) })
	if got := view(t, db, func(tx *Tx) (Contact, error) { return tx.ContactByName("bob") }); got.Account != old.Account || got.VerifiedAt != 7 || got.ChangedTo != next.Account {
		t.Errorf("got %+v", got)
	}
	old.State = Former
	update(t, db, func(tx *Tx) error { return tx.PutContact(old) })
	if got := view(t, db, func(tx *Tx) (Contact, error) { return tx.ContactByName("bob") }); got.Account != next.Account {
		t.Errorf("the name still leads to the former account")
	}
}

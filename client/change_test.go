package client

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/secret"
	"github.com/posthorn/posthorn/recovery"
)

// phrased gives somebody's account a recovery key and returns its secret.
func (w *world) phrased(c *Client) *secret.Key {
	w.t.Helper()
	phrase := c.NewPhrase()
	if err := c.SetRecovery(w.ctx, nil, &phrase); err != nil {
		w.t.Fatal(err)
	}
	return &phrase
}

// another makes a second device of an account by its phrase.
func (w *world) another(c *Client, phrase *secret.Key, removeOthers bool) *Client {
	w.t.Helper()
	cfg := testConfig(filepath.Join(w.t.TempDir(), "another"))
	again, err := Recover(w.ctx, cfg, Rescue{Name: c.Name(), Server: w.office.url, Phrase: phrase, RemoveOthers: removeOthers})
	if err != nil {
		w.t.Fatal(err)
	}
	w.adopt(again, cfg)
	return again
}

// proposed is a stored change of the own account that has not been sent.
func (w *world) proposed(c *Client, ops ...account.Operation) []byte {
	w.t.Helper()
	roster, err := c.newestRoster(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	statement, err := roster.Propose(c.byDevice(), nil, 1, nil, ops...)
	if err == nil {
		err = c.update(w.ctx, func(tx *localdb.Tx) error { return tx.PutChange(statement.Marshal()) })
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return statement.Marshal()
}

// waits reports whether a change is stored of which nothing is known.
func (w *world) waits(c *Client) (waits bool) {
	w.t.Helper()
	if err := c.view(w.ctx, func(tx *localdb.Tx) error {
		raw, err := tx.Change()
		waits = raw != nil
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return waits
}

func (w *world) devicesOf(c *Client) int {
	w.t.Helper()
	me, err := c.knownByID(w.ctx, c.profile.Account)
	if err != nil {
		w.t.Fatal(err)
	}
	return len(me.roster.Devices())
}

// The program ends between the statement's way out and its answer. The next
// start finds out, whether the server has it or not.
func TestLostAnswerOfAChangeIsClearedUp(t *testing.T) {
	for name, arrived := range map[string]bool{"the answer was lost": true, "the request was lost": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice := w.person("alice")
			other := w.another(alice, w.phrased(alice), false)
			raw := w.proposed(alice, account.RemoveDevice{ID: other.profile.Device})
			if arrived {
				if err := alice.server.UpdateRoster(w.ctx, raw, nil); err != nil {
					t.Fatal(err)
				}
			}
			alice = w.restart(alice)
			if !w.waits(alice) || w.devicesOf(alice) != 2 {
				t.Fatal("the change is not waiting")
			}
			if err := alice.Sync(w.ctx); err != nil {
				t.Fatal(err)
			}
			if w.waits(alice) || w.devicesOf(alice) != 1 {
				t.Errorf("waits %v, %d devices", w.waits(alice), w.devicesOf(alice))
			}
		})
	}
}

// A change that lost its race while nobody looked is dropped, and the user is
// told.
func TestChangeThatWasOvertakenIsDropped(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	other := w.another(alice, w.phrased(alice), false)
	w.proposed(alice, account.RemoveDevice{ID: other.profile.Device})
	if err := other.changeRoster(w.ctx, func(*account.Roster) (account.Author, []account.Operation, error) {
		return other.byDevice(), []account.Operation{account.RenameDevice{ID: other.profile.Device, Name: []byte("x")}}, nil
	}); err != nil {
		t.Fatal(err)
	}
	alice = w.restart(alice)
	if err := alice.Sync(w.ctx); err != nil {
		t.Fatal(err)
	}
	notices, err := alice.Notices(w.ctx)
	if err != nil || w.waits(alice) || !strings.Contains(strings.Join(notices, " "), "was not made") {
		t.Errorf("waits %v, notices %q, %v", w.waits(alice), notices, err)
	}
}

// A lost race is run once more on what the winner left, and not for ever.
func TestLostRaceIsRunOnceMore(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	other := w.another(alice, w.phrased(alice), false)
	rename := func(c *Client, name string) change {
		return func(*account.Roster) (account.Author, []account.Operation, error) {
			return c.byDevice(), []account.Operation{account.RenameDevice{ID: c.profile.Device, Name: []byte(name)}}, nil
		}
	}
	for losses, want := range []error{nil, nil, ErrDevicesChanged} {
		tries := 0
		err := alice.changeRoster(w.ctx, func(r *account.Roster) (account.Author, []account.Operation, error) {
			if tries++; tries <= losses {
				if err := other.changeRoster(w.ctx, rename(other, "first")); err != nil {
					t.Fatal(err)
				}
			}
			return rename(alice, "second")(r)
		})
		if !errors.Is(err, want) || tries != min(losses+1, 2) || w.waits(alice) {
			t.Errorf("%d lost races: %v after %d tries", losses, err, tries)
		}
	}
}

// What is cut off after the server has taken the new device goes on from the
// same keys, with the same call.
func TestRecoveryGoesOnAfterACrash(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	phrase := w.phrased(alice)
	cfg := testConfig(filepath.Join(t.TempDir(), "new"))
	r := Rescue{Name: "alice", Server: w.office.url, Phrase: phrase, RemoveOthers: true}
	first, err := Recover(w.ctx, cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	device := first.profile.Device
	unfinished := first.profile
	unfinished.Statements, unfinished.Registered = nil, false
	if err := errors.Join(first.update(w.ctx, func(tx *localdb.Tx) error {
		return errors.Join(tx.PutProfile(unfinished), tx.PutRescue())
	}), first.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(cfg); !errors.Is(err, ErrNoProfile) {
		t.Fatalf("an unfinished recovery opens: %v", err)
	}
	again, err := Recover(w.ctx, cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	w.adopt(again, cfg)
	if again.profile.Device != device || w.devicesOf(again) != 1 {
		t.Errorf("another device, or %d of them", w.devicesOf(again))
	}
	bob := w.person("bob")
	w.say(bob, again, "to the new device")
	if _, err := Recover(w.ctx, w.homes[bob], r); !errors.Is(err, ErrProfileExists) && !errors.Is(err, ErrLocked) {
		t.Errorf("over another profile: %v", err)
	}
}

func TestRecoveryKeyDecidesAboutItself(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	wrong := alice.NewPhrase()
	if _, err := alice.Hold(w.ctx, &wrong); !errors.Is(err, ErrNoRecovery) {
		t.Errorf("hold without a key: %v", err)
	}
	phrase := w.phrased(alice)
	next := alice.NewPhrase()
	if err := alice.SetRecovery(w.ctx, nil, &next); !errors.Is(err, ErrRecoverySet) {
		t.Errorf("set twice: %v", err)
	}
	if err := alice.SetRecovery(w.ctx, &wrong, &next); !errors.Is(err, ErrOtherPhrase) {
		t.Errorf("replaced by a wrong phrase: %v", err)
	}
	if err := alice.ClearRecovery(w.ctx, &wrong); !errors.Is(err, ErrOtherPhrase) {
		t.Errorf("cleared by a wrong phrase: %v", err)
	}
	if err := alice.SetRecovery(w.ctx, phrase, &next); err != nil {
		t.Fatal(err)
	}
	key, err := recovery.Key(&next)
	if err != nil {
		t.Fatal(err)
	}
	roster, err := alice.newestRoster(w.ctx)
	if err != nil || !roster.Recovery().Equal(key.Public()) {
		t.Fatalf("another key than the new one, %v", err)
	}
	if _, err := alice.Hold(w.ctx, &next); err != nil {
		t.Fatal(err)
	}
	other := w.another(alice, &next, false) // the key may act while devices may not
	if err := alice.RemoveDevices(w.ctx, other.profile.Device); !errors.Is(err, ErrHeld) || w.waits(alice) {
		t.Errorf("a device while the account is held: %v", err)
	}
}

package client

import (
	"errors"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
)

// wantState fails unless a text of c has come as far as said.
func (w *world) wantState(c *Client, id content.ID, want localdb.MessageState) {
	w.t.Helper()
	if got, err := c.stateOf(w.ctx, id); err != nil || got != want {
		w.t.Fatalf("%s: state %d, want %d, %v", c.Name(), got, want, err)
	}
}

// look asks the directory for somebody now.
func (w *world) look(c, at *Client) {
	w.t.Helper()
	if _, err := c.findByID(w.ctx, at.profile.Account, true); err != nil {
		w.t.Fatal(err)
	}
}

// A device that its account has removed owes no confirmation any more: what the
// others have confirmed is delivered, on every own device; what nobody has
// confirmed is not.
func TestRemovedDeviceIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop, phone := w.sibling(alice), w.sibling(bob)
	w.settleAll(alice, laptop, bob, phone)
	w.look(alice, bob)
	w.look(laptop, bob)
	confirmed := w.say(alice, bob, "bob has this, his phone is off")
	w.settleAll(bob, alice)
	nobody := w.say(alice, bob, "nobody has seen this")
	w.settleAll(laptop)
	w.wantState(alice, confirmed, localdb.Accepted)
	w.expel(bob, phone)
	w.look(alice, bob)
	w.wantState(alice, confirmed, localdb.Delivered)
	w.wantState(alice, nobody, localdb.Accepted)
	w.settleAll(alice, laptop)
	w.wantState(laptop, confirmed, localdb.Delivered)
	w.settleAll(bob, alice)
	w.wantState(alice, nobody, localdb.Delivered)
}

// The server may be the first to say that a device is gone. Then a text that
// another device has confirmed has not failed, and one that nobody has has.
func TestTextForADeviceThatIsGone(t *testing.T) {
	for name, confirmed := range map[string]bool{"another has it": true, "nobody has it": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.befriended()
			phone := w.sibling(bob)
			w.settleAll(alice, bob, phone)
			w.look(alice, bob)
			id := w.say(alice, bob, "one of you will have this")
			if confirmed {
				w.settleAll(bob, alice)
			}
			w.write(alice, func(tx *localdb.Tx) error {
				left, err := tx.OutgoingOf(id)
				for _, row := range left {
					err = errors.Join(err, alice.undeliverable(tx, row))
				}
				return err
			})
			want := localdb.Failed
			if confirmed {
				want = localdb.Delivered
			}
			w.wantState(alice, id, want)
		})
	}
}

// renamed changes the name of a device on c and waits for nobody.
func (w *world) renamed(c *Client, device account.DeviceID, name string) {
	w.t.Helper()
	if err := c.RenameDevice(w.ctx, device, name); err != nil {
		w.t.Fatal(err)
	}
}

// News that were on a session which the other own device has lost go out again,
// as texts do.
func TestNewsOnALostSessionGoOutAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop := w.sibling(alice)
	w.settleAll(alice, laptop)
	w.say(alice, bob, "before") // and the own devices have a session
	w.settleAll(alice, laptop, bob)
	w.wantSaid(laptop, "bob", ">hello", ">before")
	w.say(alice, bob, "lost on the way to the laptop")
	w.renamed(alice, alice.profile.Device, "the old one")
	w.forgetSessions(laptop)
	laptop = w.restart(laptop)
	w.sync(laptop)
	w.wantSaid(laptop, "bob", ">hello", ">before") // what came cannot be read
	w.settleAll(alice, laptop)
	w.wantSaid(laptop, "bob", ">hello", ">before", ">lost on the way to the laptop")
	devices, err := laptop.Devices(w.ctx)
	if err != nil || !slices.ContainsFunc(devices, func(d Device) bool { return d.Name == "the old one" }) {
		t.Errorf("devices %+v, %v", devices, err)
	}
	w.settleAll(alice, laptop)
	w.wantNothingOwed(alice)
	w.wantNothingOwed(laptop)
}

// wantNothingOwed fails if news are kept that every own device has confirmed.
func (w *world) wantNothingOwed(c *Client) {
	w.t.Helper()
	w.read(c, func(tx *localdb.Tx) error {
		siblings, err := c.siblings(tx)
		for _, s := range siblings {
			rows, failed := tx.UnacknowledgedOutgoing(s.Device.ID)
			err = errors.Join(err, failed)
			for _, row := range rows {
				if row.Kind != localdb.OutgoingSync {
					continue
				}
				w.t.Errorf("news of %d ms are still unconfirmed", row.Created)
			}
		}
		return err
	})
}

// A renewed profile tells its other devices anew what they may not have heard.
func TestNewsSurviveARenewal(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	laptop := w.sibling(alice)
	w.settleAll(alice, laptop)
	w.renamed(alice, laptop.profile.Device, "the laptop")
	w.write(alice, func(tx *localdb.Tx) error {
		if rows, err := tx.AllOwed(); err != nil || len(rows) != 0 {
			t.Errorf("%d pieces of news are not sealed, %v", len(rows), err)
		}
		if _, err := tx.EraseRatchets(); err != nil {
			return err
		}
		rows, err := tx.AllOwed()
		if len(rows) == 0 {
			t.Error("what was sealed on erased sessions is not owed any more")
		}
		return err
	})
}

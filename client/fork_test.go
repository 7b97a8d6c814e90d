package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/reject"
)

// rival is a second statement with the number of the newest one of an account,
// as a stolen device would sign it.
func (w *world) rival(c *Client, before person) person {
	w.t.Helper()
	key, _ := account.GenerateSigningKey(func(p []byte) { _, _ = rand.Read(p) })
	ghost := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: 1}
	_, _ = rand.Read(ghost.ID[:])
	s, err := before.roster.Propose(account.Author{Device: &c.profile.Device, Key: c.key}, []*account.SigningKey{key}, 2, nil, account.AddDevice{Device: ghost})
	if err != nil {
		w.t.Fatal(err)
	}
	if before.roster, err = before.roster.Apply(s); err != nil {
		w.t.Fatal(err)
	}
	before.row.Statements = before.roster.Statements()
	return before
}

func (w *world) known(c, of *Client) person {
	w.t.Helper()
	p, err := c.knownByID(w.ctx, of.profile.Account)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// A contradiction that no log has proved is refused and changes nothing.
func TestV103UnloggedStatementIsIgnored(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	first := w.known(alice, bob)
	w.sibling(bob)
	alice.rosters.doubt(bob.profile.Account)
	w.say(alice, bob, "two devices now")
	known, ghost := w.known(alice, bob), w.rival(bob, first)
	id := bob.profile.Account
	_, err := alice.confirm(w.ctx, known, transport.Record{Name: "bob", Account: id[:], Statements: ghost.row.Statements}, nil, time.Now())
	if refused, ok := errors.AsType[*reject.Error](err); !ok || refused.Check != "V-103" {
		t.Fatalf("%v", err)
	}
	w.say(alice, bob, "as before")
	if now := w.known(alice, bob); now.roster.Head() != known.roster.Head() {
		t.Error("the known devices are others now")
	}
}

// TestV224AFork: two logged statements with one number. Nothing is sent, what
// came after the fork is not believed, and the user decides.
func TestV224AFork(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	first := w.known(alice, bob)
	phone := w.sibling(bob)
	alice.rosters.doubt(bob.profile.Account)
	w.say(alice, bob, "two devices now")
	w.settleAll(bob, phone, alice)
	w.seal(phone, alice, "from the phone")
	late := w.take(phone)
	known, ghost := w.known(alice, bob), w.rival(bob, first)

	if err := alice.noteFork(w.ctx, known, ghost, nil); !errors.Is(err, ErrForked) {
		t.Fatal(err)
	}
	if _, err := alice.Send(w.ctx, "bob", "to whom?"); !errors.Is(err, ErrForked) {
		t.Fatalf("sending after a fork: %v", err)
	}
	before := w.sessionRows(alice)
	d := transport.Delivery{ID: late[0].Envelope, SenderAccount: bob.profile.Account, SenderDevice: phone.profile.Device, Payload: late[0].Payload}
	if _, err := alice.receive(w.ctx, d); err != nil {
		t.Fatal(err)
	}
	w.wantRefused(alice, "V-224", 1)
	if !bytes.Equal(before, w.sessionRows(alice)) {
		t.Error("a device from after the fork had an effect")
	}
	w.read(alice, func(tx *localdb.Tx) error {
		rows, err := tx.Sessions(phone.profile.Device)
		if len(rows) != 0 {
			t.Errorf("%d sessions with a device from after the fork", len(rows))
		}
		return err
	})
	w.say(bob, alice, "from the device of before")
	w.sync(alice)
	if got := w.said(alice, "bob"); !slices.Contains(got, "from the device of before") {
		t.Errorf("a device from before the fork is not heard: %q", got)
	}
	if c, err := alice.Contact(w.ctx, "bob"); err != nil || c.Trust != Changed {
		t.Errorf("trust %q, %v", c.Trust, err)
	}
	if texts := w.notices(alice); !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "two different lists") }) {
		t.Errorf("notices %q", texts)
	}
	alice = w.restart(alice)
	if _, err := alice.Send(w.ctx, "bob", "still?"); !errors.Is(err, ErrForked) {
		t.Fatalf("after a restart: %v", err)
	}
	if err := alice.AcceptContact(w.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	w.say(alice, bob, "reviewed")
	w.settleAll(bob, phone, alice)
	if got := w.said(phone, "alice"); !slices.Contains(got, "reviewed") {
		t.Errorf("the reviewed device has %q", got)
	}
}

// A statement that was signed twice is one statement.
func TestOneStatementSignedTwiceIsNoFork(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	first := w.known(alice, bob)
	propose := func() [][]byte {
		s, err := first.roster.Propose(account.Author{Device: &bob.profile.Device, Key: bob.key}, nil, 3, rand.Reader, account.RenameDevice{ID: bob.profile.Device, Name: []byte("x")})
		if err != nil {
			t.Fatal(err)
		}
		return append(slices.Clone(first.row.Statements), s.Marshal())
	}
	one, two := propose(), propose()
	if bytes.Equal(one[1], two[1]) {
		t.Fatal("both signatures are the same")
	}
	if n := common(one, two); n != 2 {
		t.Errorf("%d statements in common, want 2", n)
	}
}

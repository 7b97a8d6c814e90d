package client

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/pq3"
)

// sibling adds a device to the account of c, as a pairing would.
func (w *world) sibling(c *Client) *Client {
	w.t.Helper()
	entropy := pq3.SystemEntropy()
	key, seeds := account.GenerateSigningKey(entropy.Read)
	device := &account.Device{Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: millis(time.Now())}
	entropy.Read(device.ID[:])
	me, err := c.knownByID(w.ctx, c.profile.Account)
	if err != nil {
		w.t.Fatal(err)
	}
	statement, err := me.roster.Propose(account.Author{Device: &c.profile.Device, Key: c.key}, []*account.SigningKey{key}, 1, nil, account.AddDevice{Device: device})
	if err != nil {
		w.t.Fatal(err)
	}
	identity, err := pq3.NewIdentity(account.Party{Account: c.profile.Account, Device: device}, key)
	if err != nil {
		w.t.Fatal(err)
	}
	prekey, err := newPrekey(identity, entropy, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	if err := c.server.UpdateRoster(w.ctx, statement.Marshal(), [][]byte{prekey.Bundle().Marshal()}); err != nil {
		w.t.Fatal(err)
	}
	cfg := testConfig(filepath.Join(w.t.TempDir(), "sibling"))
	db, err := localdb.Create(cfg.Home, cfg.unlock())
	if err != nil {
		w.t.Fatal(err)
	}
	err = db.Update(w.ctx, func(tx *localdb.Tx) error {
		row := c.profile
		row.Device, row.KeySeeds, row.Statements = device.ID, seeds, append(me.roster.Statements(), statement.Marshal())
		return errors.Join(tx.PutProfile(row), putPrekey(tx, prekey), tx.MarkPublished(prekey.Hash()))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		w.t.Fatal(err)
	}
	other, err := Open(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.adopt(other, cfg)
	c.rosters.doubt(c.profile.Account)
	return other
}

// expel removes a device from the account of c.
func (w *world) expel(c, other *Client) {
	w.t.Helper()
	c.rosters.doubt(c.profile.Account)
	if _, err := c.findByID(w.ctx, c.profile.Account, true); err != nil {
		w.t.Fatal(err)
	}
	if err := c.RemoveDevices(w.ctx, other.profile.Device); err != nil {
		w.t.Fatal(err)
	}
}

// said lists what a conversation holds on a device, outgoing texts with ">".
func (w *world) said(c *Client, with account.Name) (texts []string) {
	w.t.Helper()
	messages, err := c.Inbox(w.ctx, Filter{From: with, All: true})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, m := range messages {
		if m.Outgoing {
			texts = append(texts, ">"+m.Text)
		} else {
			texts = append(texts, m.Text)
		}
	}
	slices.Sort(texts)
	return texts
}

func (w *world) wantSaid(c *Client, with account.Name, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.said(c, with); !slices.Equal(got, want) {
		w.t.Fatalf("with %s: %q, want %q", with, got, want)
	}
}

func TestTextsReachEveryDeviceOfBothSides(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop, phone := w.sibling(alice), w.sibling(bob)
	w.settleAll(alice, bob, laptop, phone)
	id := w.say(alice, bob, "to all of you") // its list of Bob's devices is out of date
	w.settleAll(bob, phone, alice, laptop)
	for _, c := range []*Client{bob, phone} {
		if got := w.said(c, "alice"); !slices.Contains(got, "to all of you") {
			t.Errorf("a device of the recipient has %q", got)
		}
	}
	w.wantSaid(laptop, "bob", ">hello", ">to all of you")
	w.say(laptop, bob, "from the laptop")
	w.settleAll(bob, phone, alice, laptop)
	if got := w.said(alice, "bob"); !slices.Contains(got, ">from the laptop") {
		t.Errorf("the other own device has %q", got)
	}
	w.say(phone, laptop, "an answer from the phone")
	w.settleAll(alice, laptop, bob, phone)
	for _, c := range []*Client{alice, laptop} {
		if got := w.said(c, "bob"); !slices.Contains(got, "an answer from the phone") {
			t.Errorf("a device of the sender has %q", got)
		}
	}
	if state, err := alice.stateOf(w.ctx, id); err != nil || state != localdb.Delivered {
		t.Errorf("state %d where it was sent, %v", state, err)
	}
	if state, err := laptop.stateOf(w.ctx, id); err != nil || state != localdb.Delivered {
		t.Errorf("state %d at the sibling, %v", state, err)
	}
	for _, row := range append(w.outgoing(alice, bob), w.outgoing(alice, phone)...) {
		if row.Kind == localdb.OutgoingText {
			t.Errorf("a text is unconfirmed: %x", row.Content)
		}
	}
}

func TestWhatWasSeenIsSeenEverywhere(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	phone := w.sibling(bob)
	w.say(alice, bob, "read me once")
	w.settleAll(bob, phone)
	w.wantUnread(bob, "read me once")
	w.settleAll(bob, phone)
	w.wantUnread(phone)
}

func TestContactsFollow(t *testing.T) {
	w := newWorld(t)
	alice, mallory := w.person("alice"), w.person("mallory")
	laptop := w.sibling(alice)
	w.say(mallory, alice, "let me in")
	w.settleAll(alice, laptop, mallory)
	if err := alice.AcceptContact(w.ctx, "mallory"); err != nil {
		t.Fatal(err)
	}
	w.settleAll(alice, laptop)
	if c, err := laptop.Contact(w.ctx, "mallory"); err != nil || !c.Accepted {
		t.Errorf("accepted elsewhere: %+v, %v", c, err)
	}
	if err := alice.BlockContact(w.ctx, "mallory", true); err != nil {
		t.Fatal(err)
	}
	w.settleAll(alice, laptop)
	if c, err := laptop.Contact(w.ctx, "mallory"); err != nil || !c.Blocked {
		t.Errorf("blocked elsewhere: %+v, %v", c, err)
	}
}

// TestRemovedDevice is attack A31: nothing goes to a removed device and nothing
// from it is taken, at each peer from its next look on.
func TestRemovedDevice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	phone := w.sibling(bob)
	w.say(alice, bob, "both have this")
	w.settleAll(alice, bob, phone)
	w.say(phone, alice, "from the phone")
	w.settleAll(alice, bob, phone)
	w.seal(phone, alice, "sealed before the removal")
	late := w.take(phone)
	prekeys := w.prekeyHashes(bob)

	w.expel(bob, phone)
	w.say(alice, bob, "the thief must not have this")
	w.sync(bob)
	if n := len(w.outgoing(alice, phone)); n != 0 {
		t.Errorf("%d envelopes for the removed device", n)
	}
	w.read(alice, func(tx *localdb.Tx) error {
		rows, err := tx.Sessions(phone.profile.Device)
		if len(rows) != 0 {
			t.Errorf("%d sessions with the removed device are left", len(rows))
		}
		return err
	})
	before := w.sessionRows(alice)
	for _, row := range late {
		if _, err := alice.receive(w.ctx, transport.Delivery{ID: row.Envelope, SenderAccount: bob.profile.Account, SenderDevice: phone.profile.Device, Payload: row.Payload}); err != nil {
			t.Fatal(err)
		}
	}
	w.wantRefused(alice, "V-104", 1)
	if after := w.sessionRows(alice); !bytes.Equal(before, after) {
		t.Error("what a removed device sent had an effect")
	}
	if err := phone.Sync(w.ctx); !errors.Is(err, ErrRemoved) {
		t.Fatalf("the removed device: %v", err)
	}
	if _, err := phone.Send(w.ctx, "alice", "still here"); !errors.Is(err, ErrRemoved) {
		t.Errorf("it sends: %v", err)
	}
	if got := w.said(phone, "alice"); !slices.Contains(got, "both have this") || slices.Contains(got, "the thief must not have this") {
		t.Errorf("it can read %q", got)
	}
	phone = w.restart(phone)
	if err := phone.Sync(w.ctx); !errors.Is(err, ErrRemoved) {
		t.Errorf("after a restart: %v", err)
	}
	w.sync(bob)
	if slices.Equal(w.prekeyHashes(bob), prekeys) {
		t.Error("the remaining device has no new prekey although the removed one may be in other hands")
	}
}

// prekeyHashes is the newest prekey that a device has.
func (w *world) prekeyHashes(c *Client) (all []account.BundleHash) {
	w.t.Helper()
	w.read(c, func(tx *localdb.Tx) error {
		newest, err := tx.NewestPrekey(account.PQ3A)
		if err != nil {
			return err
		}
		all = append(all, newest.Hash)
		return nil
	})
	return all
}

// TestInconsistentFanOut is attack A56: two devices of one user that were sent
// different texts under one id find out when the first one is shown.
func TestV222InconsistentFanOut(t *testing.T) {
	w := newWorld(t)
	mallory, bob := w.befriended2("mallory", "bob")
	phone := w.sibling(bob)
	w.say(mallory, bob, "both")
	w.settleAll(mallory, bob, phone)
	w.unread(bob)
	w.settleAll(bob, phone)
	p, err := mallory.findByName(w.ctx, "bob")
	if err != nil {
		t.Fatal(err)
	}
	message := mallory.newMessage(content.Text{Text: "sell"}, time.Now())
	for i, peer := range p.parties() {
		message.Body = content.Text{Text: []string{"sell", "buy"}[i]}
		if err := mallory.sealTextFor(w.ctx, p, peer, message); err != nil {
			t.Fatal(err)
		}
	}
	w.sync(mallory)
	w.settleAll(bob, phone)
	w.wantUnread(bob, "sell")
	w.settleAll(bob, phone)
	w.wantRefused(phone, "V-222", 1)
	if texts := w.notices(phone); !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "different texts") }) {
		t.Errorf("notices %q", texts)
	}
}

func (w *world) befriended2(a, b account.Name) (*Client, *Client) {
	w.t.Helper()
	first, second := w.person(a), w.person(b)
	w.introduce(first, second)
	return first, second
}

// TestTenDevices: ten equal devices; each may write, and every other one has it.
func TestTenDevices(t *testing.T) {
	if testing.Short() {
		t.Skip("ten profiles")
	}
	w := newWorld(t)
	alice, bob := w.befriended()
	all := []*Client{alice}
	for range 9 {
		all = append(all, w.sibling(all[len(all)-1])) // each is added by the newest
	}
	w.settleAll(append(all, bob)...)
	var want []string
	for i, c := range all {
		text := fmt.Sprint("from device ", i)
		want = append(want, ">"+text)
		w.say(c, bob, text)
	}
	w.settleAll(append(all, bob)...)
	w.say(bob, alice, "to all ten")
	w.settleAll(append(all, bob)...)
	for i, c := range all {
		got := w.said(c, "bob")
		for _, text := range append(want, "to all ten") {
			if !slices.Contains(got, text) {
				t.Fatalf("device %d lacks %q: it has %q", i, text, got)
			}
		}
	}
}

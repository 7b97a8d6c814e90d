package client

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
)

func (w *world) state(of *Client, who account.ID) (state localdb.ContactState) {
	w.t.Helper()
	w.read(of, func(tx *localdb.Tx) error {
		row, err := tx.Contact(who)
		state = row.State
		return err
	})
	return state
}

// Whom the user has blocked stays blocked until the user says otherwise,
// whatever else is done with the name.
func TestNothingButUnblockingUnblocks(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop := w.sibling(alice)
	w.sync(alice, laptop)
	waiting := alice.newMessage(content.Text{Text: "written before"}, time.Now())
	if err := alice.queue(w.ctx, "bob", waiting); err != nil {
		t.Fatal(err)
	}
	if err := alice.BlockContact(w.ctx, "bob", true); err != nil {
		t.Fatal(err)
	}
	id := bob.profile.Account
	for what, do := range map[string]func() error{
		"a text": func() error { _, err := alice.Send(w.ctx, "bob", "hello"); return err },
		"files": func() error {
			_, err := alice.SendFiles(w.ctx, "bob", "", []content.File{{Size: 1, Name: "a"}})
			return err
		},
		"an upload": func() error {
			_, err := alice.Upload(w.ctx, "bob", []string{t.TempDir()}, func(string, uint64, uint64) {})
			return err
		},
		"a comparison": func() error { return alice.BeginComparison(w.ctx, "bob") },
		"a queued text": func() error {
			return alice.sealQueued(w.ctx, localdb.QueuedText{Content: waiting.ID, Name: "bob", Text: "x"})
		},
	} {
		if err := do(); !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: %v", what, err)
		}
		if w.state(alice, id) != localdb.Blocked {
			t.Fatalf("%s has unblocked a contact", what)
		}
	}
	if err := alice.Verify(w.ctx, "bob", bob.PublicCode()); err != nil || w.state(alice, id) != localdb.Blocked || w.trust(alice, "bob") != Verified {
		t.Errorf("a code makes somebody known, not heard: %v", err)
	}
	p := w.known(alice, bob)
	w.write(alice, func(tx *localdb.Tx) error {
		frame, err := content.Encode(alice.newMessage(content.Text{Text: "from the laptop, earlier"}, time.Now()))
		return errors.Join(err, learnSent(tx, p, newsSent{id, "bob", frame}))
	})
	if w.state(alice, id) != localdb.Blocked {
		t.Error("what another device had sent has unblocked a contact")
	}
	w.sync(alice)
	if rows, err := alice.queued(w.ctx); err != nil || len(rows) != 0 {
		t.Errorf("%d texts wait for somebody who is blocked, %v", len(rows), err)
	}
	if told := strings.Join(w.notices(alice), "\n"); !strings.Contains(told, "blocked") {
		t.Errorf("the user was told %q", told)
	}
	w.settleAll(bob)
	w.wantUnread(bob)
}

// Own devices agree on how somebody stands by when that was decided, whatever
// order the news come in.
func TestOldNewsUndoNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	p := w.known(alice, bob)
	told := func(state localdb.ContactState, verified, at uint64) {
		t.Helper()
		w.write(alice, func(tx *localdb.Tx) error {
			_, err := alice.learn(tx, p, newsContact{p.row.Account, "bob", state, verified, at})
			return err
		})
	}
	id := p.row.Account
	told(localdb.Stranger, 5, 0)
	if w.state(alice, id) != localdb.Friend || w.trust(alice, "bob") != Verified {
		t.Error("a device that does not know a contact has made a stranger of it")
	}
	earlier := millis(time.Now().Add(-time.Hour))
	if err := alice.BlockContact(w.ctx, "bob", true); err != nil {
		t.Fatal(err)
	}
	told(localdb.Friend, 0, earlier)
	if w.state(alice, id) != localdb.Blocked {
		t.Error("old news have unblocked a contact")
	}
	later := millis(time.Now().Add(time.Hour))
	told(localdb.Friend, 0, later)
	if w.state(alice, id) != localdb.Friend {
		t.Error("a later decision does not count")
	}
	if err := alice.BlockContact(w.ctx, "bob", true); err != nil || w.state(alice, id) != localdb.Blocked {
		t.Fatalf("blocked here: %v", err)
	}
	told(localdb.Friend, 0, later)
	if w.state(alice, id) != localdb.Blocked {
		t.Error("a clock that is ahead has more to say than the user of this device")
	}
}

// What was verified before the user decided about a fork does not come back with
// old news.
func TestOldVerificationDoesNotOutliveAReview(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	first := w.known(alice, bob)
	if err := alice.Verify(w.ctx, "bob", bob.PublicCode()); err != nil {
		t.Fatal(err)
	}
	verified := w.known(alice, bob).row.VerifiedAt
	phone := w.sibling(bob)
	if _, err := alice.findByID(w.ctx, bob.profile.Account, true); err != nil {
		t.Fatal(err)
	}
	if err := alice.noteFork(w.ctx, w.known(alice, bob), w.rival(bob, first), nil); !errors.Is(err, ErrForked) {
		t.Fatal(err)
	}
	if err := alice.AcceptContact(w.ctx, "bob"); err != nil {
		t.Fatal(err)
	}
	p := w.known(alice, phone)
	w.write(alice, func(tx *localdb.Tx) error {
		_, err := alice.learn(tx, p, newsContact{bob.profile.Account, "bob", localdb.Friend, verified, verified})
		return err
	})
	if w.trust(alice, "bob") != Unverified {
		t.Errorf("trust %q after a review", w.trust(alice, "bob"))
	}
}

// A device that its account has removed is not heard by somebody who only reads.
func TestV104RemovedDeviceIsNotHeardByAReader(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	phone := w.sibling(bob)
	w.say(alice, bob, "both have this")
	w.settleAll(alice, bob, phone)
	w.say(phone, alice, "from the phone")
	w.settleAll(alice, bob, phone)
	w.seal(phone, alice, "from a thief")
	late := w.take(phone)
	w.expel(bob, phone)
	alice = w.restart(alice) // ten minutes, or a new process
	for _, row := range late {
		if _, err := alice.receive(w.ctx, transport.Delivery{ID: row.Envelope, SenderAccount: bob.profile.Account, SenderDevice: phone.profile.Device, Payload: row.Payload}); err != nil {
			t.Fatal(err)
		}
	}
	w.wantRefused(alice, "V-104", 1)
	for _, text := range w.said(alice, "bob") {
		if text == "from a thief" {
			t.Error("a removed device was heard")
		}
	}
	if told := w.notices(alice); len(told) != 1 || !strings.Contains(told[0], "@bob has taken off") {
		t.Errorf("the user was told %q", told)
	}
}

// A directory that cannot be asked keeps nobody from reading what contacts wrote.
func TestContactsAreHeardWithoutTheDirectory(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.seal(bob, alice, "still here")
	late := w.take(bob)
	alice = w.restart(alice)
	w.office.close()
	for _, row := range late {
		if v, err := alice.receive(w.ctx, transport.Delivery{ID: row.Envelope, SenderAccount: bob.profile.Account, SenderDevice: bob.profile.Device, Payload: row.Payload}); err != nil || v != settled {
			t.Fatalf("%v, %v", v, err)
		}
	}
	w.wantUnread(alice, "still here")
}

// Nothing of the history goes out for a device that was removed meanwhile, and
// the key that it has opens nothing any more.
func TestNoHistoryForARemovedDevice(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop := w.linked("laptop", alice)
	id := laptop.profile.Device
	e, _, err := alice.nextSegment(w.ctx, id)
	if err != nil || e.Finished {
		t.Fatalf("finished %v, %v", e.Finished, err)
	}
	if err := alice.RemoveDevices(w.ctx, id); err != nil {
		t.Fatal(err)
	}
	w.say(bob, alice, "after the removal")
	w.sync(alice)
	w.read(alice, func(tx *localdb.Tx) error {
		if _, err := tx.Export(id); !errors.Is(err, localdb.ErrNotFound) {
			t.Errorf("the key of the removed device's history is kept: %v", err)
		}
		return nil
	})
	where, err := placeOf(&e.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := alice.server.FetchAttachment(w.ctx, api.UploadID(alice.profile.Account, where.nonce), 0, api.AttachmentPart); !errors.Is(err, transport.ErrUnknownAttachment) {
		t.Errorf("a segment for a removed device: %v", err)
	}
}

// A contact whose roster has forked is so on a linked device too, and its
// messages keep nothing up there.
func TestAForkIsHandedOver(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	first := w.known(alice, bob)
	phone := w.sibling(bob)
	alice.rosters.doubt(bob.profile.Account)
	w.say(alice, bob, "two devices now")
	w.settleAll(bob, phone, alice)
	if err := alice.noteFork(w.ctx, w.known(alice, bob), w.rival(bob, first), nil); !errors.Is(err, ErrForked) {
		t.Fatal(err)
	}
	laptop := w.linked("laptop", alice)
	w.handOver(alice, laptop)
	w.read(laptop, func(tx *localdb.Tx) error {
		row, err := tx.Contact(bob.profile.Account)
		shared, err2 := tx.Fork(bob.profile.Account)
		if !forked(row) || shared != 1 {
			t.Errorf("forked %v, %d in common", forked(row), shared)
		}
		return errors.Join(err, err2)
	})
	w.say(phone, alice, "from after the fork")
	w.say(bob, alice, "from before the fork")
	w.sync(laptop)
	w.wantUnread(laptop, "from before the fork")
}

// The account that the old device knew under a name counts on the new one too,
// also if the server has shown it another before the history came.
func TestHistoryBringsTheAccountThatANameBelongsTo(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	mallory := w.person("mallory")
	if err := alice.Verify(w.ctx, "bob", bob.PublicCode()); err != nil {
		t.Fatal(err)
	}
	laptop, met := w.linked("laptop", alice), w.known(mallory, mallory)
	w.write(laptop, func(tx *localdb.Tx) error { // what a lying server showed it as @bob
		p := met
		p.row.Name = "bob"
		return befriend(tx, p.row, time.Now())
	})
	w.handOver(alice, laptop)
	if c, err := laptop.Contact(w.ctx, "bob"); err != nil || c.AccountID != bob.profile.Account || c.Trust != Changed {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := laptop.Send(w.ctx, "bob", "to whom?"); !errors.Is(err, ErrChangedAccount) {
		t.Errorf("%v", err)
	}
	if told := strings.Join(w.notices(laptop), "\n"); !strings.Contains(told, "another account as @bob") {
		t.Errorf("the user was told %q", told)
	}
}

// Whoever stands between two people gets no row of codes to choose from.
func TestComparisonsThatAreBegunAgainAndAgainAreNotAnswered(t *testing.T) {
	w := newWorld(t)
	mallory, bob := w.befriended2("mallory", "bob")
	codes := map[string]bool{}
	for range 2 * mostFailures {
		running, stop := context.WithCancel(w.ctx)
		ended := make(chan error, 1)
		go func() { ended <- bob.Run(running) }()
		if err := mallory.BeginComparison(w.ctx, "bob"); err != nil {
			t.Fatal(err)
		}
		w.write(mallory, func(tx *localdb.Tx) error { // its own count is its own business
			row, err := comparison(tx, bob.profile.Account)
			row.Failed = 0
			return errors.Join(err, tx.PutVerification(row))
		})
		if len(codes) <= mostFailures-1 {
			if code, err := mallory.WaitComparison(w.ctx, "bob", 5*time.Minute); err == nil {
				codes[code] = true
			}
		} else {
			w.sync(mallory)
		}
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		w.sync(bob)
	}
	if len(codes) != mostFailures {
		t.Errorf("%d codes in a row", len(codes))
	}
	w.read(bob, func(tx *localdb.Tx) error {
		row, err := comparison(tx, mallory.profile.Account)
		if !locked(row, time.Now()) || len(row.Run) != 0 {
			t.Errorf("failed %d, a run of %d bytes", row.Failed, len(row.Run))
		}
		return err
	})
	if told := strings.Join(w.notices(bob), "\n"); strings.Count(told, "compares codes with you") != mostFailures || !strings.Contains(told, "again and again") {
		t.Errorf("bob was told %q", told)
	}
}

// One device without keys does not keep the others from comparing.
func TestComparisonWithoutTheDeviceThatHasNoKeys(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	p := w.known(alice, bob)
	ghost := w.rival(bob, p) // a device that never published
	if err := alice.offer(w.ctx, ghost, func(b *book) error { return b.sendStep([16]byte{1}, stepOfferA, make([]byte, 50)) }); err != nil {
		t.Errorf("%v", err)
	}
}

// Somebody whom the user has blocked on one device is not heard on another that
// finds both in its mailbox.
func TestABlockComesBeforeWhatTheBlockedSay(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop := w.sibling(alice)
	w.say(bob, alice, "before")
	w.settleAll(alice, laptop, bob)
	if err := alice.BlockContact(w.ctx, "bob", true); err != nil {
		t.Fatal(err)
	}
	w.say(bob, alice, "after")
	w.sync(laptop)
	w.wantSaid(laptop, "bob", ">hello", "before")
}

// What a device sends and decides before it knows of a new own device reaches
// that one too: the device that let it in cannot hand it over.
func TestANewDeviceLearnsWhatOthersDidMeanwhile(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	mallory := w.person("mallory")
	phone := w.sibling(alice)
	w.say(mallory, alice, "let me in")
	w.settleAll(alice, phone, bob, mallory)
	laptop := w.linked("laptop", alice)
	w.handOver(alice, laptop)
	w.say(phone, bob, "the phone knows of no laptop")
	if err := phone.BlockContact(w.ctx, "mallory", true); err != nil {
		t.Fatal(err)
	}
	w.settleAll(phone, laptop)
	if got := w.said(laptop, "bob"); !slices.Contains(got, ">the phone knows of no laptop") {
		t.Errorf("the laptop has %q", got)
	}
	if w.state(laptop, mallory.profile.Account) != localdb.Blocked {
		t.Error("the laptop does not know whom the phone has blocked")
	}
	if got := w.said(laptop, "bob"); len(got) != len(w.said(alice, "bob"))+1 {
		t.Errorf("doubled: %q beside %q", got, w.said(alice, "bob"))
	}
}

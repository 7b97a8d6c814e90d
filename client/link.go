package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/pairing"
	"github.com/posthorn/posthorn/pq3"
)

// newcomer is a device on its way onto an account. Everything that the old
// device may have seen of it is on disk first, so whatever is cut off where,
// the directory's roster says what came of it, and the next call finds out.
type newcomer struct {
	cfg     Config
	db      *localdb.DB
	row     localdb.Profile
	link    localdb.Import
	key     *account.SigningKey
	entropy pq3.Entropy
}

// Link makes this profile a device of the account of whoever approves the code
// that show gets, and returns it open. It waits for that for at most ten
// minutes. label is the device's name for its owner. A call that was cut off is
// repeated with the same server; if the other device has finished meanwhile,
// it succeeds without another code. Errors: ErrProfileExists, ErrCodeExpired,
// ErrPairing, ErrDeclined, ErrOvertaken, ErrNotLinked, ErrTransparency,
// ErrDeviceName, ErrOffline, and those of opening a profile. A profile that the other device has not seen is removed.
func Link(ctx context.Context, cfg Config, serverURL, label string, show func(code string, ends time.Time) error) (*Client, error) {
	if err := errors.Join(checkPolicy(cfg.Policy), checkDeviceName(label)); err != nil {
		return nil, err
	}
	address, err := transport.ParseAddress(serverURL)
	if err != nil {
		return nil, err
	}
	n, err := arrive(ctx, cfg, address.String(), label)
	if err != nil {
		return nil, err
	}
	if err := n.join(ctx, show); err != nil {
		err = errors.Join(err, n.db.Close())
		if !n.link.Applied {
			err = errors.Join(err, localdb.Remove(cfg.Home))
		}
		return nil, err
	}
	c, err := attach(cfg, n.db)
	if err != nil {
		return nil, errors.Join(err, n.db.Close())
	}
	return c, nil
}

// arrive opens the profile of a linking that was cut off, or makes one.
func arrive(ctx context.Context, cfg Config, server, label string) (*newcomer, error) {
	n := &newcomer{cfg: cfg, entropy: pq3.SystemEntropy()}
	var err error
	n.db, err = localdb.Open(cfg.Home, cfg.unlock())
	if errors.Is(err, localdb.ErrNoProfile) {
		return n, n.begin(ctx, server, label)
	}
	if err != nil {
		return nil, err
	}
	err = n.resume(ctx, server)
	if errors.Is(err, localdb.ErrNotFound) { // an earlier call had not come this far
		if err := errors.Join(n.db.Close(), localdb.Remove(cfg.Home)); err != nil {
			return nil, err
		}
		return n, n.begin(ctx, server, label)
	}
	if err != nil {
		return nil, errors.Join(err, n.db.Close())
	}
	return n, nil
}

// begin draws the device's keys.
func (n *newcomer) begin(ctx context.Context, server, label string) (err error) {
	n.row = localdb.Profile{ServerURL: server, CreatedAt: millis(clock.Now())}
	n.key, n.row.KeySeeds = account.GenerateSigningKey(n.entropy.Read)
	n.entropy.Read(n.row.Device[:])
	n.link.Label = label
	n.entropy.Read(n.link.Key[:])
	if n.db, err = localdb.Create(n.cfg.Home, n.cfg.unlock()); err != nil {
		return err
	}
	if err := n.save(ctx, nil); err != nil {
		return errors.Join(err, n.db.Close(), localdb.Remove(n.cfg.Home))
	}
	return nil
}

// resume reads what an earlier call has left.
func (n *newcomer) resume(ctx context.Context, server string) error {
	var linking bool
	err := n.db.View(ctx, func(tx *localdb.Tx) (err error) {
		if n.row, err = tx.Profile(); err != nil {
			return err
		}
		n.link, err = tx.Import()
		linking, err = found(err)
		return err
	})
	switch {
	case err != nil: // localdb.ErrNotFound: there is nothing yet
		return err
	case n.row.Registered || !linking:
		return ErrProfileExists
	}
	n.row.ServerURL = server
	n.key, err = n.row.KeySeeds.SigningKey()
	return err
}

// save writes what is known of the linking, and a first prekey if there is one.
func (n *newcomer) save(ctx context.Context, prekey *pq3.Prekey) error {
	return n.db.Update(ctx, func(tx *localdb.Tx) error {
		if err := errors.Join(tx.PutProfile(n.row), tx.PutImport(n.link)); err != nil || prekey == nil {
			return err
		}
		return putPrekey(tx, prekey)
	})
}

// device is the public record of this device.
func (n *newcomer) device() *account.Device {
	return &account.Device{ID: n.row.Device, Key: n.key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: n.row.CreatedAt}
}

// join finds out whether an earlier call got through, and pairs if not.
func (n *newcomer) join(ctx context.Context, show func(string, time.Time) error) error {
	if n.link.Applied {
		if err := n.settle(ctx); !errors.Is(err, ErrNotLinked) {
			return err
		}
	}
	paired := n.pair(ctx, show)
	if !n.link.Applied {
		return paired
	}
	// The roster decides, not what was said or got lost.
	if err := n.settle(ctx); err == nil || paired == nil || errors.Is(err, ErrTransparency) {
		return err
	}
	return paired
}

// pollPause is how long either device waits before it looks for a message again.
const pollPause = 300 * time.Millisecond

// pair runs the new device's side of one pairing.
func (n *newcomer) pair(ctx context.Context, show func(string, time.Time) error) error {
	server, err := transport.New(n.row.ServerURL, transport.Device{}, transport.Options{Anyone: true})
	if err != nil {
		return err
	}
	defer server.Close()
	code := pairing.NewCode(n.entropy.Read)
	m := meeting{server: server, slot: code.Slot()}
	waiting, hello := pairing.Begin(code, clock.Now(), n.entropy)
	if err := m.post(ctx, 0, hello); err != nil {
		return err
	}
	if err := show(code.Text(), clock.Now().Add(pairing.Life)); err != nil {
		return err
	}
	reply, err := m.await(ctx, 1)
	if err != nil {
		return err
	}
	session, invitation, err := waiting.Finish(reply, clock.Now())
	if err != nil {
		return pairingFailed(err)
	}
	application, err := n.apply(ctx, invitation)
	if err != nil {
		return err
	}
	session, message, err := session.Seal(application.Marshal())
	if err != nil {
		return err
	}
	if err := m.post(ctx, session.Next()-1, message); err != nil {
		return err
	}
	return m.verdict(ctx, session)
}

// apply signs this device's addition, and notes everything before any of it
// leaves.
func (n *newcomer) apply(ctx context.Context, to *pairing.Invitation) (*pairing.Application, error) {
	if n.link.Applied && n.row.Account != to.Account {
		return nil, fmt.Errorf("%w: it waits for another account already; use another folder", ErrProfileExists)
	}
	if len(to.Extra) > 0 {
		if _, err := kt.ParsePins(to.Extra); err != nil {
			return nil, pairingFailed(err)
		}
		n.link.Pins = to.Extra
	}
	n.row.Account, n.row.Name, n.row.Pin = to.Account, to.Name, to.Pin
	device := n.device()
	me, err := pq3.NewIdentity(account.Party{Account: to.Account, Device: device}, n.key)
	if err != nil {
		return nil, err
	}
	prekey, err := newPrekey(me, n.entropy, clock.Now())
	if err != nil {
		return nil, err
	}
	body, err := account.AdditionBody(to.Account, to.Seq, to.Prev, to.At, device)
	if err != nil {
		return nil, err
	}
	signature, err := account.SignBody(n.key, body, n.entropy.SignReader())
	if err != nil {
		return nil, err
	}
	n.link.Applied = true
	return &pairing.Application{
		Device: device, Signature: *signature, Bundle: prekey.Bundle().Marshal(), Label: n.link.Label, History: n.link.Key,
	}, n.save(ctx, prekey)
}

// settle asks the directory, as the device that this may be by now, and believes
// it if its log continues the one that the old device knows. It makes the profile
// whole, or says ErrNotLinked.
func (n *newcomer) settle(ctx context.Context) error {
	pin, err := pinOf(n.row)
	if err != nil {
		return err
	}
	server, err := transport.New(n.row.ServerURL, transport.Device{
		Account: n.row.Account, ID: n.row.Device, Key: n.key, Rand: n.entropy.SignReader(), Seat: seating{n.db, n.entropy, n.row.Account, n.row.Device, n.key.Public()},
	}, transport.Options{Pin: pin})
	if err != nil {
		return err
	}
	defer server.Close()
	q := &inquirer{home: n.cfg.Home, db: n.db, server: server, watch: newWatch()}
	record, proof, err := q.askedFirst(ctx, n.row.Name, n.link.Pins)
	if errors.Is(err, transport.ErrUnauthenticated) || errors.Is(err, transport.ErrNotFound) {
		return ErrNotLinked
	}
	if err != nil {
		return remote(err)
	}
	verified, err := verifyRecord(record)
	if err != nil {
		return err
	}
	device, ok := verified.roster.Device(n.row.Device)
	if verified.row.Account != n.row.Account || verified.row.Name != n.row.Name || !ok || !bytes.Equal(device.Marshal(), n.device().Marshal()) {
		return ErrNotLinked
	}
	n.row.Statements, n.row.Registered, n.link.Pins = record.Statements, true, nil
	return n.db.Update(ctx, func(tx *localdb.Tx) error {
		prekey, err := tx.NewestPrekey(account.PQ3A)
		if err != nil {
			return err
		}
		return errors.Join(tx.MarkPublished(prekey.Hash), tx.PutProfile(n.row), tx.PutImport(n.link), proof.store(tx),
			putDeviceName(tx, n.row, n.link.Label))
	})
}

// meeting is the place where two devices leave messages for each other.
type meeting struct {
	server *transport.Client
	slot   pairing.Slot
}

func (m meeting) post(ctx context.Context, index uint32, message []byte) error {
	_, err := persist(ctx, patience, func() (struct{}, error) { return struct{}{}, m.server.PostPairing(ctx, m.slot, index, message) })
	return metBadly(err)
}

// await looks for a message until it is there or the slot is gone.
func (m meeting) await(ctx context.Context, index uint32) ([]byte, error) {
	for {
		message, err := persist(ctx, patience, func() ([]byte, error) { return m.server.FetchPairing(ctx, m.slot, index) })
		switch {
		case errors.Is(err, transport.ErrNobodyWaits) && index > 0:
			return nil, ErrCodeExpired
		case err != nil:
			return nil, metBadly(err)
		case len(message) > 0:
			return message, nil
		}
		timer := time.NewTimer(pollPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// verdict waits for the end of a pairing.
func (m meeting) verdict(ctx context.Context, s *pairing.Session) error {
	message, err := m.await(ctx, s.Next())
	if err != nil {
		return err
	}
	_, payload, err := s.Open(message, clock.Now())
	if err != nil {
		return pairingFailed(err)
	}
	v, err := pairing.ParseVerdict(payload)
	switch {
	case err != nil:
		return pairingFailed(err)
	case v == pairing.Declined:
		return ErrDeclined
	case v == pairing.Overtaken:
		return ErrOvertaken
	case v == pairing.Failed:
		return ErrNotLinked
	}
	return nil
}

// metBadly puts the engine's words in front of a failure at the meeting place.
func metBadly(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, transport.ErrNobodyWaits):
		return fmt.Errorf("%w (%w)", ErrNobodyWaits, err)
	case errors.Is(err, transport.ErrSlotTaken):
		return fmt.Errorf("%w (%w)", ErrPairing, err)
	}
	return remote(err)
}

// pairingFailed does so for what does not belong to a pairing.
func pairingFailed(err error) error {
	if errors.Is(err, pairing.ErrExpired) {
		return fmt.Errorf("%w (%w)", ErrCodeExpired, err)
	}
	return fmt.Errorf("%w (%w)", ErrPairing, err)
}

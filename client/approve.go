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
	"github.com/posthorn/posthorn/pairing"
)

// Newcomer is a device that asks to be let in.
type Newcomer struct {
	Device account.DeviceID
	Label  string // what it calls itself
}

// approvalLife is how long after an approval the server may still be told of
// it, if it was out of reach. The code was good that long.
const approvalLife = pairing.Life

// Approve lets the device that shows a code onto this account, once agree has
// said yes, and hands the history over. The device is on the account, or it is
// not: whatever is cut off, nothing is in between. Errors: pairing.ErrCode,
// ErrNobodyWaits, ErrCodeExpired, ErrPairing, ErrDeclined when agree said no,
// ErrOvertaken, ErrOffline. After a nil error history may still be on its way:
// see ExportHistory.
func (c *Client) Approve(ctx context.Context, code string, agree func(Newcomer) (bool, error)) (Newcomer, error) {
	parsed, err := pairing.ParseCode(code)
	if err != nil {
		return Newcomer{}, err
	}
	a := &approval{client: c, meeting: meeting{c.server, parsed.Slot()}}
	if err := a.invite(ctx, parsed); err != nil {
		return Newcomer{}, err
	}
	who, err := a.hear(ctx)
	if err != nil {
		return who, err
	}
	yes, err := agree(who)
	if err != nil || !yes {
		return who, errors.Join(err, ErrDeclined, a.say(ctx, pairing.Declined))
	}
	return who, a.grant(ctx)
}

// approval is the old device's side of one pairing.
type approval struct {
	client  *Client
	meeting meeting
	session *pairing.Session

	roster      *account.Roster
	invitation  *pairing.Invitation
	application *pairing.Application
}

// invite answers the hello that waits under the code.
func (a *approval) invite(ctx context.Context, code pairing.Code) (err error) {
	if a.roster, err = a.client.ownRoster(ctx); err != nil {
		return err
	}
	pins, err := a.client.logPins(ctx)
	if err != nil {
		return err
	}
	hello, err := a.meeting.await(ctx, 0)
	if err != nil {
		return err
	}
	now := clock.Now()
	a.invitation = &pairing.Invitation{
		Account: a.roster.ID(), Name: a.client.profile.Name,
		Seq: a.roster.Seq() + 1, Prev: a.roster.Head(), At: millis(now), Pin: a.client.profile.Pin, Extra: pins,
	}
	session, reply, err := pairing.Join(code, hello, a.invitation, now, a.client.entropy)
	if err != nil {
		return pairingFailed(err)
	}
	a.session = session
	return a.meeting.post(ctx, 1, reply)
}

// hear waits for what the new device says of itself.
func (a *approval) hear(ctx context.Context) (Newcomer, error) {
	message, err := a.meeting.await(ctx, a.session.Next())
	if err != nil {
		return Newcomer{}, err
	}
	session, payload, err := a.session.Open(message, clock.Now())
	if err != nil {
		return Newcomer{}, pairingFailed(err)
	}
	a.session = session
	if a.application, err = pairing.ParseApplication(payload); err != nil {
		return Newcomer{}, pairingFailed(err)
	}
	return Newcomer{Device: a.application.Device.ID, Label: a.application.Label}, nil
}

// say ends the pairing with a verdict.
func (a *approval) say(ctx context.Context, v pairing.Verdict) error {
	session, message, err := a.session.Seal(v.Marshal())
	if err != nil {
		return err
	}
	return a.meeting.post(ctx, session.Next()-1, message)
}

// grant puts the device on the roster, and tells it.
func (a *approval) grant(ctx context.Context) error {
	if present, ok := a.roster.Device(a.application.Device.ID); ok && bytes.Equal(present.Marshal(), a.application.Device.Marshal()) {
		return a.say(ctx, pairing.Linked) // an earlier pairing got through and its verdict was lost
	}
	e, err := a.export()
	if err != nil {
		return errors.Join(pairingFailed(err), a.say(ctx, pairing.Failed))
	}
	c := a.client
	if err := c.update(ctx, func(tx *localdb.Tx) error { return tx.PutExport(e) }); err != nil {
		return err
	}
	err = c.publishAddition(ctx, e)
	switch {
	case errors.Is(err, ErrOvertaken):
		return errors.Join(err, a.say(ctx, pairing.Overtaken))
	case err != nil:
		return err
	}
	if err := a.say(ctx, pairing.Linked); err != nil {
		c.log.Debug("the new device was not told, and finds out by itself", "error", err)
	}
	return nil
}

// export is the statement that adds the device, signed by both.
func (a *approval) export() (e localdb.Export, err error) {
	c := a.client
	author := account.Author{Device: &c.profile.Device, Key: c.key}
	body, err := a.roster.ProposeBody(author, a.invitation.At, account.AddDevice{Device: a.application.Device})
	if err != nil {
		return e, err
	}
	signature, err := account.SignBody(c.key, body, c.entropy.SignReader())
	if err != nil {
		return e, err
	}
	statement, err := a.roster.Assemble(author, body, signature, []account.Signature{a.application.Signature})
	if err != nil {
		return e, err
	}
	return localdb.Export{
		Device: a.application.Device.ID, Key: a.application.History, Statement: statement.Marshal(),
		Bundle: a.application.Bundle, Approved: millis(clock.Now()),
	}, nil
}

// publishAddition gives the server a statement that is stored here. It may be
// repeated. ErrOvertaken: another statement came first, and this one is dropped.
func (c *Client) publishAddition(ctx context.Context, e localdb.Export) error {
	drop := func(tx *localdb.Tx) error { return tx.DeleteExport(e.Device) }
	if age := clock.Since(instant(e.Approved)); age < 0 || age > approvalLife {
		return errors.Join(ErrCodeExpired, c.update(ctx, drop))
	}
	_, err := persist(ctx, patience, func() (struct{}, error) {
		return struct{}{}, c.server.UpdateRoster(ctx, e.Statement, [][]byte{e.Bundle})
	})
	switch {
	case errors.Is(err, transport.ErrRosterChanged):
		return errors.Join(ErrOvertaken, c.update(ctx, drop))
	case errors.Is(err, transport.ErrRefused):
		return errors.Join(remote(err), c.update(ctx, drop))
	case err != nil:
		return remote(err)
	}
	e.Published = true
	if err := c.update(ctx, func(tx *localdb.Tx) error { return tx.PutExport(e) }); err != nil {
		return err
	}
	if _, err := c.ownRoster(ctx); err != nil && !passing(err) {
		return err
	}
	return nil
}

// ownRoster is this account's roster as the directory has it now, proven, and
// taken over with what follows from it.
func (c *Client) ownRoster(ctx context.Context) (*account.Roster, error) {
	p, err := c.findByID(ctx, c.profile.Account, true)
	return p.roster, err
}

// ExportHistory hands the history over to a device that Approve has let in,
// and goes on where an earlier call stopped. What is at the server when it
// returns nil waits there for the device. Errors: ErrNoAttachments, ErrNoRoom,
// ErrOffline.
func (c *Client) ExportHistory(ctx context.Context, device account.DeviceID, tell func(HistoryProgress)) error {
	err := c.exportHistory(ctx, device, tell)
	if errors.Is(err, localdb.ErrNotFound) {
		return nil // it was let in by another device, or long ago
	}
	return err
}

// ImportHistory takes in what the old device has sent, and returns when all is
// here or nothing more comes for as long as patience says. A later call goes on.
// Errors: ErrNoAttachments (then nothing of it ever comes), ErrHistory, ErrOffline.
func (c *Client) ImportHistory(ctx context.Context, patience time.Duration, tell func(HistoryProgress)) (HistoryProgress, error) {
	last := clock.Now()
	for {
		p, err := c.importSegment(ctx)
		switch {
		case errors.Is(err, localdb.ErrNotFound):
			return HistoryProgress{Finished: true}, nil // this device founded the account
		case err == nil:
			tell(p)
			last = clock.Now()
		case !errors.Is(err, errNoSegment) || clock.Since(last) > patience:
			if errors.Is(err, errNoSegment) {
				err = nil
			}
			return p, err
		}
		if p.Finished {
			return p, nil
		}
		if err == nil {
			continue
		}
		timer := time.NewTimer(pollPause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return p, ctx.Err()
		}
	}
}

// continueTransfers does what interrupted pairings have left, in passing: it
// never holds anything else up.
func (c *Client) continueTransfers(ctx context.Context) error {
	var exports []localdb.Export
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		exports, err = tx.Exports()
		return err
	}); err != nil {
		return err
	}
	for _, e := range exports {
		err := error(nil)
		if !e.Published {
			err = c.publishAddition(ctx, e)
		}
		if err == nil {
			err = c.ExportHistory(ctx, e.Device, func(HistoryProgress) {})
		}
		if err != nil && ctx.Err() == nil {
			c.log.Debug("the history of a new device waits", "error", err)
		}
	}
	for {
		p, err := c.importSegment(ctx)
		switch {
		case err == nil && !p.Finished:
			continue
		case errors.Is(err, ErrHistory):
			return c.giveUpHistory(ctx)
		}
		return ctx.Err()
	}
}

// giveUpHistory ends an import whose next part is not genuine: it will not
// become so.
func (c *Client) giveUpHistory(ctx context.Context) error {
	return c.update(ctx, func(tx *localdb.Tx) error {
		i, err := tx.Import()
		if err != nil {
			return err
		}
		i.Finished = true
		i.Key.Wipe()
		if err := tx.PutImport(i); err != nil {
			return err
		}
		return notify(tx, fmt.Sprintf("the history on the server is not what your other device sent, so %d of %d items are here; link this device anew to get the rest", i.Done, i.Total))
	})
}

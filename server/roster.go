package server

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

const (
	// roomyRoster is how many bytes of statements an account may have before it
	// can only remove devices or use its recovery key; fullRoster is the end, so
	// that an answer with all of them stays far below api.MaxRequest.
	roomyRoster = 1 << 20
	fullRoster  = 2 << 20
)

// UpdateRoster makes a statement the newest one of its account. The record of
// the account decides: mailboxes of added devices are opened before it is
// written and removed devices are expelled after it, and a repeated call
// finishes either.
func (s *directoryService) UpdateRoster(ctx context.Context, request *posthornv1.UpdateRosterRequest) (*posthornv1.UpdateRosterResponse, error) {
	statement, err := account.ParseStatement(request.GetStatement())
	if err != nil || statement.Seq() == 0 {
		return nil, badStatement(err)
	}
	for {
		err := s.advance(ctx, statement, request.GetBundles(), clock.Now())
		if errors.Is(err, store.ErrVersion) {
			continue
		}
		if err == nil {
			err = s.publish(ctx, statement.Account())
		}
		return &posthornv1.UpdateRosterResponse{}, err
	}
}

// advance tries to store a statement once. store.ErrVersion: another writer of
// the account's record came in between.
func (s *directoryService) advance(ctx context.Context, statement *account.Statement, bundles [][]byte, now time.Time) error {
	id := statement.Account()
	record, version, err := s.account(ctx, id)
	if errors.Is(err, errDeleted) {
		if err := s.withdraw(ctx, statement); err != nil {
			return err
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return unknownAccount(err)
	}
	if err != nil {
		return storageFailed(err)
	}
	roster, err := account.ReplayRoster(record.statements)
	if err != nil {
		return storageFailed(err)
	}
	if repeats(roster, statement) {
		if err := s.admitDevices(ctx, roster, statement, bundles, now); err != nil {
			return err
		}
		return s.expelDevices(ctx, roster)
	}
	next, err := s.follows(ctx, record, roster, statement, now)
	if err != nil {
		return err
	}
	if err := s.admitDevices(ctx, next, statement, bundles, now); err != nil {
		return err
	}
	record.statements = next.Statements()
	if _, err := s.store.CAS(ctx, accountKey(id), version, record.marshal()); err != nil {
		if errors.Is(err, store.ErrVersion) {
			return err
		}
		return storageFailed(err)
	}
	s.addresses.forget(id, nil)
	return s.expelDevices(ctx, next)
}

// repeats reports whether a statement is in the chain already.
func repeats(roster *account.Roster, s *account.Statement) bool {
	if s.Seq() > roster.Seq() {
		return false
	}
	known, err := account.ParseStatement(roster.Statements()[s.Seq()])
	return err == nil && known.Hash() == s.Hash()
}

// follows checks a new statement against everything that may forbid it, and
// returns the roster after it.
func (s *directoryService) follows(ctx context.Context, record accountRecord, roster *account.Roster, statement *account.Statement, now time.Time) (*account.Roster, error) {
	if statement.Seq() != roster.Seq()+1 {
		return nil, rosterChanged()
	}
	next, err := roster.Apply(statement)
	if errors.Is(err, account.ErrFork) || err != nil && !continues(roster, statement) {
		return nil, rosterChanged()
	}
	if err != nil {
		return nil, badStatement(err)
	}
	_, byDevice := statement.Signer()
	if until := time.UnixMilli(int64(record.heldUntil)); byDevice && now.Before(until) {
		return nil, accountHeld(until.Sub(now))
	}
	if full(record, statement, byDevice) {
		return nil, rosterFull()
	}
	return next, s.notDisabled(ctx, roster)
}

// continues reports whether a statement names the newest one as the one before
// it. If not, it lost a race, and its other faults are of no interest.
func continues(roster *account.Roster, s *account.Statement) bool {
	return s.Follows() == roster.Head()
}

// full reports whether the account's record has no room. Removing devices, and
// what the recovery key signs, has more of it than anything else.
func full(record accountRecord, statement *account.Statement, byDevice bool) bool {
	size := len(statement.Marshal())
	for _, b := range record.statements {
		size += len(b)
	}
	limit := roomyRoster
	if !byDevice || len(statement.Added()) == 0 && removesSome(statement) {
		limit = fullRoster
	}
	return size > limit
}

func removesSome(s *account.Statement) bool {
	for _, op := range s.Operations() {
		if _, ok := op.(account.RemoveDevice); ok {
			return true
		}
	}
	return false
}

// notDisabled refuses changes of an account that the operator has shut out: a
// new device would not be.
func (s *directoryService) notDisabled(ctx context.Context, roster *account.Roster) error {
	for _, device := range roster.Devices() {
		r, _, err := s.device(ctx, roster.ID(), device.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return storageFailed(err)
		}
		logins, _, err := readLogins(ctx, s.store, r.box)
		switch {
		case errors.Is(err, store.ErrNotFound):
		case err != nil:
			return storageFailed(err)
		case logins.closed && !logins.removed:
			return accountDisabled()
		}
	}
	return nil
}

// admitDevices opens the mailboxes of the devices that a statement adds and
// publishes their first bundles. All of them are verified first. A device that a
// later statement has removed again is passed over.
func (s *directoryService) admitDevices(ctx context.Context, roster *account.Roster, statement *account.Statement, bundles [][]byte, now time.Time) error {
	added := statement.Added()
	if len(bundles) != len(added) {
		return badRequest(reject.New("V-85", ErrRequest, "bundles"), "a statement comes with one bundle for each device that it adds; the roster is unchanged")
	}
	verified := make([]*account.Bundle, len(added))
	for i, device := range added {
		bundle, err := examineBundle(bundles[i], account.Party{Account: roster.ID(), Device: device}, now)
		if err != nil {
			return err
		}
		verified[i] = bundle
	}
	for i, device := range added {
		if _, present := roster.Device(device.ID); !present {
			continue
		}
		if _, err := s.openMailbox(ctx, account.Party{Account: roster.ID(), Device: device}, verified[i], now); err != nil {
			return err
		}
	}
	return nil
}

// withdraw takes back what admitDevices has made for an account that was deleted
// meanwhile, perhaps after the deletion looked for it.
func (s *directoryService) withdraw(ctx context.Context, statement *account.Statement) error {
	for _, device := range statement.Added() {
		r, _, err := s.device(ctx, statement.Account(), device.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = s.expel(ctx, caller{statement.Account(), device.ID, r.box})
		}
		if err != nil {
			return storageFailed(err)
		}
	}
	return nil
}

// expelDevices ends everything that removed devices still have: one that an
// earlier call left behind when the server stopped as well.
func (s *directoryService) expelDevices(ctx context.Context, roster *account.Roster) error {
	removed := roster.RemovedDevices()
	s.addresses.forget(roster.ID(), removed)
	for _, device := range removed {
		r, _, err := s.device(ctx, roster.ID(), device.ID)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = s.expel(ctx, caller{roster.ID(), device.ID, r.box})
		}
		if err != nil {
			return storageFailed(err)
		}
	}
	return nil
}

// stale finds the accounts whose roster has gone on since the caller last looked
// it up, by the bytes of their ids.
func (d *directory) stale(ctx context.Context, claims []*posthornv1.RosterClaim, now time.Time) (map[string]bool, error) {
	if len(claims) > api.MaxEnvelopes {
		return nil, badRequest(reject.New("V-86", ErrRequest, "claims"), "a request carries at most 64 claims; nothing was stored")
	}
	var stale map[string]bool
	for _, claim := range claims {
		var id account.ID
		if !copyExactly(id[:], claim.GetAccountId()) {
			return nil, badRequest(reject.New("V-85", ErrRequest, "account id"), "an account id is 48 bytes; nothing was stored")
		}
		seq, err := d.newest(ctx, id, now)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, storageFailed(err)
		}
		if claim.GetSeq() < seq {
			if stale == nil {
				stale = map[string]bool{}
			}
			stale[string(id[:])] = true
		}
	}
	return stale, nil
}

func unknownAccount(cause error) error {
	return refusal{
		code: connect.CodeNotFound, reason: api.ReasonUnknownAccount, text: "there is no such account here; nothing was changed",
		hint: "check the address of the server",
	}.err(cause)
}

func badStatement(cause error) error {
	return refusal{
		code: connect.CodeInvalidArgument, reason: api.ReasonBadStatement, text: "the roster statement does not verify; the roster is unchanged",
		hint: "update the client",
	}.err(reject.New("V-82", errors.Join(ErrUpload, cause), "statement"))
}

func rosterChanged() error {
	return refusal{
		code: connect.CodeFailedPrecondition, reason: api.ReasonRosterChanged, text: "another device changed the account first; the roster is as that one left it",
		hint: "look the account up again and repeat the change",
	}.err(reject.New("V-215", ErrRoster, "not the next statement"))
}

func rosterFull() error {
	return refusal{
		code: connect.CodeResourceExhausted, reason: api.ReasonRosterFull, text: "this account has changed its devices too often for this server; the roster is unchanged",
		hint: "devices can still be removed",
	}.err(reject.New("V-216", ErrRoster, "no room for the statement"))
}

func deviceRemoved() error {
	return refusal{
		code: connect.CodePermissionDenied, reason: api.ReasonDeviceRemoved, text: "this device was removed from its account",
		hint: "what is on it stays readable; to write again, link it as a new device",
	}.err(reject.New("V-218", ErrRoster, "removed device"))
}

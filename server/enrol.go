package server

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// applicant is a registration whose proofs have been verified.
type applicant struct {
	account.Party
	name      account.Name
	statement []byte
	bundle    *account.Bundle
	invite    string // the text of a token, or empty
}

// enrol writes the records of a new account. The one for the name comes last
// and decides: before it nothing can be looked up, and a crash in between costs
// nobody a name. Every step may be repeated.
func (s *directoryService) enrol(ctx context.Context, a applicant, now time.Time) (store.Box, error) {
	if err := s.vacant(ctx, a); err != nil {
		return store.Box{}, err
	}
	if err := s.invited(ctx, a, now); err != nil {
		return store.Box{}, err
	}
	if err := s.claimAccount(ctx, a); err != nil {
		return store.Box{}, err
	}
	box, err := s.openMailbox(ctx, a.Party, a.bundle, now)
	if err != nil {
		return store.Box{}, err
	}
	return box, s.bindName(ctx, a)
}

// vacant refuses early what bindName would refuse in the end, so that an
// attempt with a taken name leaves nothing behind.
func (s *directoryService) vacant(ctx context.Context, a applicant) error {
	holder, _, err := s.accountByName(ctx, a.name)
	switch {
	case errors.Is(err, errDeleted):
		return nameTaken() // for good, see Server.Delete
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return storageFailed(err)
	case holder != a.Account:
		return nameTaken()
	}
	return nil
}

// invited spends the invite, if there is one. Where the name is the account's
// already, the registration is a repeated one, and nothing is left to permit.
func (s *directoryService) invited(ctx context.Context, a applicant, now time.Time) error {
	if a.invite == "" {
		return nil
	}
	present, _, err := s.account(ctx, a.Account)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return storageFailed(err)
	}
	if errors.Is(err, errDeleted) {
		return accountDisabled()
	}
	if err == nil {
		holder, _, err := s.accountByName(ctx, present.name)
		switch {
		case err == nil && holder == a.Account && present.name == a.name:
			return nil
		case err == nil && holder == a.Account:
			return accountExists()
		case err != nil && !errors.Is(err, store.ErrNotFound):
			return storageFailed(err)
		}
	}
	return s.spend(ctx, a.invite, a.Account, now)
}

// claimAccount notes under which name an account wants to be known. It may
// change its mind until a name is bound to it.
func (s *directoryService) claimAccount(ctx context.Context, a applicant) error {
	for {
		record := accountRecord{name: a.name, statements: [][]byte{a.statement}}
		present, version, err := s.account(ctx, a.Account)
		if err == nil {
			if present.name == a.name {
				return nil
			}
			holder, _, err := s.accountByName(ctx, present.name)
			if err == nil && holder == a.Account {
				return accountExists()
			}
			record.statements, record.heldUntil = present.statements, present.heldUntil
		} else if errors.Is(err, errDeleted) {
			return accountDisabled()
		} else if !errors.Is(err, store.ErrNotFound) {
			return storageFailed(err)
		}
		_, err = s.store.CAS(ctx, accountKey(a.Account), version, record.marshal())
		if err == nil || !errors.Is(err, store.ErrVersion) {
			return stored(err)
		}
	}
}

// bindName makes the name the account's. Of two that race for it one finds the
// other's record. A name whose holder went on to another one is free.
func (s *directoryService) bindName(ctx context.Context, a applicant) error {
	for {
		_, version, err := s.store.Get(ctx, nameKey(a.name))
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return storageFailed(err)
		}
		if err := s.vacant(ctx, a); err != nil {
			return err
		}
		_, err = s.store.CAS(ctx, nameKey(a.name), version, a.Account[:])
		if err == nil || !errors.Is(err, store.ErrVersion) {
			return stored(err)
		}
	}
}

// openMailbox gives a device its box and publishes its first bundle. A repeated
// registration finds the box of the first attempt.
func (s *directoryService) openMailbox(ctx context.Context, a account.Party, bundle *account.Bundle, now time.Time) (store.Box, error) {
	present, _, err := s.device(ctx, a.Account, a.Device.ID)
	if err == nil {
		err := s.replaceBundle(ctx, a.Account, a.Device.ID, bundle)
		if errors.Is(err, errOlder) {
			err = nil // a later bundle is there already, which is as good
		}
		return present.box, stored(err)
	}
	if errors.Is(err, errDeleted) {
		return store.Box{}, accountDisabled()
	}
	if !errors.Is(err, store.ErrNotFound) {
		return store.Box{}, storageFailed(err)
	}
	r := deviceRecord{bundle: bundle.Marshal(), lastSeen: dayOf(now)}
	_, _ = rand.Read(r.box[:])
	if err := s.store.Create(ctx, r.box, s.mailbox); err != nil {
		return store.Box{}, storageFailed(err)
	}
	_, err = s.store.CAS(ctx, deviceKey(a.Account, a.Device.ID), 0, r.marshal())
	if errors.Is(err, store.ErrVersion) {
		if err := s.store.Drop(ctx, r.box); err != nil {
			return store.Box{}, storageFailed(err)
		}
		return s.openMailbox(ctx, a, bundle, now)
	}
	return r.box, stored(err)
}

func nameTaken() error {
	return refusal{
		code: connect.CodeAlreadyExists, reason: api.ReasonNameTaken, text: "the name is taken; no account was made",
		hint: "choose another name",
	}.err(reject.New("V-87", ErrTaken, "name"))
}

func accountExists() error {
	return refusal{
		code: connect.CodeAlreadyExists, reason: api.ReasonAccountExists, text: "this account has another name on this server",
		hint: "use the name it was registered under",
	}.err(reject.New("V-87", ErrTaken, "account"))
}

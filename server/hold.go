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
	// holdTime is how long a hold lasts, from the time that it names: a copy
	// that somebody sends again does not make it longer.
	holdTime = time.Hour
	// holdSkew is how far the clock of whoever signs a hold may be off.
	holdSkew = 10 * time.Minute
)

// HoldAccount notes, in the record that UpdateRoster decides on, that no device
// may change the roster for now.
func (s *directoryService) HoldAccount(ctx context.Context, request *posthornv1.HoldAccountRequest) (*posthornv1.HoldAccountResponse, error) {
	id, ok := account.HoldAccount(request.GetHold())
	if !ok {
		return nil, badHold(errors.New("too short"))
	}
	for {
		until, err := s.hold(ctx, id, request.GetHold(), clock.Now())
		if errors.Is(err, store.ErrVersion) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &posthornv1.HoldAccountResponse{Until: until}, nil
	}
}

func (s *directoryService) hold(ctx context.Context, id account.ID, raw []byte, now time.Time) (uint64, error) {
	record, version, err := s.account(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return 0, unknownAccount(err)
	}
	if err != nil {
		return 0, storageFailed(err)
	}
	roster, err := account.ReplayRoster(record.statements)
	if err != nil {
		return 0, storageFailed(err)
	}
	h, err := account.OpenHold(raw, roster)
	if err != nil {
		return 0, badHold(err)
	}
	at := time.UnixMilli(int64(h.At))
	if at.After(now.Add(holdSkew)) || at.Before(now.Add(-holdSkew)) {
		return 0, badHold(reject.New("V-217", ErrRoster, "a hold of another time"))
	}
	until := uint64(at.Add(holdTime).UnixMilli())
	if until <= record.heldUntil {
		return record.heldUntil, nil
	}
	record.heldUntil = until
	if _, err := s.store.CAS(ctx, accountKey(id), version, record.marshal()); err != nil {
		if errors.Is(err, store.ErrVersion) {
			return 0, err
		}
		return 0, storageFailed(err)
	}
	return until, nil
}

func badHold(cause error) error {
	return refusal{
		code: connect.CodeInvalidArgument, reason: api.ReasonBadHold, text: "the hold is not by the account's recovery key, or is of another time; the account is not held",
		hint: "check the recovery phrase and the clock of this machine",
	}.err(reject.New("V-217", errors.Join(ErrRoster, cause), "hold"))
}

func accountHeld(rest time.Duration) error {
	return refusal{
		code: connect.CodeFailedPrecondition, reason: api.ReasonAccountHeld, text: "the recovery key holds this account; no device may change it now",
		hint: "sign the change with the recovery key, or wait", retry: rest,
	}.err(reject.New("V-219", ErrRoster, "held"))
}

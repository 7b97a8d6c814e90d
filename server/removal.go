package server

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// FindRemoval returns the roster of an account, as far as the log shows it, to a
// device that the account has removed: with it the device sees for itself what
// its logins are refused for. Any other device, an unknown one and a wrong
// signature get the same answer after the same work.
func (s *directoryService) FindRemoval(ctx context.Context, request *posthornv1.FindRemovalRequest) (*posthornv1.FindRemovalResponse, error) {
	p, err := parseProof(request.GetProof())
	if err != nil {
		return nil, err
	}
	key, _, removed, err := s.auth.keyOf(ctx, p)
	if err != nil {
		return nil, err
	}
	proven, err := s.auth.proves(ctx, p, key, clock.Now())
	if err != nil {
		return nil, storageFailed(err)
	}
	if !proven || !removed {
		return nil, notRemoved()
	}
	record, _, err := s.account(ctx, p.account)
	if err != nil {
		return nil, storageFailed(err)
	}
	roster, err := account.ReplayRoster(record.statements)
	if err != nil {
		return nil, storageFailed(err)
	}
	r, err := s.shown(ctx, record.name, roster, request.GetKnown())
	if errors.Is(err, store.ErrNotFound) {
		return nil, notRemoved() // the account was deleted just now
	}
	if err != nil {
		return nil, err
	}
	answer := &posthornv1.FindRemovalResponse{Statements: r.statements, Proof: r.proof}
	answer.Padding = paddingTo(answer, r.class)
	return answer, nil
}

func notRemoved() error {
	return refusal{
		code: connect.CodeUnauthenticated, reason: api.ReasonBadProof, text: "the server knows no removal of this device",
		hint: "check that the address is the one the server is known by",
	}.err(reject.New("V-290", ErrProof, "removal"))
}

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

// FindRecoverable returns the newest roster of an account, as far as the log shows
// it, to whoever holds its recovery key. An unknown name, an account without such a key and a wrong
// signature get the same answer after the same work.
func (s *directoryService) FindRecoverable(ctx context.Context, request *posthornv1.FindRecoverableRequest) (*posthornv1.FindRecoverableResponse, error) {
	name, err := account.ParseName(request.GetName())
	if err != nil {
		return nil, badRequest(err, err.Error())
	}
	var signature account.Signature
	if !copyExactly(signature.ECDSA[:], request.GetEcdsaSignature()) || !copyExactly(signature.MLDSA[:], request.GetMldsaSignature()) {
		return nil, badRequest(reject.New("V-85", ErrRequest, "proof"), "a field of the proof has the wrong length")
	}
	fresh, err := s.auth.challenges.spend(ctx, request.GetChallenge(), clock.Now())
	if err != nil {
		return nil, storageFailed(err)
	}
	roster, err := s.recoverable(ctx, name)
	if err != nil {
		return nil, storageFailed(err)
	}
	key := s.auth.decoy
	if roster != nil {
		key = roster.Recovery()
	}
	signed := api.RecoveryBytes(audienceOf(ctx), request.GetChallenge(), name)
	if key.VerifyHybrid(signed, &signature, api.RecoveryContext) != nil || !fresh || roster == nil {
		return nil, notRecoverable()
	}
	return s.recovered(ctx, name, roster, request.GetKnown())
}

// recovered is the answer to whoever holds the key.
func (s *directoryService) recovered(ctx context.Context, name account.Name, roster *account.Roster, known *posthornv1.KnownHead) (*posthornv1.FindRecoverableResponse, error) {
	r, err := s.shown(ctx, name, roster, known)
	if errors.Is(err, store.ErrNotFound) {
		return nil, notRecoverable() // it was deleted just now
	}
	if err != nil {
		return nil, err
	}
	id := roster.ID()
	answer := &posthornv1.FindRecoverableResponse{AccountId: id[:], Statements: r.statements, Proof: r.proof}
	answer.Padding = paddingTo(answer, r.class)
	return answer, nil
}

// shownRoster is a roster for somebody without a token.
type shownRoster struct {
	statements [][]byte
	proof      []byte
	class      int // what the answer's length is padded to a multiple of
}

// shown is a roster, with a log no more of it than that shows, and with its proof
// for those who ask for one. store.ErrNotFound: the log shows no such account.
func (s *directoryService) shown(ctx context.Context, name account.Name, roster *account.Roster, known *posthornv1.KnownHead) (shownRoster, error) {
	r := shownRoster{statements: roster.Statements(), class: answerClass}
	if s.log == nil {
		return r, nil
	}
	p, err := s.prove(ctx, &posthornv1.GetAccountRequest{Account: &posthornv1.GetAccountRequest_Name{Name: string(name)}, Known: known})
	if err != nil {
		return r, err
	}
	if p.id != roster.ID() || len(p.statements) == 0 {
		return r, store.ErrNotFound
	}
	r.statements = p.statements
	if known != nil {
		r.proof, r.class = p.proof, lookupClass(p.checkpoint)
	}
	return r, nil
}

// recoverable is the roster under a name, or nil if there is none with a
// recovery key.
func (s *directoryService) recoverable(ctx context.Context, name account.Name) (*account.Roster, error) {
	id, record, err := s.accountByName(ctx, name)
	if errors.Is(err, store.ErrNotFound) {
		if id == (account.ID{}) {
			_, _, _ = s.account(ctx, id) // a name that is there costs a second read
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	roster, err := account.ReplayRoster(record.statements)
	if err != nil || roster.Recovery() == nil {
		return nil, err
	}
	return roster, nil
}

func notRecoverable() error {
	return refusal{
		code: connect.CodeUnauthenticated, reason: api.ReasonBadProof, text: "no account of this name has this recovery key; nothing was changed",
		hint: "check the name, the phrase and the address",
	}.err(reject.New("V-268", ErrProof, "recovery key"))
}

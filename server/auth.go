package server

import (
	"context"
	"crypto/rand"
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

// authService turns proofs into tokens.
type authService struct {
	directory  *directory
	challenges *challenges
	tokens     *tokens
	expel      func(context.Context, caller) error // shuts a device out that its account has removed
	// decoy stands in for the keys of a device that does not exist, so that
	// its refusal takes as long as that of a wrong signature.
	decoy *account.VerifyingKey
}

func newAuthService(d *directory) *authService {
	key, _ := account.GenerateSigningKey(func(p []byte) { _, _ = rand.Read(p) })
	keys := &keyring{store: d.store}
	return &authService{directory: d, challenges: newChallenges(keys), tokens: newTokens(d.store, keys), decoy: key.Public()}
}

// GetChallenge hands out fresh bytes for a device to sign.
func (s *authService) GetChallenge(ctx context.Context, _ *posthornv1.GetChallengeRequest) (*posthornv1.GetChallengeResponse, error) {
	challenge, ends, err := s.challenges.issue(ctx, clock.Now())
	if err != nil {
		return nil, storageFailed(err)
	}
	return &posthornv1.GetChallengeResponse{Challenge: challenge[:], ExpiresAt: uint64(ends.UnixMilli())}, nil
}

// Authenticate checks both signatures over a challenge and gives a token. An
// unknown device and a wrong signature get the same answer.
func (s *authService) Authenticate(ctx context.Context, request *posthornv1.AuthenticateRequest) (*posthornv1.AuthenticateResponse, error) {
	now := clock.Now()
	p, err := parseProof(request.GetProof())
	if err != nil {
		return nil, err
	}
	seated, err := parseClaim(request.GetSeat())
	if err != nil {
		return nil, err
	}
	key, record, removed, err := s.keyOf(ctx, p)
	if err != nil {
		return nil, err
	}
	proven, err := s.proves(ctx, p, key, now)
	if err != nil {
		return nil, storageFailed(err)
	}
	if proven && removed {
		if record != nil { // the server stopped between the roster and this
			if err := s.expel(ctx, caller{p.account, p.device, record.box}); err != nil {
				return nil, storageFailed(err)
			}
		}
		return nil, deviceRemoved()
	}
	if !proven || record == nil {
		return nil, badProof()
	}
	if !seated.by(key, p) {
		return nil, badSeat()
	}
	if err := s.seen(ctx, p, *record, now); err != nil {
		return nil, err
	}
	text, ends, copied, err := s.tokens.issue(ctx, caller{p.account, p.device, record.box}, p.challenge, seated, now)
	if err != nil {
		return nil, notIssued(err)
	}
	return &posthornv1.AuthenticateResponse{Token: text, ExpiresAt: uint64(ends.UnixMilli()), Copied: copied}, nil
}

// keyOf finds the keys that must have signed. For a device that is not there
// it returns the decoy and no record. Account and device are asked for in any
// case, so that both answers cost the store the same. A device that its account
// has removed may prove who it is, and is told so.
func (s *authService) keyOf(ctx context.Context, p proof) (key *account.VerifyingKey, r *deviceRecord, removed bool, err error) {
	roster, rosterErr := s.directory.roster(ctx, p.account)
	record, _, err := s.directory.device(ctx, p.account, p.device)
	for _, failed := range []error{rosterErr, err} {
		if failed != nil && !errors.Is(failed, store.ErrNotFound) {
			return nil, nil, false, storageFailed(failed)
		}
	}
	if rosterErr != nil {
		return s.decoy, nil, false, nil
	}
	if device, gone := roster.Removed(p.device); gone {
		if err != nil {
			return device.Key, nil, true, nil
		}
		return device.Key, &record, true, nil
	}
	device, ok := roster.Device(p.device)
	if !ok || err != nil {
		return s.decoy, nil, false, nil
	}
	return device.Key, &record, false, nil
}

// seen keeps the time of the last login to the day: enough to know who is
// gone, and no more than that. What a failover loses of it, or what cannot be
// written now, the next login writes.
func (s *authService) seen(ctx context.Context, p proof, r deviceRecord, now time.Time) error {
	today := dayOf(now)
	if r.lastSeen >= today {
		return nil
	}
	err := s.directory.changeDevice(ctx, s.directory.store.Note, p.account, p.device, func(r *deviceRecord) error {
		r.lastSeen = today
		return nil
	})
	if errors.Is(err, store.ErrStopped) {
		return nil
	}
	return stored(err)
}

// proof is a parsed login proof.
type proof struct {
	account   account.ID
	device    account.DeviceID
	challenge []byte
	signature account.Signature
}

func parseProof(p *posthornv1.Proof) (parsed proof, err error) {
	ok := copyExactly(parsed.account[:], p.GetAccountId()) && copyExactly(parsed.device[:], p.GetDeviceId()) &&
		copyExactly(parsed.signature.ECDSA[:], p.GetEcdsaSignature()) && copyExactly(parsed.signature.MLDSA[:], p.GetMldsaSignature())
	if !ok {
		return proof{}, badRequest(reject.New("V-85", ErrRequest, "proof"), "a field of the proof has the wrong length")
	}
	parsed.challenge = p.GetChallenge()
	return parsed, nil
}

// copyExactly fills dst if src has its length.
func copyExactly(dst, src []byte) bool { return copy(dst, src) == len(src) && len(src) == len(dst) }

// proves spends the challenge at this node and checks both signatures over it,
// for the address that this request was made to. The error is the store's.
func (s *authService) proves(ctx context.Context, p proof, key *account.VerifyingKey, now time.Time) (bool, error) {
	fresh, err := s.challenges.spend(ctx, p.challenge, now)
	signed := api.AuthBytes(audienceOf(ctx), p.challenge, p.account, p.device)
	return key.VerifyHybrid(signed, &p.signature, api.AuthContext) == nil && fresh, err
}

func badProof() error {
	return refusal{
		code: connect.CodeUnauthenticated, reason: api.ReasonBadProof, text: "the server does not accept this device",
		hint: "register first, or check that the address is the one the server is known by",
	}.err(reject.New("V-80", ErrProof, ""))
}

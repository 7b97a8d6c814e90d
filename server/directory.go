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

// directoryService is the directory over the network.
type directoryService struct {
	*directory
	auth    *authService
	open    bool
	mailbox store.Limits
	expel   func(context.Context, caller) error // shuts a device out that its account has removed
}

// Register binds a free name to a new account and opens its first mailbox. The
// same call with the same keys may be repeated until it succeeds.
func (s *directoryService) Register(ctx context.Context, request *posthornv1.RegisterRequest) (*posthornv1.RegisterResponse, error) {
	now := clock.Now()
	if !s.open && request.GetInvite() == "" {
		return nil, refusal{
			code: connect.CodePermissionDenied, reason: api.ReasonRegistrationClosed, text: "registration takes an invite; no account was made",
			hint: "ask the operator for an invite link, and register with it",
		}.err(reject.New("V-88", ErrClosed, ""))
	}
	name, err := account.ParseName(request.GetName())
	if err != nil {
		return nil, badRequest(err, err.Error())
	}
	a, err := s.examine(ctx, name, request, now)
	if err != nil {
		return nil, err
	}
	box, err := s.enrol(ctx, a, now)
	if err != nil {
		return nil, err
	}
	if err := s.publish(ctx, a.Account); err != nil {
		return nil, err
	}
	text, ends, _, err := s.auth.tokens.issue(ctx, caller{a.Account, a.Device.ID, box}, request.GetProof().GetChallenge(), claim{}, now)
	if err != nil {
		return nil, notIssued(err)
	}
	return &posthornv1.RegisterResponse{Token: text, ExpiresAt: uint64(ends.UnixMilli())}, nil
}

// examine verifies everything that a registration brings: statement 0, the
// proof by the device it adds, and that device's bundle.
func (s *directoryService) examine(ctx context.Context, name account.Name, request *posthornv1.RegisterRequest, now time.Time) (a applicant, err error) {
	roster, err := account.ReplayRoster([][]byte{request.GetStatement()})
	if err != nil {
		return a, refusal{
			code: connect.CodeInvalidArgument, reason: api.ReasonBadStatement, text: "the first roster statement does not verify; no account was made",
			hint: "update the client",
		}.err(reject.New("V-82", errors.Join(ErrUpload, err), "statement 0"))
	}
	a = applicant{Party: account.Party{Account: roster.ID(), Device: roster.Devices()[0]}, name: name, statement: request.GetStatement(), invite: request.GetInvite()}
	p, err := parseProof(request.GetProof())
	if err != nil {
		return a, err
	}
	proven, err := s.auth.proves(ctx, p, a.Device.Key, now)
	if err != nil {
		return a, storageFailed(err)
	}
	if !proven || p.account != a.Account || p.device != a.Device.ID {
		return a, badProof()
	}
	a.bundle, err = examineBundle(request.GetBundle(), a.Party, now)
	return a, err
}

// examineBundle verifies an uploaded bundle: form, both signatures, validity,
// and that the device lists the suite.
func examineBundle(encoded []byte, owner account.Party, now time.Time) (*account.Bundle, error) {
	bundle, err := account.ParseBundle(encoded)
	if err == nil {
		err = bundle.Verify(owner, now)
	}
	if err != nil {
		return nil, refusal{
			code: connect.CodeInvalidArgument, reason: api.ReasonBadBundle, text: "the prekey bundle does not verify; nothing was published",
			hint: "compare the clocks of client and server, then update the client",
		}.err(reject.New("V-83", errors.Join(ErrUpload, err), "bundle"))
	}
	return bundle, nil
}

// GetAccount returns the roster of one account, as far as the log shows it.
func (s *directoryService) GetAccount(ctx context.Context, request *posthornv1.GetAccountRequest) (*posthornv1.GetAccountResponse, error) {
	if s.log != nil {
		return s.getProven(ctx, request)
	}
	id, record, err := s.find(ctx, request)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noSuchAccount()
	}
	if err != nil {
		return nil, err
	}
	answer := &posthornv1.GetAccountResponse{Name: string(record.name), AccountId: id[:], Statements: record.statements}
	answer.Padding = answerPadding(answer)
	return answer, nil
}

func noSuchAccount() error {
	return refusal{
		code: connect.CodeNotFound, reason: api.ReasonUnknownAccount, text: "there is no such account here",
		hint: "check the spelling of the name", padded: true,
	}.err(nil)
}

// find reads the account that a request names. Of its errors only
// store.ErrNotFound is not yet in the form a caller gets.
func (s *directoryService) find(ctx context.Context, request *posthornv1.GetAccountRequest) (id account.ID, r accountRecord, err error) {
	switch by := request.GetAccount().(type) {
	case *posthornv1.GetAccountRequest_Name:
		name, parseErr := account.ParseName(by.Name)
		if parseErr != nil {
			return id, r, badRequest(parseErr, parseErr.Error())
		}
		id, r, err = s.accountByName(ctx, name)
		if errors.Is(err, store.ErrNotFound) && id == (account.ID{}) {
			_, _, _ = s.account(ctx, id) // a name that is there costs a second read
		}
	case *posthornv1.GetAccountRequest_AccountId:
		if !copyExactly(id[:], by.AccountId) {
			return id, r, badRequest(reject.New("V-85", ErrRequest, "account id"), "an account id is 48 bytes")
		}
		r, _, err = s.account(ctx, id)
	default:
		return id, r, badRequest(reject.New("V-85", ErrRequest, "account"), "name an account by name or id")
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		err = storageFailed(err)
	}
	return id, r, err
}

// PublishBundle replaces the calling device's prekey bundle. An older bundle
// than the stored one is refused: its private key may have leaked since.
func (s *directoryService) PublishBundle(ctx context.Context, request *posthornv1.PublishBundleRequest) (*posthornv1.PublishBundleResponse, error) {
	who := callerOf(ctx)
	roster, err := s.roster(ctx, who.account)
	if err != nil {
		return nil, storageFailed(err)
	}
	device, ok := roster.Device(who.device)
	if !ok {
		return nil, badProof()
	}
	bundle, err := examineBundle(request.GetBundle(), account.Party{Account: who.account, Device: device}, clock.Now())
	if err != nil {
		return nil, err
	}
	err = s.replaceBundle(ctx, who.account, who.device, bundle)
	if errors.Is(err, errOlder) {
		return nil, refusal{
			code: connect.CodeFailedPrecondition, reason: api.ReasonOldBundle, text: "a newer bundle is published already; it stays",
			hint: "make a new bundle",
		}.err(err)
	}
	return &posthornv1.PublishBundleResponse{}, stored(err)
}

// FetchBundle returns the newest bundle of one device.
func (s *directoryService) FetchBundle(ctx context.Context, request *posthornv1.FetchBundleRequest) (*posthornv1.FetchBundleResponse, error) {
	var id account.ID
	var device account.DeviceID
	if !copyExactly(id[:], request.GetAccountId()) || !copyExactly(device[:], request.GetDeviceId()) {
		return nil, badRequest(reject.New("V-85", ErrRequest, "ids"), "an account id is 48 bytes and a device id 32")
	}
	if err := s.fetches.allow(callerOf(ctx).account, newDeviceName(id, device), clock.Now()); err != nil {
		return nil, err
	}
	record, _, err := s.device(ctx, id, device)
	if errors.Is(err, store.ErrNotFound) {
		return nil, refusal{
			code: connect.CodeNotFound, reason: api.ReasonNoBundle, text: "there is no such device here",
			hint: "look the account up again", padded: true,
		}.err(nil)
	}
	if err != nil {
		return nil, storageFailed(err)
	}
	answer := &posthornv1.FetchBundleResponse{Bundle: record.bundle}
	answer.Padding = answerPadding(answer)
	return answer, nil
}

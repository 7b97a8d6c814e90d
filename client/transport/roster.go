package transport

import (
	"context"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// UpdateRoster makes a statement the newest one of its account, with a bundle
// for each device that it adds. It needs no token, and may be repeated until it
// succeeds. Errors: ErrRosterChanged (another statement came first), ErrHeld,
// ErrRosterFull, ErrDenied, ErrRefused.
func (c *Client) UpdateRoster(ctx context.Context, statement []byte, bundles [][]byte) error {
	_, err := call(ctx, c.directory.UpdateRoster, &posthornv1.UpdateRosterRequest{Statement: statement, Bundles: bundles})
	return err
}

// HoldAccount keeps devices from changing the roster, until the time that it
// returns. Error: ErrRefused for a hold that the server does not accept.
func (c *Client) HoldAccount(ctx context.Context, hold []byte) (time.Time, error) {
	answer, err := call(ctx, c.directory.HoldAccount, &posthornv1.HoldAccountRequest{Hold: hold})
	return time.UnixMilli(int64(answer.GetUntil())), err
}

// FindRecoverable returns the account under a name to whoever holds its
// recovery key; the client's own device is of no interest. Nothing in the record
// is verified; it has a proof if known is not nil and the server keeps a log.
// ErrUnauthenticated: no account of that name has this key.
func (c *Client) FindRecoverable(ctx context.Context, name account.Name, recovery *account.SigningKey, known *Known) (Record, error) {
	asked, err := call(ctx, c.auth.GetChallenge, &posthornv1.GetChallengeRequest{})
	if err != nil {
		return Record{}, err
	}
	challenge := asked.GetChallenge()
	if len(challenge) != api.ChallengeSize {
		return Record{}, &Error{Err: ErrServer, Reason: "challenge of a wrong length"}
	}
	signature, err := recovery.SignHybrid(c.device.Rand, api.RecoveryBytes(c.audience, challenge, name), api.RecoveryContext)
	if err != nil {
		return Record{}, err
	}
	answer, err := call(ctx, c.directory.FindRecoverable, &posthornv1.FindRecoverableRequest{
		Name: string(name), Challenge: challenge, EcdsaSignature: signature.ECDSA[:], MldsaSignature: signature.MLDSA[:],
		Known: known.message(),
	})
	if err != nil {
		return Record{}, err
	}
	return Record{Name: string(name), Account: answer.GetAccountId(), Statements: answer.GetStatements(), Proof: answer.GetProof()}, nil
}

// FindRemoval returns the account under a name to this device, which the account
// has removed. Nothing in the record is verified; it has a proof if known is not
// nil and the server keeps a log. ErrUnauthenticated: the server has no such removal.
func (c *Client) FindRemoval(ctx context.Context, name account.Name, known *Known) (Record, error) {
	proof, _, err := c.prove(ctx)
	if err != nil {
		return Record{}, err
	}
	answer, err := call(ctx, c.directory.FindRemoval, &posthornv1.FindRemovalRequest{Proof: proof, Known: known.message()})
	if err != nil {
		return Record{}, err
	}
	return Record{Name: string(name), Account: c.device.Account[:], Statements: answer.GetStatements(), Proof: answer.GetProof()}, nil
}

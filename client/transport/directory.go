package transport

import (
	"context"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// Record is what the directory says about an account. Nothing in it is
// verified: replay the statements and compare.
type Record struct {
	Name       string
	Account    []byte
	Statements [][]byte
	Proof      []byte // kt.Answer, if it was asked for
}

// AccountByName looks a name up. ErrNotFound says that nobody has it.
func (c *Client) AccountByName(ctx context.Context, name account.Name) (Record, error) {
	return c.account(ctx, &posthornv1.GetAccountRequest{
		Account: &posthornv1.GetAccountRequest_Name{Name: string(name)},
	})
}

// AccountByID looks an account up. ErrNotFound says that it does not exist.
func (c *Client) AccountByID(ctx context.Context, id account.ID) (Record, error) {
	return c.account(ctx, &posthornv1.GetAccountRequest{
		Account: &posthornv1.GetAccountRequest_AccountId{AccountId: id[:]},
	})
}

func (c *Client) account(ctx context.Context, request *posthornv1.GetAccountRequest) (Record, error) {
	answer, err := authorized(ctx, c, c.directory.GetAccount, request)
	if err != nil {
		return Record{}, err
	}
	return Record{Name: answer.GetName(), Account: answer.GetAccountId(), Statements: answer.GetStatements(), Proof: answer.GetProof()}, nil
}

// PublishBundle replaces this device's prekey bundle in the directory.
func (c *Client) PublishBundle(ctx context.Context, bundle []byte) error {
	_, err := authorized(ctx, c, c.directory.PublishBundle, &posthornv1.PublishBundleRequest{Bundle: bundle})
	return err
}

// FetchBundle returns the newest bundle of a device, unverified. ErrNotFound
// says that the device does not exist or has published none.
func (c *Client) FetchBundle(ctx context.Context, id account.ID, device account.DeviceID) ([]byte, error) {
	answer, err := authorized(ctx, c, c.directory.FetchBundle, &posthornv1.FetchBundleRequest{
		AccountId: id[:], DeviceId: device[:],
	})
	if err != nil {
		return nil, err
	}
	return answer.GetBundle(), nil
}

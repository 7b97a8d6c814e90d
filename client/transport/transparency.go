package transport

import (
	"context"
	"errors"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// Known is how far the asker knows the server's log and a name in it. The answer
// to a question with it has a proof.
type Known struct {
	Size    uint64  // of the root log; 0: nothing
	Version *uint32 // of the name; nil: nothing
}

func (k *Known) message() *posthornv1.KnownHead {
	if k == nil {
		return nil
	}
	return &posthornv1.KnownHead{Size: k.Size, Version: k.Version}
}

// ProvenByName is AccountByName with a proof. A name that nobody has is no error
// then: the record has no statements, and the proof says so.
func (c *Client) ProvenByName(ctx context.Context, name account.Name, known *Known) (Record, error) {
	return c.account(ctx, &posthornv1.GetAccountRequest{
		Account: &posthornv1.GetAccountRequest_Name{Name: string(name)}, Known: known.message(),
	})
}

// ProvenByID is AccountByID with a proof, about the account's name.
func (c *Client) ProvenByID(ctx context.Context, id account.ID, known *Known) (Record, error) {
	return c.account(ctx, &posthornv1.GetAccountRequest{
		Account: &posthornv1.GetAccountRequest_AccountId{AccountId: id[:]}, Known: known.message(),
	})
}

// LogHead is the newest state of the server's log and what it takes to judge
// it. Nothing in it is verified.
type LogHead struct {
	Checkpoint      []byte
	Consistency     [][32]byte // from the size that was known
	Config          []byte     // the first entry
	ConfigInclusion [][32]byte
	Policy          string // that the log began with
	Root            []byte // the newest entry
	RootInclusion   [][32]byte
}

// LogHead asks for the newest checkpoint. ErrNoLog says that the server keeps no
// log.
func (c *Client) LogHead(ctx context.Context, known uint64) (LogHead, error) {
	answer, err := call(ctx, c.transparency.GetHead, &posthornv1.GetHeadRequest{KnownSize: known})
	if rpc, ok := errors.AsType[*connect.Error](err); ok && rpc.Code() == connect.CodeUnimplemented {
		return LogHead{}, &Error{Err: ErrNoLog, cause: err}
	}
	if err != nil {
		return LogHead{}, err
	}
	return LogHead{
		Checkpoint: answer.GetCheckpoint(), Consistency: hashes(answer.GetConsistency()),
		Config: answer.GetConfig(), ConfigInclusion: hashes(answer.GetConfigInclusion()), Policy: answer.GetPolicy(),
		Root: answer.GetRoot(), RootInclusion: hashes(answer.GetRootInclusion()),
	}, nil
}

// LogPolicy asks for a policy that followed another one, with what vouches for it
// to somebody who holds a checkpoint of a size. Nothing in it is verified.
func (c *Client) LogPolicy(ctx context.Context, number uint32, size uint64) (change []byte, err error) {
	answer, err := call(ctx, c.transparency.GetPolicy, &posthornv1.GetPolicyRequest{Number: number, Size: size})
	if err != nil {
		return nil, err
	}
	return answer.GetChange(), nil
}

// LogConsistency asks for the proof that one size of the root log continues
// another.
func (c *Client) LogConsistency(ctx context.Context, from, to uint64) ([][32]byte, error) {
	answer, err := call(ctx, c.transparency.GetConsistency, &posthornv1.GetConsistencyRequest{From: from, To: to})
	if err != nil {
		return nil, err
	}
	return hashes(answer.GetProof()), nil
}

// LogEpoch is one entry of the root log and the updates that it adds.
type LogEpoch struct {
	Root    []byte
	Updates [][]byte
}

// LogUpdates asks for epochs from a number on, and the checkpoint they are under.
func (c *Client) LogUpdates(ctx context.Context, epoch uint64) (epochs []LogEpoch, checkpoint []byte, err error) {
	answer, err := authorized(ctx, c, c.transparency.GetUpdates, &posthornv1.GetUpdatesRequest{Epoch: epoch})
	if err != nil {
		return nil, nil, err
	}
	for _, e := range answer.GetEpochs() {
		epochs = append(epochs, LogEpoch{e.GetRoot(), e.GetUpdates()})
	}
	return epochs, answer.GetCheckpoint(), nil
}

// LogVersion is one version of the own name: the record, and what opens its
// commitment.
type LogVersion struct {
	Version uint32
	Record  []byte
	Opening []byte
}

// LogHistory asks for the versions of this account's own name, from a number on.
func (c *Client) LogHistory(ctx context.Context, version uint32) (versions []LogVersion, err error) {
	answer, err := authorized(ctx, c, c.transparency.GetHistory, &posthornv1.GetHistoryRequest{Version: version})
	if err != nil {
		return nil, err
	}
	for _, v := range answer.GetVersions() {
		versions = append(versions, LogVersion{v.GetVersion(), v.GetRecord(), v.GetOpening()})
	}
	return versions, nil
}

// hashes keeps what has the length of a hash. What has not would verify nothing.
func hashes(list [][]byte) (out [][32]byte) {
	for _, h := range list {
		if len(h) != 32 {
			return nil
		}
		out = append(out, [32]byte(h))
	}
	return out
}

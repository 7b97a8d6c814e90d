package server

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
	"github.com/posthorn/posthorn/server/store"
)

// publishTime bounds how long a registration waits for its place in a published
// checkpoint. It leaves room in the time of a call.
const publishTime = 12 * time.Second

// publish returns when the newest roster of an account is in the log and a
// checkpoint over it is published: nobody is served what is not. Without a log
// it does nothing.
func (d *directory) publish(ctx context.Context, id account.ID) error {
	if d.log == nil {
		return nil
	}
	record, err := d.logRecord(ctx, id)
	if err != nil {
		return storageFailed(err)
	}
	bounded, cancel := context.WithTimeout(ctx, publishTime)
	defer cancel()
	if err := d.log.Publish(bounded, record); err != nil {
		return unpublished(err)
	}
	return nil
}

// logRecord is what the log is to hold of an account.
func (d *directory) logRecord(ctx context.Context, id account.ID) (kt.Record, error) {
	record, _, err := d.account(ctx, id)
	if err != nil {
		return kt.Record{}, err
	}
	roster, err := d.roster(ctx, id)
	if err != nil {
		return kt.Record{}, err
	}
	holder, _, err := d.accountByName(ctx, record.name)
	if err == nil && holder != id {
		err = store.ErrNotFound // it never got the name
	}
	return kt.RecordOf(record.name, roster), err
}

func unpublished(cause error) error {
	return refusal{
		code: connect.CodeUnavailable, reason: api.ReasonUnpublished, text: "it is stored, and the transparency log does not show it yet; nobody is served it before",
		hint: "repeat the call; it goes on where it was", retry: 2 * time.Second,
	}.err(cause)
}

// logStarting is the refusal of a look-up while the log is being read.
func logStarting(cause error) error {
	return refusal{
		code: connect.CodeUnavailable, reason: api.ReasonStarting, text: "the server is reading its transparency log; mailboxes are served, look-ups not yet",
		hint: "try again in a moment", retry: 2 * time.Second,
	}.err(cause)
}

// logFailed is the refusal of a proof that could not be made.
func logFailed(err error) error {
	if errors.Is(err, ktlog.ErrStarting) {
		return logStarting(err)
	}
	return storageFailed(err)
}

// proven is what the log says of the account that a request names.
type proven struct {
	id         account.ID
	name       account.Name
	statements [][]byte // as far as they are published; none: there is no such account
	proof      []byte
	checkpoint int  // its length
	named      bool // it was asked for by name
}

// prove asks the log for the account. What was not published yet is not served.
// store.ErrNotFound: no proof can be given, since no name was asked for.
func (s *directoryService) prove(ctx context.Context, request *posthornv1.GetAccountRequest) (p proven, err error) {
	if !s.adopted.Load() {
		return p, logStarting(ktlog.ErrStarting)
	}
	id, record, err := s.find(ctx, request)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return p, err
	}
	p.name = record.name
	if by, ok := request.GetAccount().(*posthornv1.GetAccountRequest_Name); ok {
		p.name, p.named = account.Name(by.Name), true // find has parsed it
	}
	if p.name == "" {
		return p, store.ErrNotFound
	}
	reply, failed := s.answer(ctx, p.name, request.GetKnown())
	if failed == nil && behind(reply.Record, record) {
		s.catchUp(ctx, id)
		reply, failed = s.answer(ctx, p.name, request.GetKnown())
	}
	if failed != nil {
		return p, logFailed(failed)
	}
	p.proof, p.checkpoint = reply.Answer.Marshal(), len(reply.Answer.Checkpoint)
	switch {
	case reply.Deleted():
		p.id = reply.Record.Account
	case reply.Record != nil:
		return s.published(p, id, record, reply.Record)
	}
	return p, nil
}

// behind reports whether the log does not show yet what is stored: it is just
// being published, perhaps by another node.
func behind(logged *kt.Record, stored accountRecord) bool {
	if logged == nil {
		return len(stored.statements) > 0
	}
	return logged.Seq != ktlog.DeletedSeq && logged.Seq+1 < uint64(len(stored.statements))
}

func (s *directoryService) answer(ctx context.Context, name account.Name, known *posthornv1.KnownHead) (*ktlog.Reply, error) {
	return s.log.Answer(ctx, name, ktlog.Asked{Size: known.GetSize(), Known: known != nil && known.Version != nil, Version: known.GetVersion()})
}

// catchUpTime bounds how long a look-up waits for a roster that is being
// published; then it gets the one before.
const catchUpTime = 3 * time.Second

// catchUp waits until the log shows the newest roster, so that whoever was told
// that a roster is stale finds the new one.
func (s *directoryService) catchUp(ctx context.Context, id account.ID) {
	bounded, cancel := context.WithTimeout(ctx, catchUpTime)
	defer cancel()
	_ = s.publish(bounded, id) // or else the one before it is served
}

// published cuts a roster to what the log shows.
func (s *directoryService) published(p proven, id account.ID, stored accountRecord, logged *kt.Record) (proven, error) {
	if id != logged.Account && p.named {
		return p, storageFailed(errRecord)
	}
	if id != logged.Account {
		return proven{}, store.ErrNotFound // it never got the name
	}
	if logged.Seq >= uint64(len(stored.statements)) {
		// The account is being deleted, or its record is damaged.
		return p, storageFailed(errRecord)
	}
	p.id, p.statements = id, stored.statements[:logged.Seq+1]
	return p, nil
}

// lookupClass is the length that all answers with one checkpoint are padded to,
// unless an account has many devices: the checkpoint, the proofs and one roster.
func lookupClass(checkpoint int) int {
	const room = 11 << 10
	return (checkpoint + room + answerClass - 1) / answerClass * answerClass
}

// getProven answers a look-up from the log. An account that is not there is an
// answer with a proof of that, as long as another.
func (s *directoryService) getProven(ctx context.Context, request *posthornv1.GetAccountRequest) (*posthornv1.GetAccountResponse, error) {
	p, err := s.prove(ctx, request)
	if errors.Is(err, store.ErrNotFound) {
		return nil, noSuchAccount()
	}
	if err != nil {
		return nil, err
	}
	if request.GetKnown() == nil {
		if len(p.statements) == 0 {
			return nil, noSuchAccount()
		}
		p.proof = nil
	}
	answer := &posthornv1.GetAccountResponse{Name: string(p.name), AccountId: p.id[:], Statements: p.statements, Proof: p.proof}
	if p.id == (account.ID{}) {
		answer.AccountId = nil
	}
	if p.proof == nil {
		answer.Padding = answerPadding(answer)
	} else {
		answer.Padding = paddingTo(answer, lookupClass(p.checkpoint))
	}
	return answer, nil
}

// paddingTo fills an answer up to a class, or to a multiple of it.
func paddingTo(m proto.Message, class int) []byte {
	const field = 4 // tag and length of the padding itself
	return noise(class - (proto.Size(m)+field)%class)
}

// transparencyService is the log over the network.
type transparencyService struct{ *directory }

var errNoLog = refusal{
	code: connect.CodeUnimplemented, reason: api.ReasonBadRequest, text: "this server keeps no transparency log",
	hint: "ask its operator",
}

// GetHead returns the newest checkpoint with what it takes to judge it.
func (s *transparencyService) GetHead(ctx context.Context, request *posthornv1.GetHeadRequest) (*posthornv1.GetHeadResponse, error) {
	if s.log == nil {
		return nil, errNoLog.err(nil)
	}
	h, err := s.log.Head(ctx, request.GetKnownSize())
	if err != nil {
		return nil, logFailed(err)
	}
	return &posthornv1.GetHeadResponse{
		Checkpoint: h.Checkpoint, Consistency: slicesOf(h.Consistency), Config: h.Config.Marshal(),
		ConfigInclusion: slicesOf(h.Inclusion), Policy: string(h.Policy), Root: h.Root.Marshal(), RootInclusion: slicesOf(h.Last),
	}, nil
}

// GetPolicy returns a policy that followed another one, with what vouches for it.
func (s *transparencyService) GetPolicy(ctx context.Context, request *posthornv1.GetPolicyRequest) (*posthornv1.GetPolicyResponse, error) {
	if s.log == nil {
		return nil, errNoLog.err(nil)
	}
	change, err := s.log.Change(ctx, request.GetNumber(), request.GetSize())
	if err != nil {
		return nil, logFailed(err)
	}
	if change == nil {
		return nil, badRequest(reject.New("V-288", ErrRequest, "a policy of the log"), "the log has no policy with this number under a published checkpoint of this size")
	}
	return &posthornv1.GetPolicyResponse{Change: change.Marshal()}, nil
}

// GetConsistency proves that one size of the root log continues another.
func (s *transparencyService) GetConsistency(ctx context.Context, request *posthornv1.GetConsistencyRequest) (*posthornv1.GetConsistencyResponse, error) {
	if s.log == nil {
		return nil, errNoLog.err(nil)
	}
	proof, err := s.log.Consistency(ctx, request.GetFrom(), request.GetTo())
	if err != nil {
		return nil, logFailed(err)
	}
	if proof == nil {
		return nil, badRequest(reject.New("V-200", ErrRequest, "sizes of the log"), "the sizes must be 1 or more, the first below the second, and the second published")
	}
	return &posthornv1.GetConsistencyResponse{Proof: slicesOf(proof)}, nil
}

// GetUpdates returns a page of epochs.
func (s *transparencyService) GetUpdates(ctx context.Context, request *posthornv1.GetUpdatesRequest) (*posthornv1.GetUpdatesResponse, error) {
	if s.log == nil {
		return nil, errNoLog.err(nil)
	}
	epochs, checkpoint, err := s.log.Epochs(ctx, request.GetEpoch())
	if err != nil {
		return nil, logFailed(err)
	}
	answer := &posthornv1.GetUpdatesResponse{Checkpoint: checkpoint}
	for _, e := range epochs {
		updates := make([][]byte, len(e.Updates))
		for i, u := range e.Updates {
			updates[i] = u.Marshal()
		}
		answer.Epochs = append(answer.Epochs, &posthornv1.LogEpoch{Root: e.Entry, Updates: updates})
	}
	return answer, nil
}

// historyPage is how many versions one call returns.
const historyPage = 500

// GetHistory returns what was logged for the caller's own name.
func (s *transparencyService) GetHistory(ctx context.Context, request *posthornv1.GetHistoryRequest) (*posthornv1.GetHistoryResponse, error) {
	if s.log == nil {
		return nil, errNoLog.err(nil)
	}
	record, _, err := s.account(ctx, callerOf(ctx).account)
	if err != nil {
		return nil, storageFailed(err)
	}
	versions, err := s.log.History(ctx, record.name, request.GetVersion(), historyPage)
	if err != nil {
		return nil, logFailed(err)
	}
	answer := &posthornv1.GetHistoryResponse{}
	for _, v := range versions {
		answer.Versions = append(answer.Versions, &posthornv1.LogVersion{Version: v.Version, Record: v.Record.Marshal(), Opening: v.Opening[:]})
	}
	return answer, nil
}

func slicesOf(hashes [][32]byte) [][]byte {
	out := make([][]byte, len(hashes))
	for i := range hashes {
		out[i] = hashes[i][:]
	}
	return out
}

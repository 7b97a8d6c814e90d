package client

import (
	"context"
	"errors"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// CheckName looks a name up in the log now, whatever is known of it, and gives
// the view of the log afterwards. Errors: ErrNoLog, ErrUnknownName (proved),
// ErrTransparency, ErrChangedAccount, ErrOffline.
func (c *Client) CheckName(ctx context.Context, name account.Name) (LogView, error) {
	known, err := c.knownByName(ctx, name)
	if err != nil {
		return LogView{}, err
	}
	record, proved, err := c.provenByName(ctx, name)
	switch {
	case errors.Is(err, transport.ErrNotFound):
		view, failed := c.Log(ctx)
		return view, errors.Join(ErrUnknownName, failed)
	case err != nil:
		return LogView{}, remote(err)
	case proved == nil:
		return LogView{}, ErrNoLog
	case record.Name != string(name):
		return LogView{}, reject.New("V-101", ErrRoster, "the directory answered for another name")
	}
	if name != c.profile.Name {
		if _, err := c.confirm(ctx, known, record, proved, clock.Now()); err != nil {
			return LogView{}, err
		}
	}
	return c.LogOf(ctx, name)
}

// ExportProof asks the log about a name as if nothing were known of it, and
// gives a file that proves the answer to anybody.
func (c *Client) ExportProof(ctx context.Context, name account.Name) ([]byte, error) {
	if err := c.watch.begin(ctx); err != nil {
		return nil, err
	}
	defer c.watch.end()
	l, err := c.openLog(ctx)
	if err != nil {
		return nil, remote(err)
	}
	if l == nil {
		return nil, ErrNoLog
	}
	served, err := c.server.ProvenByName(ctx, name, l.asked(nil))
	if err != nil {
		return nil, remote(err)
	}
	if _, err := c.proves(ctx, l, name, served, nil); err != nil {
		return nil, remote(err)
	}
	answer, err := kt.ParseAnswer(served.Proof)
	if err != nil {
		return nil, err
	}
	record, err := recordIn(name, served, answer)
	if err != nil {
		return nil, err
	}
	return (&kt.Exported{Policy: l.policy, Name: name, Record: record, Answer: answer}).Marshal()
}

// Audited is what an audit has gone through.
type Audited struct {
	Epochs, Updates uint64
	Names           int
	View            LogView
}

// AuditLog fetches every update from the first on, makes every root anew, and
// compares them with what the log published, to a checkpoint that continues the
// one known here. Errors: ErrNoLog, ErrTransparency, ErrOffline.
func (c *Client) AuditLog(ctx context.Context) (Audited, error) {
	if err := c.watch.begin(ctx); err != nil {
		return Audited{}, err
	}
	defer c.watch.end()
	l, err := c.openLog(ctx)
	if err != nil {
		return Audited{}, remote(err)
	}
	if l == nil {
		return Audited{}, ErrNoLog
	}
	audit := kt.NewAudit(l.policy)
	checkpoint, err := c.replayLog(ctx, audit)
	if err != nil {
		return Audited{}, err
	}
	cp, err := l.policy.Checkpoint(checkpoint)
	if err == nil {
		err = audit.Finish(cp)
	}
	if err == nil && cp.Size < l.Size {
		err = reject.New("V-185", kt.ErrRollback, "the audited log is shorter than the known one")
	}
	if err != nil {
		return Audited{}, &LogError{Err: err}
	}
	if err := c.catchUp(ctx, l); err != nil {
		return Audited{}, remote(err)
	}
	if err := c.continues(ctx, l, cp); err != nil {
		return Audited{}, remote(err)
	}
	done := Audited{Epochs: audit.Epochs(), Updates: audit.Updates(), Names: audit.Names()}
	done.View, err = c.Log(ctx)
	return done, err
}

// replayLog feeds the whole log to an audit and gives the checkpoint over it.
func (c *Client) replayLog(ctx context.Context, audit *kt.Audit) (checkpoint []byte, err error) {
	for {
		epochs, over, err := c.server.LogUpdates(ctx, audit.Epochs())
		if err != nil {
			return nil, remote(err)
		}
		if len(epochs) == 0 {
			return checkpoint, nil
		}
		for _, e := range epochs {
			if err := audit.Epoch(e.Root, e.Updates); err != nil {
				return nil, &LogError{Err: err}
			}
		}
		checkpoint = over
	}
}

// continues checks that what was audited and what this device knows are one log.
func (c *Client) continues(ctx context.Context, l *ledger, audited *kt.Checkpoint) error {
	var steps [][32]byte
	var err error
	if audited.Size < l.Size {
		if steps, err = c.server.LogConsistency(ctx, audited.Size, l.Size); err != nil {
			return err
		}
	}
	newest := &kt.Checkpoint{Size: l.Size, Root: l.Root}
	if err := newest.Follows(audited.Size, audited.Root, steps); err != nil {
		return c.lied(ctx, l, err, &kt.Evidence{Kind: kt.KindFork, Notes: [2][]byte{l.Note, audited.Note}, Proof: steps})
	}
	return nil
}

// ForgetLog forgets all that is known of the server's log, an alarm too. The next
// look-up takes the server's word for its log anew; contacts stay as they are.
func (c *Client) ForgetLog(ctx context.Context) error {
	if err := c.watch.begin(ctx); err != nil {
		return err
	}
	defer c.watch.end()
	return c.update(ctx, (*localdb.Tx).ForgetLog)
}

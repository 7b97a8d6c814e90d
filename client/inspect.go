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
	p, err := c.proves(ctx, l, name, served, nil)
	if err != nil {
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
	return (&kt.Exported{Policy: p.seen.Policy, Name: name, Record: record, Answer: answer}).Marshal()
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

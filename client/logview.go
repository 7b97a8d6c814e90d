package client

import (
	"context"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
)

// LogView is what this device has verified of the server's log. The zero value
// says that there is none.
type LogView struct {
	Origin    string // the log's name
	Size      uint64
	Root      [32]byte
	Witnesses []string  // who signed the newest checkpoint
	SignedAt  time.Time // by them, or by the log if the policy asks for nobody
	CheckedAt time.Time // by this device: of the name, or of the log where no name is meant
	Policy    uint32    // number of the policy that the log is under; 0: it began with that
	Text      string    // of the policy, in the form of C2SP tlog-policy
	Alarm     string    // path of the evidence that the log has lied; empty: it has not
}

// Known reports whether there is a log.
func (v LogView) Known() bool { return v.Size > 0 }

// Log describes the log as it was last verified, without asking the server.
func (c *Client) Log(ctx context.Context) (LogView, error) {
	l, err := c.ledger(ctx)
	if err != nil || l == nil {
		return LogView{}, err
	}
	return LogView{
		Origin: l.policy.Origin(), Size: l.Size, Root: l.Root, Witnesses: l.Witnesses,
		SignedAt: instant(l.SignedAt), CheckedAt: instant(l.CheckedAt), Alarm: l.Alarm,
		Policy: l.policy.Standing().Number, Text: string(l.policy.Text()),
	}, nil
}

// LogOf is Log with the time at which a name was last verified in it; zero:
// never.
func (c *Client) LogOf(ctx context.Context, name account.Name) (LogView, error) {
	v, err := c.Log(ctx)
	if err != nil || !v.Known() {
		return v, err
	}
	var row localdb.LogName
	err = c.view(ctx, func(tx *localdb.Tx) (err error) {
		row, err = tx.LogName(name)
		return err
	})
	v.CheckedAt = time.Time{}
	if exists, err := found(err); err != nil || !exists {
		return v, err
	}
	v.CheckedAt = instant(row.CheckedAt)
	return v, nil
}

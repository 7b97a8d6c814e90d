package client

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// The own name is looked up when the engine connects and then about hourly.
const (
	ownCheckEvery  = time.Hour
	ownCheckJitter = 10 * time.Minute // less or more
	ownCheckRetry  = 10 * time.Minute // after a look that failed
)

// ownLabel is the row that says up to which version the own name was watched.
// Other look-ups of the own name move its own row on, and skip no version here.
// It is no name that an account can have.
const ownLabel account.Name = "~own"

// watchOwnName looks at what the log says of this account, when that is due.
// Only a fault of this machine is an error: what is wrong with the log becomes a
// notice with evidence, and mail goes on.
func (c *Client) watchOwnName(ctx context.Context) error {
	if err := c.watch.begin(ctx); err != nil {
		return err
	}
	defer c.watch.end()
	now := clock.Now()
	if now.Before(c.watch.due) && c.watch.due.Sub(now) <= ownCheckEvery+ownCheckJitter {
		return nil
	}
	c.watch.due = now.Add(ownCheckEvery + c.ownCheckSpread())
	err := c.lookAtOwnName(ctx)
	if errors.Is(err, ErrTransparency) {
		c.log.Warn("the transparency log does not agree with the server", "error", err)
		if failed, ok := errors.AsType[*LogError](err); ok && failed.Stopped {
			return nil // the user knows, and decides
		}
		return c.ownNameUnseen(ctx, now)
	}
	if err != nil && passing(remote(err)) || errors.Is(err, transport.ErrRefused) {
		return c.ownNameUnseen(ctx, now)
	}
	if _, answered := errors.AsType[*transport.Error](err); answered {
		return remote(err)
	}
	return err
}

// ownNameUnseen looks again soon after a look that did not come to its end, and
// tells the user once a day when there was none for a day: a server that keeps
// back what its log says of the own name must not do so unnoticed.
func (c *Client) ownNameUnseen(ctx context.Context, now time.Time) error {
	c.watch.due = now.Add(ownCheckRetry)
	return c.update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.LogName(ownLabel)
		if exists, err := found(err); err != nil || !exists || now.Sub(instant(row.CheckedAt)) <= kt.MaxAge || now.Sub(c.watch.told).Abs() < kt.MaxAge {
			return err
		}
		c.watch.told = now
		return notify(tx, "for more than a day this device could not check what the server's log says of your own name, and the server is in reach; run 'posthorn transparency status', and ask its operator")
	})
}

// ownCheckSpread spreads the look-ups of many devices: from minus to plus ten minutes.
func (c *Client) ownCheckSpread() time.Duration {
	var draw [2]byte
	c.entropy.Read(draw[:])
	part := time.Duration(int(draw[0])<<8 | int(draw[1]))
	return part*2*ownCheckJitter/(1<<16) - ownCheckJitter
}

// CheckOwnName looks at what the log says of this account now. Without a log
// the error is ErrNoLog; ErrTransparency says that something is there which this
// account did not make, or that the log cannot be believed.
func (c *Client) CheckOwnName(ctx context.Context) error {
	if err := c.watch.begin(ctx); err != nil {
		return err
	}
	defer c.watch.end()
	err := c.lookAtOwnName(ctx)
	if err == nil {
		if l, failed := c.ledger(ctx); failed != nil || l == nil {
			return errors.Join(failed, ErrNoLog)
		}
		return nil
	}
	return remote(err)
}

// lookAtOwnName verifies the own record and every version since the last look.
// The caller has the turn.
func (c *Client) lookAtOwnName(ctx context.Context) error {
	l, known, err := c.knows(ctx, ownLabel)
	if err != nil || l == nil {
		return err
	}
	served, err := c.server.ProvenByName(ctx, c.profile.Name, l.asked(known))
	if err != nil {
		return err
	}
	p, err := c.proves(ctx, l, c.profile.Name, served, known)
	if err != nil {
		return err
	}
	if err := c.ownRecord(ctx, l, served, known, p); err != nil {
		return err
	}
	return c.update(ctx, func(tx *localdb.Tx) error {
		watched := *p.name
		watched.Name = ownLabel
		return errors.Join(p.store(tx), tx.PutLogName(watched))
	})
}

// ownRecord checks that what the log holds of the own name is this account, with
// a roster that continues the one this device has, and that each version in
// between was a step of it.
func (c *Client) ownRecord(ctx context.Context, l *ledger, served transport.Record, known *kt.Label, p *proof) error {
	strange := func(what string) error { return c.disowned(ctx, l, served, known, what) }
	if p.name == nil || len(served.Statements) == 0 {
		return strange("the own name is not in the log")
	}
	roster, err := account.ReplayRoster(served.Statements)
	if err != nil || roster.ID() != c.profile.Account {
		return strange("the own name belongs to another account")
	}
	own, err := c.ownStatements(ctx)
	if err != nil {
		return err
	}
	for i := range min(len(served.Statements), len(own)) {
		if !bytes.Equal(served.Statements[i], own[i]) {
			return strange("the own roster was replaced")
		}
	}
	if known != nil && known.Version == p.name.Version {
		return nil
	}
	if uint64(p.name.Version) >= uint64(len(served.Statements)) {
		return strange("the log has more versions of the own name than its roster had states")
	}
	versions, err := c.ownHistory(ctx, p.name.Version)
	if err != nil {
		return err
	}
	records, shown := logged(versions, c.profile.Name, p.name)
	if !shown {
		return withheld()
	}
	if !statesOf(roster, records) {
		return strange("the versions of the own name are not those of its roster, in its order")
	}
	return nil
}

// withheld refuses a server that does not show what its log holds of the own
// name. That is no evidence: nothing wrong was seen, and a node may lag.
func withheld() error {
	return &LogError{Err: reject.New("V-194", ErrTransparency, "the server does not show every version of the own name as the log has it")}
}

// ownHistory fetches the versions of the own name up to one that was proved. A
// later one may be among what the server has by now, and is left for the next
// look.
func (c *Client) ownHistory(ctx context.Context, last uint32) (versions []transport.LogVersion, err error) {
	for len(versions) <= int(last) {
		page, err := c.server.LogHistory(ctx, uint32(len(versions)))
		if err != nil {
			return nil, err
		}
		if len(page) == 0 {
			return nil, withheld()
		}
		versions = append(versions, page...)
	}
	return versions[:last+1], nil
}

// ownStatements are those of the own roster as this device has it.
func (c *Client) ownStatements(ctx context.Context) (own [][]byte, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) error {
		row, err := tx.Profile()
		own = row.Statements
		return err
	})
	return own, err
}

// logged are the records of versions from the first on. false: they do not lead to
// what was proved, so they are not what the log has.
func logged(versions []transport.LogVersion, name account.Name, now *localdb.LogName) (records []kt.Record, ok bool) {
	value := kt.Value{}
	for i, v := range versions {
		record, err := kt.ParseRecord(v.Record)
		if err != nil || record.Name != name || len(v.Opening) != len(kt.Opening{}) || uint64(v.Version) != uint64(i) {
			return nil, false
		}
		value = kt.Chain(v.Version, value, kt.Commit(kt.Opening(v.Opening), v.Version, record))
		records = append(records, record)
	}
	return records, uint64(len(records)) == uint64(now.Version)+1 && value == now.Value
}

// statesOf reports whether each record is a state that the roster had, and later
// than the one before it: a list that comes back has devices on it that were
// removed.
func statesOf(roster *account.Roster, records []kt.Record) bool {
	heads := rosterHeads(roster)
	for i, r := range records {
		if r.Account != roster.ID() || r.Seq >= uint64(len(heads)) || r.Head != heads[r.Seq] || i > 0 && r.Seq <= records[i-1].Seq {
			return false
		}
	}
	return true
}

// rosterHeads are the hashes of a roster's statements, in order.
func rosterHeads(roster *account.Roster) (heads [][48]byte) {
	for _, raw := range roster.Statements() {
		s, err := account.ParseStatement(raw)
		if err != nil {
			return nil // a roster is made of statements that parse
		}
		heads = append(heads, s.Hash())
	}
	return heads
}

// disowned is the alarm over a record of the own name that this account did not
// make. The log itself proves that it holds the record.
func (c *Client) disowned(ctx context.Context, l *ledger, served transport.Record, known *kt.Label, what string) error {
	refused := reject.New("V-194", ErrTransparency, what)
	answer, err := kt.ParseAnswer(served.Proof)
	if err != nil {
		return &LogError{Err: refused}
	}
	record, err := recordIn(c.profile.Name, served, answer)
	if err != nil || record == nil {
		failed := &LogError{Err: refused}
		return errors.Join(failed, c.update(ctx, func(tx *localdb.Tx) error { return notify(tx, alarmText(failed)) }))
	}
	return c.lied(ctx, l, refused, &kt.Evidence{
		Kind: kt.KindRecord, Name: c.profile.Name, Record: record, Answer: answer,
		Known: kt.Known{Size: l.Size, Root: l.Root, Label: known},
	})
}

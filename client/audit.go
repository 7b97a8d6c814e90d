package client

import (
	"context"
	"errors"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/kt/witness"
)

// Audited is what an audit has gone through.
type Audited struct {
	Epochs, Updates uint64
	Names           int
	From            uint64   // epochs that an earlier audit went through already
	Cosigned        []byte   // the checkpoint that was reached, with the signatures that were asked for
	Cosigner        []string // the verifier keys of those, Ed25519 first
	View            LogView
}

// AuditLog makes every root of the log anew, from where the last audit ended, and
// compares them with what the log published, to a checkpoint that continues the
// one known here; heads that peers passed on are compared too. What it finds
// leaves a file of evidence. With the file of a witness, its keys then sign that
// checkpoint too. Errors: ErrNoLog, ErrTransparency, ErrOffline, and those of
// package witness.
func (c *Client) AuditLog(ctx context.Context, cosigner string) (Audited, error) {
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
	if err := c.catchUp(ctx, l); err != nil {
		return Audited{}, err
	}
	audit, err := c.lastAudit(ctx, l)
	if err != nil {
		return Audited{}, err
	}
	from := audit.Epochs()
	cp, err := c.replayLog(ctx, l, audit)
	if err != nil {
		return Audited{}, remote(err)
	}
	if err := c.settleAudit(ctx, l, audit, cp); err != nil {
		return Audited{}, remote(err)
	}
	done := Audited{
		Epochs: audit.Epochs(), Updates: audit.Updates(), Names: audit.Names(), From: from,
	}
	if cosigner != "" {
		if done.Cosigned, done.Cosigner, err = c.cosign(ctx, l, cp, cosigner); err != nil {
			return Audited{}, err
		}
	}
	done.View, err = c.Log(ctx)
	return done, err
}

// cosign has the keys in a file sign a checkpoint that was audited.
func (c *Client) cosign(ctx context.Context, l *ledger, cp *kt.Checkpoint, file string) (signed []byte, keys []string, err error) {
	release, err := witness.Lock(file)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	w, err := witness.Load(file, l.policy.LogKeys())
	if err != nil {
		return nil, nil, err
	}
	var steps [][32]byte
	if last := w.Last(l.policy.Origin()); 0 < last && last < cp.Size {
		if steps, err = c.server.LogConsistency(ctx, last, cp.Size); err != nil {
			return nil, nil, remote(err)
		}
	}
	signed, err = w.Cosign(cp.Note, steps)
	own := w.Keys()
	return signed, own[:], err
}

// lastAudit goes on from the last audit, or starts with the first entry. Whether
// that was this log shows in the end, when all roots have to lead to a checkpoint.
func (c *Client) lastAudit(ctx context.Context, l *ledger) (*kt.Audit, error) {
	var row localdb.Audit
	err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		row, err = tx.Audit()
		return err
	})
	if exists, err := found(err); err != nil || !exists {
		return kt.NewAudit(l.policy), err
	}
	audit, err := kt.ParseAudit(l.policy, row.State)
	if err != nil {
		return nil, errors.Join(localdb.ErrCorrupt, err)
	}
	return audit, nil
}

// replayLog feeds what follows to an audit, and gives the checkpoint over all.
func (c *Client) replayLog(ctx context.Context, l *ledger, audit *kt.Audit) (cp *kt.Checkpoint, err error) {
	for cp == nil || audit.Epochs() < cp.Size {
		before := audit.Epochs()
		epochs, over, err := c.server.LogUpdates(ctx, before)
		if err != nil {
			return nil, err
		}
		if cp, err = c.openedOver(ctx, l, over); err != nil {
			return nil, err
		}
		for _, e := range epochs {
			if audit.Epochs() == cp.Size {
				break
			}
			if err := audit.Epoch(e.Root, e.Updates); err != nil {
				return nil, c.refuted(ctx, l, audit, cp, err)
			}
		}
		if audit.Epochs() == before && before < cp.Size {
			return nil, &LogError{Err: reject.New("V-196", kt.ErrAudit, "the server does not give the entries of the log")}
		}
	}
	if audit.Epochs() > cp.Size {
		return nil, c.shorter(ctx, l, audit)
	}
	if audit.Standing().Number > l.policy.Standing().Number { // a policy came into force meanwhile
		if err := c.catchUp(ctx, l); err != nil {
			return nil, err
		}
		if cp, err = c.openedOver(ctx, l, cp.Note); err != nil {
			return nil, err
		}
	}
	if err := audit.Finish(cp); err != nil {
		return nil, c.refuted(ctx, l, audit, cp, err)
	}
	return cp, nil
}

// openedOver opens the checkpoint of a page. If the policy is not met, another one
// may have come into force after the last look.
func (c *Client) openedOver(ctx context.Context, l *ledger, over []byte) (*kt.Checkpoint, error) {
	cp, err := l.policy.Checkpoint(over)
	if errors.Is(err, kt.ErrWitness) {
		if err := c.catchUp(ctx, l); err != nil {
			return nil, err
		}
		cp, err = l.policy.Checkpoint(over)
	}
	if err != nil {
		return nil, &LogError{Err: err}
	}
	return cp, nil
}

// shorter asks once more for entries after a shorter log than the audited one,
// which a node that is behind may have given. Said twice, it leaves evidence.
func (c *Client) shorter(ctx context.Context, l *ledger, audit *kt.Audit) error {
	refused := reject.New("V-185", kt.ErrRollback, "the log is shorter than the one that was audited")
	_, over, err := c.server.LogUpdates(ctx, audit.Epochs())
	if err != nil {
		return err
	}
	cp, err := l.policy.Checkpoint(over)
	if err != nil || cp.Size >= audit.Epochs() {
		return &LogError{Err: errors.Join(refused, err)}
	}
	return c.rolledBack(ctx, l, refused, cp.Note)
}

// settleAudit compares what was audited with what is known otherwise, and stores
// it.
func (c *Client) settleAudit(ctx context.Context, l *ledger, audit *kt.Audit, cp *kt.Checkpoint) error {
	if cp.Size > l.Size {
		if err := c.catchUp(ctx, l); err != nil {
			return err
		}
	}
	if err := c.continues(ctx, l, cp); err != nil {
		return err
	}
	if err := c.compareAllHeard(ctx, l); err != nil {
		return err
	}
	row := localdb.Audit{State: audit.Marshal(), At: millis(clock.Now())}
	return c.update(ctx, func(tx *localdb.Tx) error { return tx.PutAudit(row) })
}

// continues checks that what was audited and what this device knows are one log.
func (c *Client) continues(ctx context.Context, l *ledger, audited *kt.Checkpoint) error {
	if audited.Size > l.Size { // a node that is behind gave the newest head
		if err := audited.Follows(l.Size, l.Root, c.steps(ctx, l, audited, nil)); err != nil {
			return &LogError{Err: err}
		}
		return nil
	}
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

// compareAllHeard compares what peers passed on, without the pause that their
// heads have otherwise: the user has asked.
func (c *Client) compareAllHeard(ctx context.Context, l *ledger) error {
	var heard []localdb.Heard
	err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		heard, err = tx.Heard()
		return err
	})
	if err != nil {
		return err
	}
	p := hearing{Client: c, log: l, asks: true}
	for _, h := range heard {
		if err := p.take(ctx, h); err != nil {
			return err
		}
		if l.Alarm != "" {
			return &LogError{Err: reject.New("V-186", kt.ErrFork, "a contact was shown another log"), Evidence: l.Alarm, Stopped: true}
		}
	}
	return nil
}

// refuted turns an epoch that an audit refused into evidence. The server is asked
// for the proof that the epoch is part of what it signed. Without it the file
// shows what the server gave.
func (c *Client) refuted(ctx context.Context, l *ledger, audit *kt.Audit, cp *kt.Checkpoint, refused error) error {
	step := audit.Refused()
	if step == nil {
		return &LogError{Err: refused}
	}
	var steps [][32]byte
	if next := step.Number() + 1; next < cp.Size {
		var err error
		if steps, err = c.server.LogConsistency(ctx, next, cp.Size); err != nil && !errors.Is(err, transport.ErrRefused) {
			return err
		}
	}
	e, err := kt.AuditEvidence(l.policy, step, cp.Note, steps)
	if e == nil {
		return &LogError{Err: errors.Join(refused, err)}
	}
	return c.lied(ctx, l, err, e)
}

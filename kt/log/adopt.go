package log

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// PublishAll is Publish for many records at once.
func (l *Log) PublishAll(ctx context.Context, list []kt.Record) error {
	var changes []*change
	for _, r := range list {
		changes = append(changes, l.enqueue(r))
	}
	for _, c := range changes {
		select {
		case <-c.done:
		case <-l.ended:
			return errors.Join(ErrClosed, l.Ready())
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrWaiting, ctx.Err())
		}
	}
	return nil
}

// Adopt brings what was there before the log into it, once: each calls its
// argument for every record. What is in the log already costs a look.
func (l *Log) Adopt(ctx context.Context, each func(add func(kt.Record) error) error) error {
	done, err := has(ctx, l.o.Records, adoptedKey)
	if err != nil || done {
		return err
	}
	var waiting []kt.Record
	flush := func() error {
		err := l.PublishAll(ctx, waiting)
		waiting = waiting[:0]
		return err
	}
	err = each(func(r kt.Record) error {
		if waiting = append(waiting, r); len(waiting) < maxBatch {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	_, err = l.o.Records.CAS(ctx, adoptedKey, 0, nil)
	if errors.Is(err, store.ErrVersion) {
		return nil
	}
	return err
}

// Forget logs that the account of a name was deleted, and destroys what opens
// its commitments: the log keeps hashes that nobody can tell anything from. The
// last version remains readable, so that everybody can be shown that the account
// is gone. Calling it again finishes what was interrupted.
func (l *Log) Forget(ctx context.Context, name account.Name, id account.ID) error {
	last := kt.Record{Name: name, Account: id, Seq: DeletedSeq}
	if err := l.Publish(ctx, last); err != nil {
		return err
	}
	for {
		label, version, err := readLabel(ctx, l.o.Records, name)
		if err != nil {
			return err
		}
		var kept labelRecord
		for _, v := range label {
			if v.record != last {
				v.opening, v.record = kt.Opening{}, kt.Record{}
			}
			kept = append(kept, v)
		}
		_, err = l.o.Records.CAS(ctx, labelKey(name), version, kept.marshal())
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
	}
}

// History returns logged versions of a name with what opens them, from one
// version on, at most max. Of a deleted account only the last is told.
func (l *Log) History(ctx context.Context, name account.Name, from uint32, most int) (list []Version, err error) {
	// Another node may have proved a version that this one has not seen.
	s, err := l.reach(ctx, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	label, _, err := readLabel(ctx, l.o.Records, name)
	if err != nil {
		return nil, err
	}
	index, _ := l.vrf.prove(name)
	value, present := s.m.Get(index)
	if !present {
		return nil, nil
	}
	versions, _ := label.since(from, value)
	for _, v := range versions {
		if v.version >= from && v.opening != (kt.Opening{}) && len(list) < most {
			list = append(list, Version{v.version, v.record, v.opening})
		}
	}
	return list, nil
}

// Version is one logged record of a name.
type Version struct {
	Version uint32
	Record  kt.Record
	Opening kt.Opening
}

// Head is the newest published checkpoint with what it takes to judge it.
type Head struct {
	Size        uint64
	Checkpoint  []byte
	Consistency [][32]byte // from the size that was asked for
	Config      kt.Config
	Inclusion   [][32]byte // of the config, entry 0 of R
	Policy      []byte     // that the log began with
	Root        kt.Root    // the newest entry of R
	Last        [][32]byte // inclusion of it
}

// Head gives the newest published checkpoint to somebody who knows a size.
func (l *Log) Head(ctx context.Context, known uint64) (*Head, error) {
	s, err := l.reach(ctx, known)
	if err != nil {
		return nil, err
	}
	proof, err := s.since(ctx, known)
	if err != nil {
		return nil, err
	}
	return &Head{s.size, s.checkpoint, proof, l.policy.Config(), s.first, l.policy.Text(), s.last, s.inclusion}, nil
}

// Consistency proves that one published size continues another; nil without an
// error when there is no such size.
func (l *Log) Consistency(ctx context.Context, from, to uint64) ([][32]byte, error) {
	s, err := l.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	if from == 0 || from >= to || to > s.size {
		return nil, nil
	}
	if to == s.size {
		return s.since(ctx, from)
	}
	list, err := l.tiles.consistency(ctx, from, to)
	return hashes(list), err
}

// Epoch is one entry of R with what it adds to U.
type Epoch struct {
	Entry   []byte
	Updates []kt.Update
}

// maxEpochs and maxUpdates bound one page of Epochs.
const (
	maxEpochs  = 1000
	maxUpdates = 8000
	// pageOfEpochs are read at a time: 4 MiB if each is as large as can be.
	pageOfEpochs = 16
)

// Epochs returns published epochs in order from one on, and the checkpoint that
// they are under.
func (l *Log) Epochs(ctx context.Context, from uint64) (list []Epoch, checkpoint []byte, err error) {
	s, err := l.reach(ctx, from)
	if err != nil {
		return nil, nil, err
	}
	if from >= s.size {
		return nil, s.checkpoint, nil
	}
	updates := 0
	err = eachEpochBy(ctx, l.o.Records, from, pageOfEpochs, func(e epochRecord) error {
		if from+uint64(len(list)) == s.size || len(list) == maxEpochs || updates > maxUpdates {
			return errEnough
		}
		list, updates = append(list, Epoch{e.entry, e.updates}), updates+len(e.updates)
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return list, s.checkpoint, err
}

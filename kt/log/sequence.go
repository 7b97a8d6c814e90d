package log

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// retryAfter is the pause after a step that failed.
const retryAfter = time.Second

// run reads the log and then keeps it, until ctx ends.
func (l *Log) run(ctx context.Context) {
	defer close(l.ended)
	for l.ledger == nil {
		if err := l.read(ctx); err == nil {
			break
		} else if ctx.Err() == nil {
			l.fail(err)
		}
		if !l.pause(ctx, retryAfter) {
			return
		}
	}
	for ctx.Err() == nil {
		if err := l.turn(ctx); err != nil && ctx.Err() == nil {
			l.fail(err)
			l.pause(ctx, retryAfter)
			continue
		}
		l.failure.Store(nil)
	}
}

// fail notes why the log stands still, and says so once.
func (l *Log) fail(err error) {
	if before := l.failure.Swap(&err); before == nil || (*before).Error() != err.Error() {
		l.o.Logger.Error("the transparency log stands still", "error", err)
	}
}

func (l *Log) pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// read rebuilds everything from the store, brings the tiles up to it, and serves
// what was published last. What was logged since is published later.
func (l *Log) read(ctx context.Context) error {
	h, err := readHead(ctx, l.o.Records)
	if err != nil {
		return err
	}
	g, err := replay(ctx, l.o.Records, l.policy, h.size)
	if err != nil {
		return err
	}
	l.behind = []state{g.state()}
	err = g.follow(ctx, l.o.Records, func(epochRecord) error {
		l.behind = append(l.behind, g.state())
		return nil
	})
	if err == nil {
		err = l.writePublic(g)
	}
	if err == nil {
		err = l.tiles.catchUp(ctx, l.o.Records, g)
	}
	if err != nil {
		return err
	}
	if g.size < 2 { // a log begins with the root of nothing
		err := l.commit(ctx, g, nil)
		if errors.Is(err, store.ErrVersion) {
			return l.read(ctx)
		}
		if err != nil {
			return err
		}
	}
	if h.size > 0 {
		if err := l.serve(ctx, h); err != nil {
			return err
		}
	}
	l.ledger = g
	if h.size < g.size {
		if err := l.signAgain(ctx); err != nil {
			return err
		}
		return l.publish(ctx)
	}
	return nil
}

// turn waits for something to do, and does it.
func (l *Log) turn(ctx context.Context) error {
	if err := l.mend(ctx); err != nil {
		return err
	}
	poll := time.NewTimer(pollEvery)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-poll.C:
		return l.look(ctx)
	case answer := <-l.ask:
		return l.lookFor(ctx, answer)
	case o := <-l.orders:
		o.answer <- l.change(ctx, o)
		return nil
	case <-l.wake:
	}
	if rest := l.o.Interval - time.Since(l.lastRun); rest > 0 && !l.pause(ctx, rest) {
		return nil
	}
	l.lastRun = time.Now()
	return l.log(ctx, l.batch())
}

// look takes over what other nodes have added and published, and the newest
// signatures under what is published already.
func (l *Log) look(ctx context.Context) error {
	if l.o.Shared {
		if err := l.follow(ctx); err != nil {
			return err
		}
	}
	if err := l.sameUpdates(ctx); err != nil {
		return err
	}
	return l.adopt(ctx)
}

// lookFor is look for somebody who knows more than this node: it asks the store
// however short the last time is ago.
func (l *Log) lookFor(ctx context.Context, answer chan<- error) error {
	l.asked = time.Time{}
	err := l.look(ctx)
	answer <- err
	return err
}

// follow takes over epochs of other nodes.
func (l *Log) follow(ctx context.Context) error {
	g := l.ledger
	return g.follow(ctx, l.o.Records, func(e epochRecord) error {
		return l.followed(ctx, g, e)
	})
}

// log brings changes into the log and publishes them. On an error they wait on.
func (l *Log) log(ctx context.Context, changes []*change) error {
	err := l.enter(ctx, changes)
	if err == nil {
		err = l.publish(ctx)
	}
	if err == nil {
		for _, c := range changes {
			close(c.done)
		}
		l.again()
		return nil
	}
	l.mu.Lock()
	for _, c := range changes {
		if later := l.waiting[c.record.Name]; later == nil {
			l.waiting[c.record.Name] = c
		} else if c.record.Seq > later.record.Seq {
			later.record = c.record
		}
	}
	l.mu.Unlock()
	l.again()
	return err
}

// again wakes the next turn if something waits.
func (l *Log) again() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// enter writes the next epoch with what is new of the changes. When another node
// was faster, it is taken over first.
func (l *Log) enter(ctx context.Context, changes []*change) error {
	for {
		updates, err := l.updates(ctx, changes)
		if err != nil || len(updates) == 0 {
			return err
		}
		err = l.commit(ctx, l.ledger, updates)
		if !errors.Is(err, store.ErrVersion) {
			return err
		}
		if err := l.follow(ctx); err != nil {
			return err
		}
	}
}

// updates prepares one update for each record that the log has not yet. What
// opens it is stored before anything of it can be published.
func (l *Log) updates(ctx context.Context, changes []*change) (list []kt.Update, err error) {
	for _, c := range changes {
		index, _ := l.vrf.prove(c.record.Name)
		v, err := l.prepare(ctx, index, c.record)
		if err != nil {
			return nil, err
		}
		if v != nil {
			list = append(list, kt.Update{Index: index, Version: v.version, Commitment: v.commitment})
		}
	}
	return list, nil
}

// prepare stores the next version of a name; nil when the log has the record.
func (l *Log) prepare(ctx context.Context, index kt.Index, r kt.Record) (*versionRecord, error) {
	for {
		label, version, err := readLabel(ctx, l.o.Records, r.Name)
		if err != nil {
			return nil, err
		}
		v, last, err := following(label, l.ledger.m, index, r)
		if v == nil || err != nil {
			return nil, err
		}
		if pending := label.pending(*v); pending != nil {
			return pending, nil
		}
		_, err = l.o.Records.CAS(ctx, labelKey(r.Name), version, append(label.without(last), *v).marshal())
		if err == nil {
			return v, nil
		}
		if !errors.Is(err, store.ErrVersion) {
			return nil, err
		}
	}
}

// following is the version that follows the newest one in a map; nil when that
// one has the record already. last is the newest one.
func following(label labelRecord, m *kt.Map, index kt.Index, r kt.Record) (next, last *versionRecord, err error) {
	v := versionRecord{record: r}
	if value, present := m.Get(index); present {
		if last = label.ending(value); last == nil {
			return nil, nil, ErrRecord
		}
		if last.covers(r) {
			return nil, last, nil
		}
		v.version, v.before = last.version+1, value
	}
	_, _ = rand.Read(v.opening[:])
	v.commitment = kt.Commit(v.opening, v.version, r)
	return &v, last, nil
}

// pending is an earlier attempt at the same version with the same record.
func (l labelRecord) pending(v versionRecord) *versionRecord {
	for i, p := range l {
		if p.version == v.version && p.before == v.before && p.record == v.record && p.opening != (kt.Opening{}) {
			return &l[i]
		}
	}
	return nil
}

func readLabel(ctx context.Context, records Records, name account.Name) (l labelRecord, version uint64, err error) {
	value, version, err := records.Get(ctx, labelKey(name))
	if errors.Is(err, store.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	l, err = parseLabel(name, value)
	return l, version, err
}

// commit writes an epoch: the moment from which it is part of the log. Then the
// ledger and the tiles follow. store.ErrVersion: another node was faster.
func (l *Log) commit(ctx context.Context, g *ledger, updates []kt.Update) error {
	e, err := g.next(updates, uint64(l.o.Now().UnixMilli()))
	if err != nil {
		return err
	}
	return l.write(ctx, g, e)
}

// write is commit for an epoch as it is.
func (l *Log) write(ctx context.Context, g *ledger, e epochRecord) error {
	_, err := l.o.Records.CAS(ctx, epochKey(g.size), 0, e.marshal())
	if err != nil && !errors.Is(err, store.ErrVersion) {
		// Whether it is written is not known. What the store says decides.
		return l.settle(ctx, g, e, err)
	}
	if err != nil {
		return err
	}
	return l.take(ctx, g, e)
}

// settle finds out whether an epoch was written although the store failed.
func (l *Log) settle(ctx context.Context, g *ledger, e epochRecord, failed error) error {
	written, err := has(ctx, l.o.Records, epochKey(g.size))
	if err != nil {
		return errors.Join(failed, err)
	}
	if written {
		return store.ErrVersion // whichever it is, it is taken over from the store
	}
	return failed
}

// take lets ledger and tiles follow an epoch that is written.
func (l *Log) take(ctx context.Context, g *ledger, e epochRecord) error {
	if err := g.apply(e); err != nil {
		return err
	}
	return l.followed(ctx, g, e)
}

// followed lets the files follow an epoch that the ledger has taken. What is
// public of a policy is written before anything is signed that names it.
func (l *Log) followed(ctx context.Context, g *ledger, e epochRecord) error {
	l.behind = append(l.behind, g.state())
	if len(e.policy) > 0 {
		if err := l.writePublic(g); err != nil {
			l.torn = true
			return err
		}
	}
	return l.tile(ctx, g, e)
}

// tile lets the tiles follow an epoch that the ledger has taken. If they cannot,
// the next turn begins with what they lack.
func (l *Log) tile(ctx context.Context, g *ledger, e epochRecord) error {
	err := l.tiles.follow(ctx, e, g.size, g.updates.End())
	l.torn = l.torn || err != nil
	if errors.Is(err, ErrAhead) {
		l.spoiled = err
	}
	return err
}

// mend brings tiles that could not follow up to the ledger. Tiles in which an
// entry stands at another place are beyond that.
func (l *Log) mend(ctx context.Context) error {
	if !l.torn || l.spoiled != nil {
		return l.spoiled
	}
	if err := l.writePublic(l.ledger); err != nil {
		return err
	}
	if err := l.tiles.catchUp(ctx, l.o.Records, l.ledger); err != nil {
		return err
	}
	l.torn = false
	return nil
}

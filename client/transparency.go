package client

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// watch is what the engine keeps of the log in memory. One question about the
// log is asked at a time: two answers that each continue what was known need not
// continue each other.
type watch struct {
	turn  chan struct{}
	noLog time.Time // when the server last said that it keeps none; guarded by turn
	due   time.Time // of the next look at the own name; guarded by turn
	told  time.Time // when the user was told that such looks fail; guarded by turn

	policy     atomic.Pointer[kt.Policy] // as last read
	checkpoint *kt.Checkpoint            // as last verified; guarded by turn
}

func newWatch() *watch { return &watch{turn: make(chan struct{}, 1)} }

// begin waits for this caller's turn. The caller ends it.
func (w *watch) begin(ctx context.Context) error {
	select {
	case w.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *watch) end() { <-w.turn }

// ledger is the stored state of the log, with its policy read.
type ledger struct {
	localdb.Log
	policy *kt.Policy
	fresh  *kt.Policy // the same, if it followed the stored one just now
}

// proof is what a look-up has proved. Nil when the server keeps no log.
type proof struct {
	log    localdb.Log
	policy *kt.Policy        // that the log is under, if it followed another one just now
	name   *localdb.LogName  // nil: nobody has the name
	place  localdb.LogPlace  // of the name, if there is one
	handed []localdb.LogName // what another device of the account has verified
	seen   *kt.Evidence      // what was verified, should the roster turn out to be another than the known one
}

// store writes the proof. The caller has the turn.
func (p *proof) store(tx *localdb.Tx) error {
	if p == nil {
		return nil
	}
	// A peer's head may have raised the alarm meanwhile.
	if stored, err := tx.Log(); err == nil {
		p.log.Alarm, p.log.AskedAt = stored.Alarm, stored.AskedAt
	}
	if err := tx.PutLog(p.log); err != nil {
		return err
	}
	if p.policy != nil {
		if err := notifyPolicy(tx, p.policy); err != nil {
			return err
		}
	}
	for _, n := range p.handed {
		if err := tx.PutLogName(n); err != nil {
			return err
		}
	}
	if p.name == nil {
		return nil
	}
	return errors.Join(tx.PutLogName(*p.name), tx.PutLogPlace(p.place))
}

// ledger reads what is known of the log. Nil: nothing, so far.
func (q *inquirer) ledger(ctx context.Context) (l *ledger, err error) {
	var row localdb.Log
	err = q.view(ctx, func(tx *localdb.Tx) (err error) {
		row, err = tx.Log()
		return err
	})
	if exists, err := found(err); err != nil || !exists {
		return nil, err
	}
	policy := q.watch.policy.Load()
	if policy == nil || !bytes.Equal(policy.Marshal(), row.Policy) {
		if policy, err = kt.ParsePolicy(row.Policy); err != nil {
			return nil, errors.Join(localdb.ErrCorrupt, err)
		}
		q.watch.policy.Store(policy)
	}
	return &ledger{Log: row, policy: policy}, nil
}

// label is how far a name is known, for the check and for the question.
func (q *inquirer) label(ctx context.Context, name account.Name) (known *kt.Label, err error) {
	var row localdb.LogName
	err = q.view(ctx, func(tx *localdb.Tx) (err error) {
		row, err = tx.LogName(name)
		return err
	})
	if exists, err := found(err); err != nil || !exists {
		return nil, err
	}
	return &kt.Label{Version: row.Version, Value: row.Value}, nil
}

// provenByName asks for a name, and checks the answer against the log before
// anybody looks at it. transport.ErrNotFound says that nobody has the name,
// proven if the server keeps a log. Errors: ErrTransparency, and the transport's.
func (q *inquirer) provenByName(ctx context.Context, name account.Name) (transport.Record, *proof, error) {
	if err := q.watch.begin(ctx); err != nil {
		return transport.Record{}, nil, err
	}
	defer q.watch.end()
	return q.stored(ctx)(q.askedByName(ctx, name))
}

// stored keeps what a look-up has proved while the caller still has the turn:
// the next question is about what continues it. A roster is stored later, or
// refused for other reasons; it is served and proved as a whole each time.
func (q *inquirer) stored(ctx context.Context) func(transport.Record, *proof, error) (transport.Record, *proof, error) {
	return func(record transport.Record, p *proof, err error) (transport.Record, *proof, error) {
		if err == nil && p != nil {
			err = q.update(ctx, p.store)
		}
		return record, p, err
	}
}

// askedByName is provenByName for who has the turn.
func (q *inquirer) askedByName(ctx context.Context, name account.Name) (transport.Record, *proof, error) {
	l, known, err := q.knows(ctx, name)
	if err != nil {
		return transport.Record{}, nil, err
	}
	if l == nil {
		record, err := q.server.AccountByName(ctx, name)
		return record, nil, err
	}
	return q.asks(ctx, l, name, known)
}

// knows is the log, opened if need be, and what is known in it of a name. A nil
// ledger: the server keeps none.
func (q *inquirer) knows(ctx context.Context, name account.Name) (*ledger, *kt.Label, error) {
	l, err := q.openLog(ctx)
	if err != nil || l == nil {
		return nil, nil, err
	}
	known, err := q.label(ctx, name)
	return l, known, err
}

// asks is askedByName for a log and a history of the name that are known.
func (q *inquirer) asks(ctx context.Context, l *ledger, name account.Name, known *kt.Label) (transport.Record, *proof, error) {
	record, err := q.server.ProvenByName(ctx, name, l.asked(known))
	if err != nil {
		return transport.Record{}, nil, err
	}
	p, err := q.proves(ctx, l, name, record, known)
	if err == nil && len(record.Statements) == 0 {
		err = errors.Join(transport.ErrNotFound, q.update(ctx, p.store))
	}
	return record, p, err
}

// provenByID is provenByName for an account of which the name may be unknown.
func (q *inquirer) provenByID(ctx context.Context, id account.ID, name account.Name) (transport.Record, *proof, error) {
	if err := q.watch.begin(ctx); err != nil {
		return transport.Record{}, nil, err
	}
	defer q.watch.end()
	l, err := q.openLog(ctx)
	if err != nil {
		return transport.Record{}, nil, err
	}
	if l == nil {
		record, err := q.server.AccountByID(ctx, id)
		return record, nil, err
	}
	if name == "" {
		// The account proves nothing by itself; who has it says which name to ask for.
		record, err := q.server.AccountByID(ctx, id)
		if err != nil {
			return transport.Record{}, nil, err
		}
		if name, err = account.ParseName(record.Name); err != nil {
			return transport.Record{}, nil, reject.New("V-101", ErrRoster, "not a name")
		}
	}
	return q.stored(ctx)(q.askedByName(ctx, name))
}

// asked is what the question says about the asker.
func (l *ledger) asked(label *kt.Label) *transport.Known {
	k := &transport.Known{Size: l.Size}
	if label != nil {
		k.Version = &label.Version
	}
	return k
}

// proves checks the proof of an answer. On a refusal a file of evidence is
// written, and the error is a *LogError.
func (q *inquirer) proves(ctx context.Context, l *ledger, name account.Name, served transport.Record, known *kt.Label) (*proof, error) {
	if len(served.Proof) == 0 {
		return nil, &LogError{Err: reject.New("V-195", ErrTransparency, "the server gave no proof")}
	}
	answer, err := kt.ParseAnswer(served.Proof)
	if err != nil {
		return nil, &LogError{Err: err}
	}
	record, err := recordIn(name, served, answer)
	if err != nil {
		return nil, err
	}
	if l, err = q.followed(ctx, l, answer.Checkpoint, answer.Root); err != nil {
		return nil, err
	}
	now := clock.Now()
	before := kt.Known{Size: l.Size, Root: l.Root, Label: known, Checkpoint: q.watch.checkpoint}
	if before.Place, err = q.place(ctx, name); err != nil {
		return nil, err
	}
	v, err := l.policy.Verify(answer, name, record, before, now)
	if errors.Is(err, kt.ErrFork) {
		if cp, bad := l.policy.Checkpoint(answer.Checkpoint); bad == nil {
			answer.Consistency = q.steps(ctx, l, cp, answer.Consistency)
			v, err = l.policy.Verify(answer, name, record, before, now)
		}
	}
	before = before.Bare()
	if err != nil {
		return nil, q.lied(ctx, l, err, &kt.Evidence{Name: name, Record: record, Known: before, Answer: answer})
	}
	q.watch.checkpoint = v.Checkpoint
	p := l.after(v, name, now)
	p.seen = &kt.Evidence{At: millis(now), Policy: l.policy, Name: name, Record: record, Known: before, Answer: answer}
	return p, nil
}

// place is where a name was found in the map before, and by which proof; nil: it
// was not looked up.
func (q *inquirer) place(ctx context.Context, name account.Name) (*kt.Place, error) {
	var row localdb.LogPlace
	err := q.view(ctx, func(tx *localdb.Tx) (err error) {
		row, err = tx.LogPlace(name)
		return err
	})
	if exists, err := found(err); err != nil || !exists {
		return nil, err
	}
	return &kt.Place{Name: name, VRF: row.VRF, Proof: row.Proof, Index: row.Index}, nil
}

// steps leads from the known log to a checkpoint: what was given, or if that does
// not, what the server gives when it is asked once more. A proof that was damaged
// on its way is no fork, and a fork has none.
func (q *inquirer) steps(ctx context.Context, l *ledger, cp *kt.Checkpoint, given [][32]byte) [][32]byte {
	if cp.Size <= l.Size || cp.Follows(l.Size, l.Root, given) == nil {
		return given
	}
	again, err := q.server.LogConsistency(ctx, l.Size, cp.Size)
	if err != nil || cp.Follows(l.Size, l.Root, again) != nil {
		return given
	}
	return again
}

// recordIn is what the log must hold if the answer is true.
func recordIn(name account.Name, served transport.Record, answer *kt.Answer) (*kt.Record, error) {
	if len(served.Statements) == 0 {
		if answer.Present == nil {
			return nil, nil
		}
		id, err := accountOf(served)
		return &kt.Record{Name: name, Account: id, Seq: kt.DeletedSeq}, err
	}
	roster, err := account.ReplayRoster(served.Statements)
	if err != nil {
		return nil, reject.New("V-101", ErrRoster, "the statements do not follow from each other")
	}
	record := kt.RecordOf(name, roster)
	return &record, nil
}

func accountOf(served transport.Record) (id account.ID, err error) {
	if len(served.Account) != len(id) {
		return id, reject.New("V-101", ErrRoster, "not an account id")
	}
	return account.ID(served.Account), nil
}

// after is what is known once an answer has been verified.
func (l *ledger) after(v *kt.Verified, name account.Name, now time.Time) *proof {
	p := &proof{log: l.advanced(v.Checkpoint, now), policy: l.fresh}
	if v.Label != nil {
		p.name = &localdb.LogName{Name: name, Version: v.Label.Version, Value: v.Label.Value, CheckedAt: millis(now)}
		p.place = localdb.LogPlace{Name: name, VRF: v.Place.VRF, Proof: v.Place.Proof, Index: v.Place.Index}
	}
	return p
}

func (l *ledger) advanced(cp *kt.Checkpoint, now time.Time) localdb.Log {
	row := l.Log
	row.Size, row.Root, row.Note, row.Witnesses = cp.Size, cp.Root, cp.Note, cp.Witnesses
	row.SignedAt, row.CheckedAt = millis(cp.Newest), millis(now)
	return row
}

// retryNoLog is how long the server's word that it keeps no log is taken.
const retryNoLog = 10 * time.Minute

// openLog gives the known log, or makes first contact with it. Nil: the server
// keeps none, and never said that it does. After an alarm the error is a
// *LogError. The caller has the turn.
func (q *inquirer) openLog(ctx context.Context) (*ledger, error) {
	l, err := q.ledger(ctx)
	if err != nil {
		return nil, err
	}
	if l != nil && l.Alarm != "" {
		return nil, &LogError{Err: reject.New("V-186", kt.ErrFork, "found earlier"), Evidence: l.Alarm, Stopped: true}
	}
	if l != nil || clock.Now().Sub(q.watch.noLog).Abs() < retryNoLog {
		return l, nil
	}
	head, err := q.server.LogHead(ctx, 0)
	if errors.Is(err, transport.ErrNoLog) {
		q.watch.noLog = clock.Now()
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	l, err = q.firstContact(ctx, head, clock.Now())
	if err != nil {
		return nil, err
	}
	q.watch.policy.Store(l.policy)
	return l, q.update(ctx, func(tx *localdb.Tx) error { return tx.PutLog(l.Log) })
}

// firstContact takes the server's word for whom to rely on, once: the config is
// the first entry of the log that everybody shares, and binds the policy. Those
// that followed it have to be proved.
func (q *inquirer) firstContact(ctx context.Context, head transport.LogHead, now time.Time) (*ledger, error) {
	policy, err := policyOf(head)
	if err != nil {
		return nil, &LogError{Err: err}
	}
	root, err := kt.ParseRoot(head.Root)
	if err != nil {
		return nil, &LogError{Err: err}
	}
	l, err := q.followed(ctx, &ledger{Log: localdb.Log{Policy: policy.Marshal()}, policy: policy}, head.Checkpoint, root)
	if err != nil {
		return nil, err
	}
	cp, err := l.opens(head, root, now)
	if err == nil {
		err = cp.Includes(head.Config, 0, head.ConfigInclusion)
	}
	if err != nil {
		return nil, &LogError{Err: err}
	}
	l.Log = l.advanced(cp, now)
	return l, nil
}

// opens checks the newest checkpoint but for what was known before: its
// signatures, its age, and that its last root names the policy that it met.
func (l *ledger) opens(head transport.LogHead, root kt.Root, now time.Time) (*kt.Checkpoint, error) {
	cp, err := l.policy.Checkpoint(head.Checkpoint)
	if err == nil {
		err = cp.Fresh(now)
	}
	if err == nil {
		err = cp.Ends(root, head.RootInclusion)
	}
	return cp, err
}

// policyOf is the policy that a server shows; nothing vouches for it yet.
func policyOf(head transport.LogHead) (*kt.Policy, error) {
	config, err := kt.ParseConfig(head.Config)
	if err != nil {
		return nil, err
	}
	return kt.NewPolicy([]byte(head.Policy), config)
}

package log

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store"
)

// Defaults that an operator rarely changes.
const (
	// DefaultInterval is the shortest time between two epochs.
	DefaultInterval = time.Second
	// Heartbeat is how often the log signs anew when nothing has changed, so that
	// devices can tell a quiet log from one that is withheld.
	Heartbeat = 10 * time.Minute
	// pollEvery is how often nodes look for what others have added.
	pollEvery = time.Second
	// lookEvery is how often a checkpoint is looked for while one is awaited.
	lookEvery = 10 * time.Millisecond
)

var (
	// ErrStarting: the map is being rebuilt; proofs are given in a moment.
	ErrStarting = errors.New("log: the transparency log is being read")
	// ErrPolicy: the witness policy cannot be used.
	ErrPolicy = errors.New("log: the policy of the transparency log cannot be used")
	// ErrPlatform: Tessera's tiles need a POSIX file system.
	ErrPlatform = errors.New("log: the transparency log needs a POSIX system, such as Linux; nothing was started")
	// ErrClosed: the log has been closed.
	ErrClosed = errors.New("log: closed")
	// ErrWaiting: the record is in the log and no checkpoint over it is published.
	ErrWaiting = errors.New("log: not published yet")
)

// Options are what a log needs.
type Options struct {
	Folder     string        // for tiles
	KeysFolder string        // for the keys of a single server
	Records    Records       // where the truth is
	Shared     bool          // other nodes have the same records
	Witnesses  []byte        // tlog-policy with witnesses and a quorum; empty: none are asked
	Interval   time.Duration // between two epochs; 0: DefaultInterval
	Heartbeat  time.Duration // between two signatures while nothing changes; 0: Heartbeat
	Now        func() time.Time
	Logger     *slog.Logger
	// Failed is called for each attempt at a witness that brought no signature;
	// nil: by nobody.
	Failed func()
}

// Log is the log of one server. Make it with Open; its methods may be called
// from many goroutines.
type Log struct {
	o       Options
	keys    storedKeys
	vrf     *vrfCache
	policy  *kt.Policy // that the log began with
	tiles   *tiles
	pacer   *pacer
	served  atomic.Pointer[snapshot]
	failure atomic.Pointer[error] // why the log does not go on

	mu      sync.Mutex
	waiting map[account.Name]*change // to be logged
	wake    chan struct{}

	// Of the goroutine of run alone:
	ledger  *ledger
	behind  []state   // after epochs that are not published yet, oldest first
	torn    bool      // the tiles lack something of the ledger
	spoiled error     // they hold what the ledger does not
	seen    string    // the last checkpoint of U that was looked at
	offered string    // the last checkpoint of Tessera that was looked at
	asked   time.Time // when the published head was last read
	lastRun time.Time

	end    context.CancelFunc
	ended  chan struct{}
	opened chan struct{}   // closed when proofs are given
	ask    chan chan error // to look for what other nodes have published
	orders chan order      // of new policies
}

// change is a record on its way into the log.
type change struct {
	record kt.Record
	done   chan struct{} // closed when it, or a newer one, is published
}

// Open opens the log in a folder and a store, or begins one. Reading it goes on
// after Open has returned; until then Answer gives ErrStarting and Publish waits.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Heartbeat == 0 {
		o.Heartbeat = Heartbeat
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	keys, err := loadKeys(ctx, o.KeysFolder, o.Records, o.Shared)
	if err != nil {
		return nil, err
	}
	vrf, err := kt.NewVRFKey([32]byte(keys.VRF))
	if err != nil {
		return nil, err
	}
	l := &Log{
		o: o, keys: keys, vrf: newVRFCache(vrf), pacer: newPacer(o.Failed), waiting: map[account.Name]*change{}, wake: make(chan struct{}, 1),
		ended: make(chan struct{}), opened: make(chan struct{}), ask: make(chan chan error), orders: make(chan order),
	}
	if err := l.begin(ctx, vrf); err != nil {
		return nil, err
	}
	if err := l.openTiles(ctx); err != nil {
		return nil, err
	}
	background, end := context.WithCancel(context.Background())
	l.end = end
	go l.run(background)
	return l, nil
}

// openTiles opens the folder, and refuses one that goes beyond the store.
func (l *Log) openTiles(ctx context.Context) (err error) {
	o := treeOptions{policy: l.o.Witnesses, client: l.pacer.client(), republish: l.o.Heartbeat, now: l.o.Now}
	if l.tiles, err = openTiles(ctx, l.o.Folder, l.keys, o); err != nil {
		return err
	}
	size, err := l.tiles.roots.size(ctx)
	known := true
	if err == nil && size > 0 {
		known, err = has(ctx, l.o.Records, epochKey(size-1))
	}
	if err == nil && !known {
		err = ErrAhead
	}
	if err != nil {
		return errors.Join(err, l.tiles.close(ctx))
	}
	return nil
}

// begin writes the first entry of R, if there is none, and reads what it says.
func (l *Log) begin(ctx context.Context, vrf *kt.VRFKey) error {
	text := l.policyText(l.o.Witnesses)
	config := kt.Config{Counter: l.keys.Counter, VRF: vrf.Public(), Policy: sha256.Sum256(text)}
	first, err := l.first(ctx, config, text)
	if err != nil {
		return err
	}
	if first.config.VRF != config.VRF {
		return errors.New("log: the store holds a transparency log with other keys than these; nothing was started")
	}
	if l.policy, err = kt.NewPolicy(first.policy, first.config); err != nil {
		return errors.Join(ErrPolicy, err)
	}
	return nil
}

// firstEntry is the first entry of R and the policy that it names.
type firstEntry struct {
	config kt.Config
	policy []byte
}

// first reads the first entry of R, or writes it.
func (l *Log) first(ctx context.Context, config kt.Config, text []byte) (f firstEntry, err error) {
	_, err = l.o.Records.CAS(ctx, policyKey, 0, text)
	if err != nil && !errors.Is(err, store.ErrVersion) {
		return f, err
	}
	if f.policy, _, err = l.o.Records.Get(ctx, policyKey); err != nil {
		return f, err
	}
	config.Policy = sha256.Sum256(f.policy)
	_, err = l.o.Records.CAS(ctx, epochKey(0), 0, epochRecord{entry: config.Marshal()}.marshal())
	if err != nil && !errors.Is(err, store.ErrVersion) {
		return f, err
	}
	raw, _, err := l.o.Records.Get(ctx, epochKey(0))
	if err != nil {
		return f, err
	}
	e, err := parseEpoch(raw)
	if err != nil {
		return f, err
	}
	f.config, err = kt.ParseConfig(e.entry)
	return f, err
}

// policyText is a policy of this log: its own keys, and the witnesses of the
// operator.
func (l *Log) policyText(witnesses []byte) []byte {
	text, plain := "", kt.PlainPolicy(witnesses)
	for _, key := range l.keys.Roots {
		line := "log " + key.Verifier + "\n"
		text, plain = text+line, bytes.Replace(plain, []byte(line), nil, 1) // as a policy has it that was printed
	}
	if len(witnesses) == 0 {
		return []byte(text + "quorum none\n")
	}
	return append([]byte(text), plain...)
}

// Policy is what devices pin: the log's keys, witnesses, quorum. Until proofs are
// given it is the one that the log began with.
func (l *Log) Policy() *kt.Policy {
	if s := l.served.Load(); s != nil {
		return s.policy()
	}
	return l.policy
}

// Origin is the name of R.
func (l *Log) Origin() string { return l.policy.Origin() }

// Keys are the verifier keys of U and of R, Ed25519 first.
func (l *Log) Keys() (updates, roots [2]string) {
	for i := range 2 {
		updates[i], roots[i] = l.keys.Updates[i].Verifier, l.keys.Roots[i].Verifier
	}
	return updates, roots
}

// Ready is nil while the log gives proofs and takes records.
func (l *Log) Ready() error {
	if failed := l.failure.Load(); failed != nil {
		return *failed
	}
	if l.served.Load() == nil {
		return ErrStarting
	}
	return nil
}

// Wait waits until the log gives proofs.
func (l *Log) Wait(ctx context.Context) error {
	select {
	case <-l.opened:
		return nil
	case <-l.ended:
		return errors.Join(ErrClosed, l.Ready())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Age is how long ago the newest checkpoint was published.
func (l *Log) Age() (age time.Duration, ok bool) {
	s := l.served.Load()
	if s == nil {
		return 0, false
	}
	return l.o.Now().Sub(time.UnixMilli(int64(s.published))), true
}

// Close ends the log. What Publish has not returned for may be logged or not.
func (l *Log) Close() error {
	l.end()
	<-l.ended
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return l.tiles.close(ctx)
}

// Publish returns when the record is in the log and under a published checkpoint
// that meets the policy. On an error it may be logged later; calling again does
// no harm. ErrWaiting: the time ran out.
func (l *Log) Publish(ctx context.Context, r kt.Record) error {
	if s := l.served.Load(); s != nil {
		if there, err := l.holds(ctx, s, r); there || err != nil {
			return err
		}
	}
	c := l.enqueue(r)
	select {
	case <-c.done:
		return nil
	case <-l.ended:
		return errors.Join(ErrClosed, l.Ready())
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrWaiting, ctx.Err())
	}
}

// enqueue hands a record to the goroutine of run. Of several of one name that
// wait, the newest is logged.
func (l *Log) enqueue(r kt.Record) *change {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.waiting[r.Name]
	if c == nil {
		c = &change{r, make(chan struct{})}
		l.waiting[r.Name] = c
	} else if r.Seq > c.record.Seq {
		c.record = r
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return c
}

// batch takes what waits, at most as much as one epoch holds.
func (l *Log) batch() (taken []*change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, c := range l.waiting {
		if len(taken) == maxBatch {
			break
		}
		taken = append(taken, c)
		delete(l.waiting, name)
	}
	return taken
}

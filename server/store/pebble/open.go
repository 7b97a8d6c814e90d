package pebble

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/posthorn/posthorn/server/store"
)

// formatVersion is the layout of keys.go, records.go and tail.go. A store of
// uncountedFormat lacks the counters and is given them when it is opened. One of
// taillessFormat is a store whose mailboxes have no tails yet, but the program that
// wrote it would take a tail for damage.
const (
	uncountedFormat = 1
	taillessFormat  = 2
	formatVersion   = 3
)

const (
	// memTable is what a restart after a crash replays at most twice: some
	// tenths of a second. It takes that much memory only under load.
	memTable = 32 << 20
	// flushedTables is how many of them lie side by side before they are merged,
	// and flushedMost how many when writers have to wait. Envelopes are written
	// once, read once and deleted soon: most are gone before they are merged
	// twice, and mergers are a fifth of what an append costs.
	flushedTables, flushedMost = 8, 24
	// firstLevel is how large the level below may grow before it has one more
	// under it, into which everything is copied once again.
	firstLevel = 256 << 20
	// tableBlock is what is written and read at once of a table. Of the engine's
	// 4 KiB an envelope or three would fill one, and each is a call of the system.
	tableBlock = 16 << 10
)

// Open opens the store in a directory, or makes one there. The directory is
// locked against a second process until Close. ErrFormat, ErrCorrupt.
func Open(dir string, o Options) (*Store, error) {
	o = o.withDefaults()
	s := newStore(o)
	s.dir = dir
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("store: the folder could not be made: %w", err)
	}
	if err := checkLogs(o.FS, dir); err != nil {
		return nil, fmt.Errorf("store: not opened: %w", err)
	}
	if err := s.openUnlessStopped(dir); err != nil {
		return nil, fmt.Errorf("store: not opened: %w", err)
	}
	go s.runCommitter()
	go s.runFlusher()
	return s, nil
}

// openUnlessStopped opens the engine and what lies in it. A disk that fails
// meanwhile holds the engine where it is, see freezer, so nobody waits for it.
func (s *Store) openUnlessStopped(dir string) error {
	opened := make(chan error, 1)
	go func() { opened <- s.openAll(dir) }()
	var err error
	select {
	case err = <-opened:
	case <-s.stopped:
	}
	if s.failure() != nil { // damage may also have shown while the engine opened
		return errors.Join(s.failure(), s.freezer.release())
	}
	return err
}

func (s *Store) openAll(dir string) error {
	if err := s.openEngine(dir); err != nil {
		return readError(err)
	}
	err := s.checkFormat()
	if err == nil {
		err = s.loadTally()
	}
	if err != nil && s.failure() == nil {
		return errors.Join(err, s.db.Close())
	}
	return err
}

func newStore(o Options) *Store {
	s := &Store{
		opts:     o,
		queue:    make(chan *write, queued),
		slots:    make(chan struct{}, inFlight),
		batches:  make(chan *flight, inFlight),
		quit:     make(chan struct{}),
		finished: make(chan struct{}),
		stopped:  make(chan struct{}),
		heads:    newHeadCache(o.Heads),
		repeats:  newRepeatCache(),
		acks:     make(map[store.Box]uint64),
		nodes:    make(map[store.Box]string),
		keys:     make(map[string]*flight),
	}
	s.freezer = &freezer{FS: o.FS, stop: s.stop}
	return s
}

// openEngine opens Pebble, on a store that it makes if there is none.
func (s *Store) openEngine(dir string) error {
	found, err := pebble.Peek(dir, s.freezer)
	switch {
	case err != nil:
		return err
	case found.Exists:
		err = s.upgradeEngine(dir, found.FormatMajorVersion)
	default:
		err = s.makeNew(dir)
	}
	if err != nil {
		return err
	}
	return s.openWith(dir, s.engineOptions())
}

// openWith opens Pebble, which answers some troubles by a panic.
func (s *Store) openWith(dir string, o *pebble.Options) (err error) {
	cache := pebble.NewCache(s.opts.Cache)
	defer cache.Unref() // the engine holds its own reference
	defer func() {
		r := recover()
		if cause, ok := r.(error); ok {
			err = fmt.Errorf("engine: %w", cause)
		} else if r != nil {
			err = fmt.Errorf("engine: %v", r)
		}
	}()
	o.Cache = cache
	s.db, err = pebble.Open(dir, o)
	return err
}

// makeNew creates a store and closes it again: the engine
// writes the first log of a new store in its oldest format, whose chunks do not
// say how far the log was synced. The next log does.
func (s *Store) makeNew(dir string) error {
	if err := s.openWith(dir, s.engineOptions()); err != nil {
		return err
	}
	return s.db.Close()
}

// engineOptions are Pebble's settings: no compression, since ciphertext has
// nothing to compress, and a log format whose chunks say how far the log was
// synced, so that damage in it is told apart from a torn end.
func (s *Store) engineOptions() *pebble.Options {
	o := &pebble.Options{
		FS:                 s.freezer,
		FormatMajorVersion: engineFormat,
		MemTableSize:       memTable,

		L0CompactionThreshold: flushedTables,
		L0StopWritesThreshold: flushedMost,
		LBaseMaxBytes:         firstLevel,

		Logger: engineLog{s.opts.Log},
		EventListener: &pebble.EventListener{
			BackgroundError: s.noteDamage,
			DataCorruption:  func(i pebble.DataCorruptionInfo) { s.stop(readError(i.Details)) },
		},
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionNone })
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = tableBlock
		o.Levels[i].IndexBlockSize = 4 << 10
	}
	return o
}

// noteDamage stops the store when background work finds damaged files.
func (s *Store) noteDamage(err error) {
	if err = readError(err); errors.Is(err, store.ErrCorrupt) {
		s.stop(err)
	}
}

// engineLog passes on what the engine reports. Its chatter is left out.
type engineLog struct{ log *slog.Logger }

// Infof drops the engine's account of its daily work.
func (engineLog) Infof(string, ...any) {}

// Errorf logs a trouble that the engine gets over by itself.
func (l engineLog) Errorf(format string, args ...any) {
	l.log.Warn("storage engine", "error", fmt.Sprintf(format, args...))
}

// Fatalf is called where the engine cannot go on. Errors of the disk never get
// there, the freezer sees to that; from others Open recovers.
func (engineLog) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// checkFormat refuses a store that a newer program wrote, brings an older one
// up to date, and marks a new one.
func (s *Store) checkFormat() error {
	v, err := s.knownFormat()
	switch {
	case errors.Is(err, errUnmarked):
		return s.markFormat()
	case err == nil && v < formatVersion:
		return s.upgradeFormat(v)
	}
	return err
}

// errUnmarked: the store says nothing of its version.
var errUnmarked = damaged("format version, there is none")

// knownFormat wants a version that this program reads. errUnmarked.
func (s *Store) knownFormat() (version uint32, err error) {
	b, err := s.get([]byte{keyFormat})
	if err != nil {
		return 0, err
	}
	if b == nil {
		return 0, errUnmarked
	}
	if len(b) != 4 {
		return 0, damaged("format version")
	}
	v := binary.BigEndian.Uint32(b)
	if v < uncountedFormat || v > formatVersion {
		return 0, fmt.Errorf("%w: it has version %d, this program knows %d", store.ErrFormat, v, formatVersion)
	}
	return v, nil
}

// markFormat writes the version into an empty store.
func (s *Store) markFormat() error {
	empty, err := s.holdsNothing()
	if err != nil {
		return err
	}
	if !empty {
		return fmt.Errorf("%w: it holds records but no format version", store.ErrCorrupt)
	}
	return s.setFormat()
}

func (s *Store) setFormat() error {
	return s.db.Set([]byte{keyFormat}, binary.BigEndian.AppendUint32(nil, formatVersion), pebble.Sync)
}

// holdsNothing reports whether there is no record at all.
func (s *Store) holdsNothing() (bool, error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return false, readError(err)
	}
	defer it.Close()
	if it.First() {
		return false, nil
	}
	return true, readError(it.Error())
}

// Close waits for running calls, applies waiting acks and writes everything
// out of the log, so that the next Open has nothing to replay. A store that
// has stopped is left as it is; Close then returns why it stopped.
func (s *Store) Close() error {
	s.gate.Lock()
	defer s.gate.Unlock()
	if s.closed {
		return store.ErrClosed
	}
	s.closed = true
	close(s.quit)
	closed := make(chan error, 1)
	go func() {
		<-s.finished
		if s.failure() == nil {
			closed <- errors.Join(s.db.Flush(), s.db.Close())
		}
	}()
	select {
	case err := <-closed:
		return err
	case <-s.stopped:
		return errors.Join(s.failure(), s.freezer.release())
	}
}

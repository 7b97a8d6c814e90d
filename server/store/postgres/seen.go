package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posthorn/posthorn/internal/reject"
)

// seen is which database this machine has used. A promoted standby of
// PostgreSQL has a higher timeline than the primary before it; other engines
// have an epoch in the table about that the operator raises.
type seen struct {
	file string
	log  *slog.Logger

	move   string // see Options.Move
	target bool   // see OpenTarget

	replaced func() // called when what is known changes, with mu held

	mu     sync.Mutex
	known  known
	warned bool
}

// known is what the file of a machine says.
type known struct {
	System   string `json:"system"`   // system identifier of PostgreSQL; "" elsewhere
	Timeline uint64 `json:"timeline"` // the highest
	Epoch    uint64 `json:"epoch"`    // the highest
}

// marshal writes the content of the file.
func (k known) marshal() []byte {
	b, _ := json.Marshal(k) // it does not fail
	return append(b, '\n')
}

func parseKnown(b []byte) (k known, err error) {
	if err := json.Unmarshal(b, &k); err != nil {
		return known{}, damaged("the file that says which database was used before")
	}
	return k, nil
}

// loadSeen reads the file of a machine, if there is one.
func loadSeen(o Options) (*seen, error) {
	s := &seen{file: o.SeenFile, log: o.Log, move: o.Move, target: o.target}
	if o.SeenFile != "" && !o.Accept {
		b, err := os.ReadFile(o.SeenFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("postgres: which database was used before cannot be read: %w", err)
		default:
			if s.known, err = parseKnown(b); err != nil {
				return nil, fmt.Errorf("%w: %s", err, o.SeenFile)
			}
		}
	}
	s.known.Epoch = max(s.known.Epoch, o.Epoch)
	return s, nil
}

// examine refuses a connection to a database that must not be used, and
// remembers one that is used.
func (s *seen) examine(ctx context.Context, c *pgconn.PgConn) error {
	v, err := look(ctx, c)
	if err != nil {
		return err
	}
	if err := v.safe(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.judge(v); err != nil {
		return err
	}
	if v.schema > newest() {
		return refuseSchema(v)
	}
	if err := s.admitMove(v); err != nil {
		return err
	}
	if !v.checksums && !s.warned {
		s.warned = true
		s.log.Warn("the database has no data checksums: damage on its disk may go unnoticed")
	}
	if err := v.set(ctx, c); err != nil {
		return err
	}
	c.CustomData()[lineage] = [2]uint64{v.timeline, v.epoch}
	return s.remember(v)
}

const lineage = "posthorn.lineage"

// safe wants a database that keeps what it confirms.
func (v *server) safe() error {
	switch {
	case v.standby:
		return nil // it will be refused for that
	case v.commit != "on" && v.commit != "remote_apply":
		return reject.New("V-121", ErrUnsafe, "synchronous_commit is "+v.commit+"; set it to on, for the database, the role and in the URL")
	case !v.fsync:
		return reject.New("V-121", ErrUnsafe, "fsync is off; set it to on and start the database again")
	case !v.fullPages:
		return reject.New("V-121", ErrUnsafe, "full_page_writes is off; set it to on")
	}
	return nil
}

// judge refuses a database that is not the one seen, or was replaced.
func (s *seen) judge(v server) error {
	switch {
	case v.standby:
		return stale("it is a standby; name the primary in the URL, or all hosts with commas")
	case s.known.System != "" && v.system != s.known.System:
		return stale("it is another database system (%s, before: %s); if that is meant, as after a restored dump or pg_upgrade, start once with --store-accept", v.system, s.known.System)
	case v.timeline < s.known.Timeline:
		return stale("it is on timeline %d, and %d was seen; a standby was promoted, so stop this old primary; after a restore from a backup start once with --store-accept", v.timeline, s.known.Timeline)
	case v.schema > 0 && v.epoch < s.known.Epoch:
		return stale("it is at epoch %d, and %d is wanted or was seen; name the database that is in use now, or raise the epoch in the table posthorn.about", v.epoch, s.known.Epoch)
	}
	return nil
}

// admitMove refuses a database into which a server is being moved, and one that
// is not that into which this one was.
func (s *seen) admitMove(v server) error {
	switch {
	case s.target || v.schema == 0:
		return nil // migrate decides
	case s.move != "" && v.moving != s.move && v.moving != done+s.move:
		return ErrElsewhere
	case v.moving != "" && v.moving != s.move && !strings.HasPrefix(v.moving, done):
		return ErrMoving
	}
	return nil
}

func stale(format string, args ...any) error {
	return reject.New("V-120", ErrStale, fmt.Sprintf(format, args...))
}

// remember notes a database that is used; a new one goes to the disk first.
func (s *seen) remember(v server) error {
	if s.known.System == v.system && s.known.Timeline == v.timeline && s.known.Epoch >= v.epoch && s.written() {
		return nil
	}
	if now := (known{v.system, v.timeline, max(s.known.Epoch, v.epoch)}); now != s.known {
		s.known = now
		s.replaced()
	}
	if s.file == "" {
		return nil
	}
	if err := replace(s.file, s.known.marshal()); err != nil {
		return fmt.Errorf("postgres: which database is used cannot be kept: %w", err)
	}
	return nil
}

func (s *seen) written() bool {
	if s.file == "" {
		return true
	}
	_, err := os.Stat(s.file)
	return err == nil
}

// current reports whether a connection leads to the newest database seen.
func (s *seen) current(c *pgconn.PgConn) bool {
	at, _ := c.CustomData()[lineage].([2]uint64)
	s.mu.Lock()
	defer s.mu.Unlock()
	return at[0] >= s.known.Timeline && at[1] >= s.known.Epoch
}

// replace writes a file so that it is whole after a power cut.
func replace(file string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // when it was not renamed
	if _, err := f.Write(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	_ = dir.Sync() // not every system can
	return dir.Close()
}

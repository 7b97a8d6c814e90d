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
	"sync"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// seen is which database this machine has used. A promoted standby of
// PostgreSQL has a higher timeline than the primary before it; other engines
// have an epoch in the table about that the operator raises.
type seen struct {
	file string
	log  *slog.Logger

	mu       sync.Mutex
	System   string `json:"system,omitempty"`   // system identifier of PostgreSQL
	Timeline uint64 `json:"timeline,omitempty"` // the highest
	Epoch    uint64 `json:"epoch"`              // the highest
	warned   bool
	accept   bool
}

// loadSeen reads the file of a machine, if there is one.
func loadSeen(o Options) (*seen, error) {
	s := &seen{file: o.SeenFile, log: o.Log, accept: o.Accept}
	if o.SeenFile != "" && !o.Accept {
		b, err := os.ReadFile(o.SeenFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("postgres: which database was used before cannot be read: %w", err)
		default:
			if err := s.unmarshal(b); err != nil {
				return nil, err
			}
		}
	}
	s.Epoch = max(s.Epoch, o.Epoch)
	return s, nil
}

// unmarshal reads the content of the file.
func (s *seen) unmarshal(b []byte) error {
	if err := json.Unmarshal(b, s); err != nil {
		return fmt.Errorf("%w: %s does not say which database was used before", store.ErrCorrupt, filepath.Base(s.file))
	}
	return nil
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
	case s.System != "" && v.system != s.System:
		return stale("it is another database system (%s, before: %s); if that is meant, as after a restored dump or pg_upgrade, start once with --store-accept", v.system, s.System)
	case v.timeline < s.Timeline:
		return stale("it is on timeline %d, and %d was seen; a standby was promoted, so stop this old primary; after a restore from a backup start once with --store-accept", v.timeline, s.Timeline)
	case v.schema > 0 && v.epoch < s.Epoch:
		return stale("it is at epoch %d, and %d is wanted or was seen; name the database that is in use now, or raise the epoch in the table posthorn.about", v.epoch, s.Epoch)
	}
	return nil
}

func stale(format string, args ...any) error {
	return reject.New("V-120", ErrStale, fmt.Sprintf(format, args...))
}

// remember notes a database that is used; a new one goes to the disk first.
func (s *seen) remember(v server) error {
	if s.System == v.system && s.Timeline == v.timeline && s.Epoch >= v.epoch && s.written() {
		return nil
	}
	s.System, s.Timeline, s.Epoch = v.system, v.timeline, max(s.Epoch, v.epoch)
	if s.file == "" {
		return nil
	}
	b, err := json.Marshal(s)
	if err == nil {
		err = replace(s.file, append(b, '\n'))
	}
	if err != nil {
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
	return at[0] >= s.Timeline
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

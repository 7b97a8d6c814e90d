package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posthorn/posthorn/server/store"
)

// errAside is what calls on a mailbox get that was set aside.
var errAside = fmt.Errorf("%w: the mailbox contradicts its head, nothing was changed in it", store.ErrCorrupt)

// corrupt reports whether a mailbox holds something that cannot be.
func corrupt(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err) // no mailbox was looked at
	return err != nil && !connecting && errors.Is(translate(err), store.ErrCorrupt)
}

// setAside notes a damaged mailbox. Nothing is written to it any more and its
// readers get ErrCorrupt, until it is dropped, the database is replaced or the
// store is opened again. The log tells of it once, without its name.
func (s *Store) setAside(box store.Box) {
	s.mu.Lock()
	known := s.aside[box]
	s.aside[box] = true
	delete(s.acks, box)
	s.mu.Unlock()
	if !known {
		s.opts.Log.Error("a mailbox is damaged in the database and was set aside, the others go on; " +
			"check the disk of the database, and restore it or repair the mailbox, then start this server again")
	}
}

func (s *Store) isAside(box store.Box) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aside[box]
}

// halves parts groups between mailboxes when one of these is damaged, until it
// is alone; nil when there is nothing to part. The database has rolled the
// groups back.
func halves(groups []*group, err error) (one, other []*group) {
	if !corrupt(err) {
		return nil, nil
	}
	boxes := bytesOf(boxesOf(groups))
	if len(boxes) < 2 {
		return nil, nil
	}
	middle := boxes[len(boxes)/2]
	for _, g := range groups {
		if bytes.Compare(g.box[:], middle) < 0 {
			one = append(one, g)
		} else {
			other = append(other, g)
		}
	}
	return slices.Clip(one), slices.Clip(other)
}

// doubt drops what this process knows of numbers, because the database was
// replaced: a standby took over, or it was put back to an earlier moment. There
// numbers may be given out a second time, so acks of before are worth nothing.
func (s *Store) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lineage++
	clear(s.heads.last)
	clear(s.acks)
	clear(s.aside)
	s.repeats.doubt()
}

// lineageNow is taken before the database is asked for a number, and compared
// before the number is noted.
func (s *Store) lineageNow() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lineage
}

// headFell forgets the numbers of a mailbox that has given out fewer than this
// process has seen.
func (s *Store) headFell(box store.Box) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.heads.last, box)
	delete(s.acks, box)
}

// tell logs trouble of the keeper that judge does not tell of, when it is new.
func (s *Store) tell(err error) {
	if err == nil || errors.Is(err, store.ErrStopped) {
		s.told = ""
		return
	}
	if text := err.Error(); text != s.told {
		s.told = text
		s.opts.Log.Error("acks or presence could not be written, retrying", "error", err)
	}
}

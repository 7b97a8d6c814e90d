package blobmove

import (
	"bytes"
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"slices"

	"github.com/posthorn/posthorn/server/blob"
)

// ErrDiffers: what arrived at the other place is not what was sent there.
var ErrDiffers = errors.New("blobmove: the copy of an attachment is not what was copied")

// DamagedError says which files cannot be moved, because they are not what
// their records say or cannot be read. They lie where they were.
type DamagedError struct{ IDs []blob.ID }

// Error says how many there are.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("blobmove: %d attachments are damaged", len(e.IDs))
}

// maxDamaged is how many damaged files end a move before it is through.
const maxDamaged = 100

// maxMissing is how many missing files are named.
const maxMissing = 100

// Record is what the server's store says of a finished file.
type Record struct {
	ID     blob.ID
	Size   uint64 // in bytes
	Digest []byte // SHA-384; empty: the record does not have it
}

// Plan is what a move goes by.
type Plan struct {
	// Records shows every finished file that is in the server's records.
	Records func(ctx context.Context, visit func(Record) error) error
	// Watch is told how far the move is, after each file; nil: nobody is.
	Watch func(Sum)
}

// Sum says what a move has done.
type Sum struct {
	Copied  uint64    // files
	Bytes   uint64    // of those
	Present uint64    // files that were there and right
	Missing uint64    // files of the records that were at the old place no more
	Lost    []blob.ID // the first of the missing
}

// move copies files from one place to another.
type move struct {
	from, to blob.Store
	plan     Plan
	changed  func(blob.ID) bool
	sum      Sum
	damaged  []blob.ID
}

// everything copies the files of the records, whose digests are known, and then
// the files of which no record speaks: they may be fetched as well.
func (m *move) everything(ctx context.Context) error {
	if err := m.plan.Records(ctx, func(r Record) error { return m.recorded(ctx, r) }); err != nil {
		return err
	}
	if err := m.from.List(ctx, func(f blob.File) error { return m.listed(ctx, f) }); err != nil {
		return err
	}
	return m.verdict()
}

// verdict ends a move that has left damaged files behind.
func (m *move) verdict() error {
	if len(m.damaged) == 0 {
		return nil
	}
	return &DamagedError{m.damaged}
}

func (m *move) recorded(ctx context.Context, r Record) error {
	size, err := m.from.Size(ctx, r.ID)
	if errors.Is(err, blob.ErrNotFound) {
		m.missing(r.ID)
		return nil
	}
	if err != nil {
		return m.unreadable(ctx, r.ID)
	}
	if size != r.Size {
		return m.damage(r.ID)
	}
	return m.bring(ctx, r)
}

// missing counts a file that nobody can fetch any more, unless it was removed a
// moment ago.
func (m *move) missing(id blob.ID) {
	if m.changed(id) {
		return
	}
	m.sum.Missing++
	if len(m.sum.Lost) < maxMissing {
		m.sum.Lost = append(m.sum.Lost, id)
	}
}

// listed brings a file that the records do not have. One that this move or an
// earlier one has compared carries its date.
func (m *move) listed(ctx context.Context, f blob.File) error {
	if slices.Contains(m.damaged, f.ID) {
		return nil
	}
	at, err := m.to.Finished(ctx, f.ID)
	if err == nil && at.UnixMilli() == f.Finished.UnixMilli() {
		return nil
	}
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		return err
	}
	return m.unrecorded(ctx, f.ID)
}

func (m *move) unrecorded(ctx context.Context, id blob.ID) error {
	size, err := m.from.Size(ctx, id)
	if errors.Is(err, blob.ErrNotFound) {
		return nil // removed meanwhile
	}
	if err != nil {
		return m.unreadable(ctx, id)
	}
	return m.bring(ctx, Record{ID: id, Size: size})
}

// settle looks at files that were finished or removed while others were copied.
func (m *move) settle(ctx context.Context, some map[blob.ID]struct{}) error {
	for id := range some {
		_, err := m.from.Size(ctx, id)
		if errors.Is(err, blob.ErrNotFound) {
			err = m.to.Remove(ctx, id)
		} else {
			err = m.unrecorded(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bring copies a file, if it is not there as it should be.
func (m *move) bring(ctx context.Context, r Record) error {
	finished, err := m.from.Finished(ctx, r.ID)
	if errors.Is(err, blob.ErrNotFound) {
		return nil // removed meanwhile
	}
	if err != nil {
		return m.unreadable(ctx, r.ID)
	}
	present, err := m.present(ctx, r)
	if err != nil {
		return err
	}
	if !present {
		copied, err := m.copy(ctx, r)
		if err != nil || !copied {
			return err
		}
	}
	if err := m.to.Date(ctx, r.ID, finished); err != nil { // from here on it counts as compared
		return err
	}
	if present {
		m.sum.Present++
	} else {
		m.sum.Copied++
		m.sum.Bytes += r.Size
	}
	if m.plan.Watch != nil {
		m.plan.Watch(m.sum)
	}
	return nil
}

// present tells whether a file is at the other place, whole and right. One of
// another length is taken away.
func (m *move) present(ctx context.Context, r Record) (bool, error) {
	size, err := m.to.Size(ctx, r.ID)
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if size != r.Size {
		return false, m.to.Remove(ctx, r.ID)
	}
	there, err := digest(ctx, m.to, r, nil)
	if err != nil {
		return false, err
	}
	if len(r.Digest) > 0 {
		return bytes.Equal(there, r.Digest), nil
	}
	here, err := digest(ctx, m.from, r, nil)
	return err == nil && bytes.Equal(here, there), ctx.Err() // copy finds out why it cannot be read
}

// copy writes a file part by part, and reads it again where it arrived. It is
// finished only when it is what its record says.
func (m *move) copy(ctx context.Context, r Record) (copied bool, err error) {
	var failed error // at the other place
	sent, err := digest(ctx, m.from, r, func(n int, part []byte) error {
		failed = m.to.WritePart(ctx, r.ID, n, part)
		return failed
	})
	switch {
	case failed != nil:
		return false, failed
	case errors.Is(err, blob.ErrNotFound):
		return false, nil // removed meanwhile
	case err != nil:
		return false, m.unreadable(ctx, r.ID)
	case len(r.Digest) > 0 && !bytes.Equal(sent, r.Digest):
		return false, m.damage(r.ID)
	}
	if err := m.to.Finish(ctx, r.ID, r.Size); err != nil {
		return false, err
	}
	arrived, err := digest(ctx, m.to, r, nil)
	if err != nil {
		return false, err
	}
	if !bytes.Equal(sent, arrived) {
		return false, ErrDiffers
	}
	return true, nil
}

// errShort: a file ends before its end.
var errShort = errors.New("blobmove: an attachment is shorter than it says")

// digest reads a file of a known size and shows its parts to each, if there is
// one.
func digest(ctx context.Context, s blob.Store, r Record, each func(n int, part []byte) error) ([]byte, error) {
	h := sha512.New384()
	for offset := uint64(0); offset < r.Size; offset += blob.PartSize {
		length := int(min(blob.PartSize, r.Size-offset))
		part, err := s.Read(ctx, r.ID, offset, length)
		if err == nil && len(part) != length {
			err = errShort
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && each != nil {
			err = each(int(offset/blob.PartSize), part)
		}
		if err != nil {
			return nil, err
		}
		h.Write(part)
	}
	return h.Sum(nil), nil
}

// unreadable notes a file that the old place does not give, unless the move was
// called off.
func (m *move) unreadable(ctx context.Context, id blob.ID) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return m.damage(id)
}

func (m *move) damage(id blob.ID) error {
	m.damaged = append(m.damaged, id)
	if len(m.damaged) >= maxDamaged {
		return m.verdict()
	}
	return nil
}

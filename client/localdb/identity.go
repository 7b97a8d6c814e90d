package localdb

import (
	"bytes"
	"errors"
	"path/filepath"
)

// recognise compares the database file with the one that this profile was in
// when it was opened last, and remembers the present one. A copy put in its
// place is another file to the operating system; a file that was overwritten
// in place, or a snapshot of the whole machine, goes unnoticed.
func (tx *Tx) recognise(dir string) (restored bool, err error) {
	now, err := fileIdentity(filepath.Join(dir, dataFile))
	if err != nil {
		return false, err
	}
	before, err := tx.meta("file")
	switch {
	case errors.Is(err, ErrNotFound):
	case err != nil:
		return false, err
	case bytes.Equal(before, now):
		return false, nil
	default:
		restored = true
	}
	return restored, tx.putMeta("file", now)
}

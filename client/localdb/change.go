package localdb

import "errors"

// metaChange is where a roster statement waits of which it is not known whether
// the server has taken it.
const metaChange = "roster change"

// PutChange stores the statement of a change of the own roster before it is
// sent. There is one at a time.
func (tx *Tx) PutChange(statement []byte) error { return tx.putMeta(metaChange, blob(statement)) }

// Change returns the statement that PutChange has stored, or nil.
func (tx *Tx) Change() ([]byte, error) {
	statement, err := tx.meta(metaChange)
	if errors.Is(err, ErrNotFound) || err == nil && len(statement) == 0 {
		return nil, nil
	}
	return statement, err
}

// DeleteChange says that what came of the statement is known.
func (tx *Tx) DeleteChange() error { return tx.putMeta(metaChange, []byte{}) }

// metaRescue marks a profile whose device is to be put on an account by its
// recovery key, and is not on it yet.
const metaRescue = "rescue"

// PutRescue sets the mark.
func (tx *Tx) PutRescue() error { return tx.putMeta(metaRescue, []byte{1}) }

// Rescue reports whether the mark is there.
func (tx *Tx) Rescue() (bool, error) {
	mark, err := tx.meta(metaRescue)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return len(mark) > 0 && mark[0] == 1, err
}

// DeleteRescue takes the mark away.
func (tx *Tx) DeleteRescue() error { return tx.putMeta(metaRescue, []byte{0}) }

package client

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

// EvidenceFolder is the folder inside a profile where evidence is kept.
const EvidenceFolder = "evidence"

// LogError says that an answer of the server does not agree with its log. No key
// of it was used, and nothing was sent. errors.Is finds ErrTransparency and the
// sentinel of the step that refused.
type LogError struct {
	Err      error  // the step of SPEC §13.3 that refused
	Evidence string // path of the file that shows it; empty: there is nothing to show
	Stopped  bool   // it was found earlier, and no look-up is made any more
}

// Error gives what did not happen and why.
func (e *LogError) Error() string { return ErrTransparency.Error() + ": " + e.Err.Error() }

// Unwrap returns ErrTransparency and the refusal.
func (e *LogError) Unwrap() []error { return []error{ErrTransparency, e.Err} }

// lied turns a refusal into evidence, an error, and, if the log contradicts
// itself, an alarm that stays. Errors that are no refusal pass.
func (q *inquirer) lied(ctx context.Context, l *ledger, refused error, e *kt.Evidence) error {
	rule, ok := errors.AsType[*reject.Error](refused)
	if !ok {
		return refused
	}
	e.At, e.Check, e.Policy = millis(clock.Now()), rule.Check, l.policy
	if e.Kind == "" {
		e.Kind = kt.KindAnswer
	}
	if (e.Answer != nil || e.Kind == kt.KindPolicy) && errors.Is(refused, kt.ErrFork) {
		e = e.AsFork(l.Note)
	}
	failed := &LogError{Err: refused}
	if _, err := e.Verify(); err != nil {
		return failed // nothing that others could see again, such as the time of this clock
	}
	fresh, err := q.keepEvidence(e, failed)
	switch {
	case err != nil:
		return errors.Join(failed, err)
	case e.Kind == kt.KindFork:
		return errors.Join(failed, q.alarm(ctx, failed))
	case fresh:
		return errors.Join(failed, q.update(ctx, func(tx *localdb.Tx) error {
			if e.Kind == kt.KindRecord { // somebody signs as this account, or tries to
				if err := tx.MarkWorn(); err != nil {
					return err
				}
			}
			return notify(tx, alarmText(failed))
		}))
	}
	return failed
}

// alarm makes the engine believe nothing more of this log.
func (q *inquirer) alarm(ctx context.Context, failed *LogError) error {
	return q.update(ctx, func(tx *localdb.Tx) error {
		row, err := tx.Log()
		if errors.Is(err, localdb.ErrNotFound) { // a device that is not on its account yet keeps what it was told, and looks anew
			return notify(tx, alarmText(failed))
		}
		if err != nil {
			return err
		}
		row.Alarm = failed.Evidence
		if err := tx.PutLog(row); err != nil {
			return err
		}
		return notify(tx, alarmText(failed)+" No name is looked up on this server any more.")
	})
}

func alarmText(failed *LogError) string {
	what := "The server's answer does not agree with its log"
	switch {
	case errors.Is(failed, kt.ErrStale):
		what = "The server's log has stood still for a day, or the clock of this machine is ahead"
	case errors.Is(failed, kt.ErrFork):
		what = "The server showed two different key lists"
	}
	return fmt.Sprintf("%s; nothing was sent because of it. The evidence is %s; 'posthorn transparency verify FILE' shows it to anybody.", what, failed.Evidence)
}

// keepEvidence writes a file that is there, whole, when this returns, and notes
// its path. The same lie again finds the file of the first time.
func (q *inquirer) keepEvidence(e *kt.Evidence, failed *LogError) (fresh bool, err error) {
	folder := filepath.Join(q.home, EvidenceFolder)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return false, err
	}
	about := sha256.Sum256(subject(e))
	name := fmt.Sprintf("%s-%s-%x.txt", e.Kind, e.Check, about[:8])
	failed.Evidence = filepath.Join(folder, name)
	root, err := os.OpenRoot(folder)
	if err != nil {
		return false, err
	}
	defer root.Close() //nolint:errcheck // nothing was written through it
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(e.Marshal())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return false, errors.Join(err, root.Remove(name))
	}
	return true, syncFolder(root)
}

// subject is what evidence is about, without what the next try would have anew.
func subject(e *kt.Evidence) []byte {
	about := []byte(e.Kind + e.Check + string(e.Name) + "\n")
	if e.Kind == kt.KindAudit {
		return append(about, e.Step.Marshal()...)
	}
	if e.Kind == kt.KindPolicy { // each try has another newest note
		for _, c := range e.Changes {
			about = append(append(about, c.Text...), c.Checkpoint...)
		}
		return about
	}
	return slices.Concat(about, e.Notes[0], e.Notes[1], bytes.Join(e.Chains[0], nil), bytes.Join(e.Chains[1], nil))
}

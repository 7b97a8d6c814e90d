package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// Errors of this backend, beside those of the contract.
var (
	// ErrURL: the URL does not say how to reach a database.
	ErrURL = errors.New("postgres: the database URL cannot be used")
	// ErrStale: the database is not the one that was used before, or a copy of
	// it that has been replaced, or a standby. Nothing was written to it.
	ErrStale = errors.New("postgres: not the primary that this server has used, nothing was written")
	// ErrUnsafe: the database confirms what a power cut or the loss of the
	// primary could take away. Nothing was written to it.
	ErrUnsafe = errors.New("postgres: the database would confirm writes that it may lose, nothing was written")
	// ErrMoving: a server is being moved into the database, or such a move was
	// not finished.
	ErrMoving = errors.New("postgres: a move into the database has not ended; nothing was changed")
	// ErrElsewhere: a server was moved into a database, and this is another one.
	ErrElsewhere = errors.New("postgres: this is not the database that the server was moved into, nothing was changed")
	// ErrNotEmpty: a server cannot be moved into the database, for it holds one.
	ErrNotEmpty = errors.New("postgres: the database holds mailboxes or accounts already, nothing was moved into it")
	// ErrUnconfirmed: the database is there, but does not confirm what is written,
	// as a primary whose synchronous standbys are all gone. Nothing was stored;
	// reads go on, and so do writes as soon as a standby is back.
	ErrUnconfirmed = fmt.Errorf("%w: the database answers but confirms no writes; look after its standbys", store.ErrStopped)
	// ErrUnknown: the connection was lost before the answer came.
	ErrUnknown = errors.New("postgres: the connection was lost, the outcome is unknown")
)

// own are the errors that say everything already.
var own = []error{
	store.ErrFull, store.ErrGone, store.ErrNoBox, store.ErrNotFound, store.ErrVersion, store.ErrEmpty,
	store.ErrCorrupt, store.ErrFormat, store.ErrStopped, store.ErrClosed, ErrNotEmpty,
}

// translate puts an error of pgx into the words of the contract. pgx names
// hosts, databases and users in its texts, so none is passed on; what the
// database itself says is.
func translate(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrStopped) {
		return err
	}
	if r, ok := errors.AsType[*reject.Error](err); ok {
		return fmt.Errorf("%w: %w", store.ErrStopped, r)
	}
	for _, known := range own {
		if errors.Is(err, known) {
			return err
		}
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return translateServer(e)
	}
	for _, moved := range []error{ErrMoving, ErrElsewhere} {
		if errors.Is(err, moved) {
			return fmt.Errorf("%w: %w", store.ErrStopped, moved)
		}
	}
	if errors.Is(err, ErrUnknown) {
		return fmt.Errorf("%w: %w", store.ErrStopped, ErrUnknown)
	}
	return fmt.Errorf("%w: the database does not answer: %s", store.ErrStopped, reason(err))
}

// translateServer is for what the database says.
func translateServer(e *pgconn.PgError) error {
	said := fmt.Errorf("the database says %s: %s", e.Code, e.Message)
	switch {
	case e.Code == "55P03": // lock not available: who has it waits for a standby, see jot
		return ErrUnconfirmed
	case e.Code == "XX001" || e.Code == "XX002": // damaged data, damaged index
		return fmt.Errorf("%w: %w", store.ErrCorrupt, said)
	case e.Code == "23505": // a number that is given out once is there already
		return fmt.Errorf("%w: %w", store.ErrCorrupt, said)
	case e.Code == "25006" || strings.HasPrefix(e.Code, "08") || strings.HasPrefix(e.Code, "28") ||
		strings.HasPrefix(e.Code, "3D") || strings.HasPrefix(e.Code, "53") || strings.HasPrefix(e.Code, "57") ||
		strings.HasPrefix(e.Code, "58"):
		return fmt.Errorf("%w: %w", store.ErrStopped, said)
	}
	return fmt.Errorf("postgres: %w", said)
}

// reason says why a connection failed, without naming either end.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "its host name is not known"
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "its certificate is refused: " + fmt.Sprintf("%T", e.Err)
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "it took too long"
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return "it closed the connection"
	}
	return "the connection failed"
}

// undone reports whether an error means that nothing happened and that the
// same thing may be tried again.
func undone(err error) bool {
	if _, ok := errors.AsType[*notBegun](err); ok {
		return true
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code == "40001" || e.Code == "40P01" // serialization, deadlock: rolled back
	}
	return pgconn.SafeToRetry(err)
}

// certain reports whether an error says for certain that nothing was stored.
func certain(err error) bool {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Severity == "ERROR" // FATAL and PANIC end the connection, maybe after a commit
	}
	if _, ok := errors.AsType[*notBegun](err); ok {
		return true
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.SafeToRetry(err) || errors.Is(err, pgx.ErrTxCommitRollback)
}

// notBegun is a transaction that never began, whatever the reason.
type notBegun struct{ error }

// Unwrap returns the reason.
func (e *notBegun) Unwrap() error { return e.error }

// bare is a refusal without what pgx wraps around it.
func bare(err error) error {
	if r, ok := errors.AsType[*reject.Error](err); ok {
		return r
	}
	return err
}

func damaged(what string) error { return fmt.Errorf("%w: %s", store.ErrCorrupt, what) }

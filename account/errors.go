package account

import (
	"errors"

	"github.com/posthorn/posthorn/internal/reject"
)

// Error is a refusal with the id of the check that refused, as SPEC §15 lists
// them. It wraps one of the sentinels below.
type Error = reject.Error

// The sentinels say which kind of thing was refused; errors.Is finds them.
// None of these errors contains secrets or input bytes.
var (
	// ErrName refuses a user name.
	ErrName = errors.New("account: not a name")
	// ErrID refuses the text form of an account or device id.
	ErrID = errors.New("account: not an id")
	// ErrKey refuses a public key.
	ErrKey = errors.New("account: not a usable key")
	// ErrSignature refuses a signature.
	ErrSignature = errors.New("account: signature refused")
	// ErrSuite says that two devices have no suite in common, or that a suite
	// does not exist.
	ErrSuite = errors.New("account: no usable suite")
	// ErrDevice refuses a device record.
	ErrDevice = errors.New("account: device record refused")
	// ErrBundle refuses a prekey bundle; nothing may be encrypted to it.
	ErrBundle = errors.New("account: prekey bundle refused")
	// ErrStatement refuses the encoding of a roster statement.
	ErrStatement = errors.New("account: roster statement refused")
	// ErrRoster refuses a statement that this roster does not allow.
	ErrRoster = errors.New("account: not a valid change of the roster")
	// ErrFork reports two valid statements with one sequence number. Keep the
	// last common roster and accept nothing further until a person decided.
	ErrFork = errors.New("account: the roster has forked")
	// ErrHold refuses a recovery hold.
	ErrHold = errors.New("account: hold refused")
)

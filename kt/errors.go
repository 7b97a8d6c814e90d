package kt

import "errors"

// The sentinels say which step of SPEC §13.3 refused; errors.Is finds them. Each
// comes inside a reject.Error with the number of the check. Whatever refuses, no
// key of the answer may be used.
var (
	// ErrEncoding refuses bytes that no encoder of this package writes.
	ErrEncoding = errors.New("kt: not the encoding of a log")
	// ErrPolicy refuses the keys and witnesses that are to be relied on.
	ErrPolicy = errors.New("kt: the policy of the log is not usable")
	// ErrSignature refuses a checkpoint that the log did not sign with each key.
	ErrSignature = errors.New("kt: the log did not sign this checkpoint")
	// ErrWitness refuses a checkpoint that too few witnesses have signed.
	ErrWitness = errors.New("kt: too few witnesses signed this checkpoint")
	// ErrStale refuses a checkpoint that nobody has signed lately.
	ErrStale = errors.New("kt: the checkpoint is too old")
	// ErrRollback refuses a log that is shorter than it was.
	ErrRollback = errors.New("kt: the log is shorter than it was before")
	// ErrFork refuses a log that does not continue the one known so far.
	ErrFork = errors.New("kt: the log contradicts what it said before")
	// ErrInclusion refuses a root that is not the newest entry of the log.
	ErrInclusion = errors.New("kt: the log does not hold this as its newest entry")
	// ErrIndex refuses a place in the map that is not the name's.
	ErrIndex = errors.New("kt: the proof is for the place of another name")
	// ErrMap refuses a value that the map does not have at that place.
	ErrMap = errors.New("kt: the map does not say this")
	// ErrRecord refuses a roster that is not the one in the log.
	ErrRecord = errors.New("kt: the log holds another record of this name")
	// ErrHistory refuses a history that does not continue the known one.
	ErrHistory = errors.New("kt: the history of this name was changed")
	// ErrEvidence refuses a file that proves nothing.
	ErrEvidence = errors.New("kt: this is no evidence against the log")
	// ErrChange refuses a policy that nothing proves to follow the known one.
	ErrChange = errors.New("kt: the log does not stand by this policy")
	// ErrAudit reports updates that do not lead to the published roots.
	ErrAudit = errors.New("kt: the roots do not follow from the updates")
)

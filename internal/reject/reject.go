// Package reject is the shape of a refusal: which rule of SPEC §15 was broken,
// the sentinel a caller can test for, and what happened in words.
package reject

// Error is a refusal by one numbered check. Its text never holds secrets or
// input bytes, so it may be logged.
type Error struct {
	Check  string // the rule's id in SPEC §15, such as "V-17"
	Err    error  // the sentinel, for errors.Is
	Detail string // what was wrong, in words
}

// New makes a refusal.
func New(check string, err error, detail string) *Error {
	return &Error{Check: check, Err: err, Detail: detail}
}

// Error gives the sentinel's text, the detail and the check id.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.Err.Error() + " (" + e.Check + ")"
	}
	return e.Err.Error() + ": " + e.Detail + " (" + e.Check + ")"
}

// Unwrap returns the sentinel.
func (e *Error) Unwrap() error { return e.Err }

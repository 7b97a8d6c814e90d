package suite

import "errors"

// The sentinels say what a caller can do about a refusal. Whatever the error,
// the Party or Server that refused is unchanged.
var (
	// ErrMalformed: the bytes are not what they should be, or not in their one
	// canonical form.
	ErrMalformed = errors.New("suite: malformed bytes")
	// ErrSignature: not signed by the one it names.
	ErrSignature = errors.New("suite: signature does not verify")
	// ErrReplay: received before.
	ErrReplay = errors.New("suite: message was received before")
	// ErrUndecryptable: sealed under keys that this device does not share, or
	// altered.
	ErrUndecryptable = errors.New("suite: message does not decrypt")
	// ErrWaiting: genuine, but something that it needs travels on another
	// message. Keep it and open it again after that one.
	ErrWaiting = errors.New("suite: message must wait for another one")
	// ErrPrekey: a prekey that is gone, has expired or must not be used. Meet the
	// peer again.
	ErrPrekey = errors.New("suite: prekey not usable")
	// ErrPeer: this device has not met the peer.
	ErrPeer = errors.New("suite: no such peer")
	// ErrLimit: a bound of the level was reached.
	ErrLimit = errors.New("suite: limit reached")
	// ErrState: not a stored state of this level.
	ErrState = errors.New("suite: stored state refused")
)

// Error is a refusal: a sentinel, the level that refused, and what happened.
// Its text holds no secrets and no input bytes.
type Error struct {
	Level  string
	Err    error // the sentinel
	Detail string
	Cause  error // of a package below, or nil
}

// Refuse makes a refusal without a cause.
func Refuse(level string, sentinel error, detail string) *Error {
	return &Error{Level: level, Err: sentinel, Detail: detail}
}

// Error gives the sentinel's text, the level and the detail.
func (e *Error) Error() string {
	text := e.Err.Error() + " (" + e.Level + "): " + e.Detail
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap returns the sentinel and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Cause}
}

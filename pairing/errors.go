package pairing

import "errors"

var (
	// ErrCode: no code at all, or one with a slip in it.
	ErrCode = errors.New("pairing: this is not a pairing code")
	// ErrMessage: a message that is malformed or was made without the code.
	ErrMessage = errors.New("pairing: a message does not belong to this pairing")
	// ErrExpired: the pairing took longer than Life.
	ErrExpired = errors.New("pairing: the code has run out")
	// ErrOrder: a message where none is due.
	ErrOrder = errors.New("pairing: a message out of turn")
	// ErrPayload: an invitation, application or verdict of a wrong form.
	ErrPayload = errors.New("pairing: malformed content")
)

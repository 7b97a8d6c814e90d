package server

import "errors"

// The sentinels behind the server's checks, as SPEC §15 lists them. Callers
// over the network see codes and reasons instead.
var (
	// ErrProof: a login proof that is not by both keys of a known device, for
	// this server and a live challenge.
	ErrProof = errors.New("server: login proof refused")
	// ErrToken: no token, or one that is unknown or has run out.
	ErrToken = errors.New("server: no valid token")
	// ErrRequest: a request that no correct client makes.
	ErrRequest = errors.New("server: malformed request")
	// ErrUpload: a statement or bundle that does not verify.
	ErrUpload = errors.New("server: upload refused")
	// ErrTaken: a name or an account that is bound already.
	ErrTaken = errors.New("server: already bound")
	// ErrClosed: registration is not open.
	ErrClosed = errors.New("server: registration is closed")
	// ErrRoster: a change of an account's devices that cannot be made, or a
	// device that was removed.
	ErrRoster = errors.New("server: roster change refused")
	// ErrLimited: the caller's rate limit.
	ErrLimited = errors.New("server: rate limit")
	// ErrAttachment: an upload or a fetch that the rules for attachments refuse.
	ErrAttachment = errors.New("server: attachment refused")
	// ErrCrowded: a connection beyond the bound in all, or for its address.
	ErrCrowded = errors.New("server: too many connections")
	// ErrNode: the node's name cannot be used, or another process has it.
	ErrNode = errors.New("server: the node cannot take part")
	// ErrAddress: an address that posthornd must not listen on.
	ErrAddress = errors.New("server: listen address refused")
	// ErrCloned: a device that is behind another copy of itself.
	ErrCloned = errors.New("server: a copy of the device has gone on")
)

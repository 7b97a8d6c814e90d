package pq3

import (
	"errors"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/reject"
)

// Error is a refusal by one check of SPEC §15. Check holds the rule's id, and
// Unwrap yields one of the sentinels below.
type Error = reject.Error

// The sentinels say what a caller can do about a refusal. Whatever the error,
// the session that refused is unchanged.
var (
	// ErrMalformed: the bytes are no message, or not the canonical form of one.
	ErrMalformed = errors.New("pq3: malformed message")
	// ErrSignature: the peer's device did not sign these bytes for this device.
	ErrSignature = errors.New("pq3: signature does not verify")
	// ErrSuite: not the suite that both device records call for.
	ErrSuite = errors.New("pq3: wrong suite")
	// ErrReplay: this position was received before, or its key has expired.
	ErrReplay = errors.New("pq3: message was received before")
	// ErrObjectsMissing: genuine, but it needs objects that travel on another
	// message of its chain. Keep it and open it again after that one.
	ErrObjectsMissing = errors.New("pq3: objects of the chain have not arrived")
	// ErrUndecryptable: signed by the peer, yet from a state this session does
	// not share. Repeated, it calls for repair (SPEC §10.6).
	ErrUndecryptable = errors.New("pq3: message does not fit this session")
	// ErrHeader: signed by the peer, yet at odds with the rules of the ratchet.
	ErrHeader = errors.New("pq3: message header breaks the ratchet rules")
	// ErrRekeyMissing: the peer left out the KEM answer that it owed.
	ErrRekeyMissing = errors.New("pq3: the answer to a KEM rekey is missing")
	// ErrSkipLimit: an index beyond the length of any chain.
	ErrSkipLimit = errors.New("pq3: message index is beyond the limit")
	// ErrBundle: a prekey bundle that must not be used.
	ErrBundle = account.ErrBundle
	// ErrFreshness: a time outside the window in which it counts.
	ErrFreshness = errors.New("pq3: outside the accepted time window")
	// ErrPrekeyUnknown: a session start for a bundle whose key is gone.
	ErrPrekeyUnknown = errors.New("pq3: no such prekey bundle")
	// ErrSessionUnknown: a message of a session that is not at hand.
	ErrSessionUnknown = errors.New("pq3: no such session")
	// ErrLimit: the peer started more sessions than it may.
	ErrLimit = errors.New("pq3: too many session starts")
	// ErrNewSessionNeeded: the healing contract forbids sending on; start a new
	// session from a freshly fetched bundle.
	ErrNewSessionNeeded = errors.New("pq3: rekey overdue, a new session is needed")
	// ErrTooLarge: the plaintext does not fit a message.
	ErrTooLarge = errors.New("pq3: message too large")
	// ErrPolicy: a rekey policy looser than the default.
	ErrPolicy = errors.New("pq3: rekey policy refused")
	// ErrIdentity: keys that do not belong to the device record.
	ErrIdentity = errors.New("pq3: signing key is not the device's")
	// ErrState: stored bytes that are not a session with this peer.
	ErrState = errors.New("pq3: stored state refused")
)

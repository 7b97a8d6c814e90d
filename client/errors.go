package client

import (
	"errors"

	"github.com/posthorn/posthorn/client/localdb"
)

// The sentinels of the profile itself, as package localdb defines them.
var (
	// ErrLocked: another process uses the profile.
	ErrLocked = localdb.ErrLocked
	// ErrNoProfile: the folder holds no registered account.
	ErrNoProfile = localdb.ErrNoProfile
	// ErrNoPassphrase: a passphrase is needed and there was nobody to ask.
	ErrNoPassphrase = localdb.ErrNoPassphrase
	// ErrWrongPassphrase: the profile stays locked.
	ErrWrongPassphrase = localdb.ErrWrongPassphrase
	// ErrProfileExists: the folder holds a registered account already.
	ErrProfileExists = localdb.ErrProfileExists
)

// The sentinels of the engine. Each says what happened and what did not; the
// text never holds message content or keys.
var (
	// ErrNameTaken: another account has the name, so no account was made here.
	ErrNameTaken = errors.New("the name is taken, no account was made; choose another name")
	// ErrRegistrationClosed: the server takes no new accounts.
	ErrRegistrationClosed = errors.New("the server takes no new accounts, no account was made")
	// ErrOffline: the server cannot be reached. What was to be sent is kept.
	ErrOffline = errors.New("the server cannot be reached; what was to be sent is kept and goes out later")
	// ErrUnknownName: nobody has the name. Nothing was kept or sent.
	ErrUnknownName = errors.New("nobody has this name, nothing was kept or sent")
	// ErrOwnName: a text to this very account.
	ErrOwnName = errors.New("this is your own name, nothing was sent")
	// ErrChangedAccount: the name now belongs to another account than the one
	// it was first seen with. Nothing was sent.
	ErrChangedAccount = errors.New("the name belongs to another account than before, nothing was sent")
	// ErrRoster: the directory's answer about an account does not prove itself.
	ErrRoster = errors.New("the directory's record of this account does not verify, nothing was sent")
	// ErrSender: an envelope from a device that no verified account holds.
	ErrSender = errors.New("the sender is no device of a verified account")
	// ErrNoCommonSuite: the other side does not support authenticated Level 3.
	ErrNoCommonSuite = errors.New("the other device does not support this level, nothing was sent")
	// ErrWaitingForPeer: the text is kept. It goes out when the peer's device
	// has published a prekey bundle that can be used.
	ErrWaitingForPeer = errors.New("no usable prekey bundle of the peer's device, the text is kept and goes out later")
	// ErrRecipientFull: the text is kept. The recipient's mailbox has no room.
	ErrRecipientFull = errors.New("the recipient's mailbox is full, the text is kept and goes out later")
	// ErrNotDelivered: the recipient's device is gone from the server.
	ErrNotDelivered = errors.New("the recipient's device no longer exists, the text was not delivered")
	// ErrRepairRefused: a repair request that does not meet its conditions.
	ErrRepairRefused = errors.New("a repair request was not acted on")
	// ErrWaitingFull: no room for messages that wait for their objects.
	ErrWaitingFull = errors.New("too many messages wait for their objects, the newest stays on the server")
	// ErrResendRefused: a request for objects that is not mine to answer now.
	ErrResendRefused = errors.New("a request for objects was not answered")
	// ErrNoSession: there is no session with this contact yet.
	ErrNoSession = errors.New("no session with this contact yet; send a message first")
	// ErrServer: the server answered, but with a fault or a refusal.
	ErrServer = errors.New("the server did not accept the request")
)

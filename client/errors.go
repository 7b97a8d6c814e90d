package client

import (
	"errors"
	"fmt"

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
	// ErrRegistrationClosed: the server takes new accounts by invite only.
	ErrRegistrationClosed = errors.New("the server makes accounts for invited people only, no account was made")
	// ErrInviteUnknown: the server has never made this invite.
	ErrInviteUnknown = errors.New("the server knows no such invite, no account was made")
	// ErrInviteUsed: somebody else has made an account with the invite.
	ErrInviteUsed = errors.New("this invite was used by another account already, no account was made")
	// ErrInviteExpired: the invite's time is over.
	ErrInviteExpired = errors.New("this invite has run out, no account was made")
	// ErrInviteRevoked: the operator has taken the invite back.
	ErrInviteRevoked = errors.New("the operator has taken this invite back, no account was made")
	// ErrAccountDisabled: the operator has shut this account out.
	ErrAccountDisabled = errors.New("the server's operator has disabled this account; what was to be sent is kept")
	// ErrOffline: the server cannot be reached. What was to be sent is kept.
	ErrOffline = errors.New("the server cannot be reached; what was to be sent is kept and goes out later")
	// ErrUnknownName: nobody has the name. Nothing was kept or sent.
	ErrUnknownName = errors.New("nobody has this name, nothing was kept or sent")
	// ErrBlocked: the user has blocked the recipient.
	ErrBlocked = errors.New("you have blocked this contact, nothing was sent")
	// ErrOwnName: a text to this very account.
	ErrOwnName = errors.New("this is your own name, nothing was sent")
	// ErrChangedAccount: the name now belongs to another account than the one
	// it was first seen with. Nothing was sent.
	ErrChangedAccount = errors.New("the name belongs to another account than before, nothing was sent")
	// ErrForked: the log holds two different lists of a contact's devices.
	ErrForked = fmt.Errorf("the log holds two different lists of this contact's devices, nothing was sent (%w)", ErrChangedAccount)
	// ErrRoster: the directory's answer about an account does not prove itself.
	ErrRoster = errors.New("the directory's record of this account does not verify, nothing was sent")
	// ErrTransparency: what the server says is not what its log proves. It comes
	// inside a *LogError.
	ErrTransparency = errors.New("the server's log does not prove what the server says, so no key was used and nothing was sent")
	// ErrOtherLog: the log is not the one that another device of this account
	// knows. It comes inside a *LogError.
	ErrOtherLog = errors.New("the server shows this device another log than the device that let it in")
	// ErrNoLog: the server keeps no transparency log.
	ErrNoLog = errors.New("the server keeps no transparency log; what it says about names is taken on trust at first contact")
	// ErrSender: an envelope from a device that no verified account holds.
	ErrSender = errors.New("the sender is no device of a verified account")
	// ErrNoCommonSuite: the other side does not support authenticated Level 3.
	ErrNoCommonSuite = errors.New("the other device does not support this level, nothing was sent")
	// ErrWaitingForPeer: the text is kept. It goes out when the peer's device
	// has published a prekey bundle that can be used.
	ErrWaitingForPeer = errors.New("no usable prekey bundle of the peer's device, the text is kept and goes out later")
	// ErrBundle: the server gave a prekey bundle that the peer's device did not
	// make, or an older one than before. It comes with ErrWaitingForPeer: the
	// text is kept.
	ErrBundle = errors.New("the server gave keys that the peer's device did not publish, or old ones; nothing was sent, and the text is kept")
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
	// ErrNotAFile: what was to be attached is a folder, a pipe or a device.
	ErrNotAFile = errors.New("this is not a regular file, nothing was sent")
	// ErrTooLarge: the file is larger than the server takes.
	ErrTooLarge = errors.New("the file is larger than the server takes, nothing was sent")
	// ErrFileChanged: the file changed while it was being sent.
	ErrFileChanged = errors.New("the file changed while it was being sent, nothing was sent")
	// ErrNoAttachments: the server keeps none.
	ErrNoAttachments = errors.New("the server keeps no attachments, nothing was sent")
	// ErrNoRoom: this account's room for attachments on the server is used up.
	ErrNoRoom = errors.New("your room for attachments on the server is used up, nothing was sent")
	// ErrUploadDamaged: the server got other bytes than were sent.
	ErrUploadDamaged = errors.New("the file was damaged on its way to the server, nothing was sent")
	// ErrUploadInterrupted: the server went out of reach; what it has stays.
	ErrUploadInterrupted = errors.New("the upload was interrupted and no message was sent; the next try goes on where it stopped")
	// ErrUnknownFile: no message of this profile has an attachment of that id.
	ErrUnknownFile = errors.New("no message here has an attachment with this id, nothing was saved")
	// ErrFileGone: the server has the attachment no more, or never had it.
	ErrFileGone = errors.New("the server no longer has this attachment, nothing was saved")
	// ErrFileDamaged: what the server has is not what the sender sent.
	ErrFileDamaged = errors.New("the attachment on the server is not what was sent to you, nothing was saved")
	// ErrNoName: every name near to the attachment's is taken in the folder.
	ErrNoName = errors.New("the folder has a thousand files of this name, nothing was saved")
	// ErrCodeDiffers: a verification code is not the one of this contact.
	ErrCodeDiffers = errors.New("the code is not that of the account which the server shows under this name, nothing was changed")
	// ErrNoComparison: no live comparison of codes with the contact is through.
	ErrNoComparison = errors.New("no live comparison of codes with this contact is through, nothing was changed")
	// ErrVerificationLocked: too many live comparisons have failed.
	ErrVerificationLocked = errors.New("three live comparisons with this contact failed within a day, so none is begun for now")
	// ErrRemoved: this device is not on its account any more, which was proved.
	ErrRemoved = errors.New("this device was removed from its account; what it has received stays readable, and it sends and receives nothing more")
	// ErrRemovalUnproven: the server says that this device is off its account, and
	// has not shown it.
	ErrRemovalUnproven = errors.New("the server says that this device was removed from its account and does not prove it; nothing was erased, and nothing goes out while it says so")
	// ErrStaleDevices: the server speaks of newer devices and does not show them.
	ErrStaleDevices = errors.New("the server says that the recipient's devices have changed and does not prove it, nothing was sent to them")
	// ErrNoDevice: the account has no such device.
	ErrNoDevice = errors.New("this account has no such device, nothing was changed")
	// ErrThisDevice: a device does not remove itself.
	ErrThisDevice = errors.New("this is the device you are at, nothing was changed; remove it from another one")
	// ErrDeviceName: a name that no device can have.
	ErrDeviceName = errors.New("a device's name has 1 to 64 bytes, nothing was changed")
	// ErrHeld: the recovery key lets no device change the account now.
	ErrHeld = errors.New("the recovery key holds this account, so no device can change it for now")
	// ErrDevicesChanged: other devices were faster, again and again.
	ErrDevicesChanged = errors.New("other devices keep changing this account, nothing was changed")
	// ErrNews: what an own device tells does not make sense.
	ErrNews = errors.New("news from another device of this account were not understood")
	// ErrCloned: another copy of this profile has gone on; this one is out.
	ErrCloned = errors.New("another copy of this profile has gone on, so this one may not go on with old keys; nothing was sent")
	// ErrCopyUnproven: the server says so, and has not shown it.
	ErrCopyUnproven = errors.New("the server says that another copy of this profile has gone on and does not prove it; nothing was erased, and nothing goes out while it says so")
	// ErrHistory: what the server has as this account's history does not open.
	ErrHistory = errors.New("the history on the server is not what the other device sent; this part was not taken")
	// ErrNobodyWaits: the code is good for no device that waits now.
	ErrNobodyWaits = errors.New("no device is waiting under this code, nothing was changed")
	// ErrCodeExpired: ten minutes are over.
	ErrCodeExpired = errors.New("the code has run out, nothing was changed")
	// ErrPairing: somebody without the code took part in the pairing.
	ErrPairing = errors.New("the other side of this pairing does not have the code, nothing was changed")
	// ErrDeclined: the user of the other device said no.
	ErrDeclined = errors.New("the other device did not let this one in")
	// ErrOvertaken: the account's devices changed while two of them paired.
	ErrOvertaken = errors.New("the account's devices changed meanwhile, so no device was added")
	// ErrRenewTooLate: a profile from a copy that is older than the last change of
	// its account's devices.
	ErrRenewTooLate = errors.New("the account's devices have changed since this copy was made, so it cannot become a device by itself; nothing was changed")
	// ErrNotLinked: the other device could not put this one on the account.
	ErrNotLinked = errors.New("the other device could not finish, so this one is not linked yet")
	// ErrServer: the server answered, but with a fault or a refusal.
	ErrServer = errors.New("the server did not accept the request")
)

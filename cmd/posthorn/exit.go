package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime/debug"
	"syscall"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/visible"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/kt/witness"
	"github.com/posthorn/posthorn/pairing"
	"github.com/posthorn/posthorn/recovery"
	"github.com/posthorn/posthorn/verification"
)

// The exit codes say who can mend a failure. Scripts may rely on them.
const (
	exitOK       = 0
	exitUser     = 1  // the user can mend it: name taken, no passphrase, profile in use
	exitUsage    = 2  // the command line, a name or a text is not acceptable
	exitServer   = 3  // no server in reach, or the time of --wait ran out
	exitTrust    = 4  // refused because a key or an account does not prove itself
	exitLimit    = 5  // the server or the recipient's mailbox has no room now
	exitNotFound = 6  // nobody has that name
	exitInternal = 70 // a fault of the program
)

// verdict is what a kind of failure means to the user.
type verdict struct {
	is   error
	code int
	text string // replaces the error's own words where those would not help
	hint string
}

// verdicts are tried from the top, so the more specific sentinel comes first.
var verdicts = []verdict{
	{errWaitRanOut, exitServer, "", ""},
	{errOutput, exitUser, "", "what was not written is shown by the next 'posthorn read'"},
	{account.ErrName, exitUsage, "not a name, nothing was done", "a name has 3 to 32 characters of a-z, 0-9, '.', '_' and '-'"},
	{content.ErrTextTooLong, exitUsage, "the text is longer than 65536 bytes (64 KiB), nothing was sent", "split it, or send it as a file with -a"},
	{content.ErrText, exitUsage, "the text is empty or not valid UTF-8, nothing was sent", "give the text as one argument or on standard input"},
	{transport.ErrAddress, exitUsage, "the server's address cannot be used, no account was made", "write it as https://HOST, or http://127.0.0.1:PORT for a server on this machine"},

	{witness.ErrState, exitUser, "the keys of --cosign cannot be used, nothing was signed", "make new ones with 'posthorn transparency keys FILE'"},
	{witness.ErrInUse, exitUser, "another program uses the keys of --cosign, nothing was signed", "end the other one first"},
	{witness.ErrRefused, exitTrust, "the log does not continue the one that these keys signed last, nothing was signed", "keep the file of keys and the folder \"evidence\", and ask the server's operator on another channel"},
	{content.ErrFiles, exitUsage, "the files cannot be sent like this, nothing was sent", "a message takes 16 files with names of at most 255 bytes"},
	{client.ErrNotAFile, exitUser, "", "name a file; pack a folder first"},
	{client.ErrTooLarge, exitUser, "", "split the file; the server's operator sets the limit"},
	{client.ErrFileChanged, exitUser, "", "send it again once it is complete"},
	{client.ErrNoAttachments, exitUser, "", "the server's operator can allow them"},
	{client.ErrNoRoom, exitLimit, "", "older attachments make room when they expire"},
	{client.ErrUploadDamaged, exitServer, "", "run the same command again"},
	{client.ErrUploadInterrupted, exitServer, "", "run the same command again once the server is back"},
	{client.ErrUnknownFile, exitNotFound, "", "'posthorn read' fetches new messages, 'posthorn attachment list' shows the ids"},
	{client.ErrFileGone, exitNotFound, "", "it has expired, or its upload was never finished; ask for it to be sent again"},
	{client.ErrFileDamaged, exitTrust, "", "ask the sender on another channel to send it again, and tell the server's operator"},
	{client.ErrNoName, exitUser, "", "name another folder"},

	{invite.ErrInvite, exitUsage, "this is no invite, or not a whole one; no account was made", "copy the whole link, from https:// to its end, and put it in quotes"},
	{transport.ErrCertificate, exitTrust, "the server's certificate is not the expected one, nothing was sent", "somebody may be in between, or the server was set up anew; ask its operator before you trust it"},
	{transport.ErrClassical, exitTrust, "the server offers no post-quantum TLS, nothing was sent", "somebody may be in between, or the server or its proxy is too old; ask its operator"},

	{pairing.ErrCode, exitUser, "this is not a pairing code, nothing was changed", "compare it with the screen of the new device: 30 characters in six groups"},
	{client.ErrNobodyWaits, exitUser, "", "check the code; it is good for ten minutes and for one device. Run 'posthorn device link' on the new device again for another"},
	{client.ErrCodeExpired, exitUser, "", "run 'posthorn device link' on the new device again for another code"},
	{client.ErrPairing, exitTrust, "", "somebody may be in between; run 'posthorn device link' again for another code, and tell the server's operator if it happens twice"},
	{client.ErrDeclined, exitUser, "the device was not let in, nothing was changed", "run 'posthorn device link' again for another code, and say yes on the other device"},
	{client.ErrRenewTooLate, exitUser, "", "remove the old device on another one, and run 'posthorn device link' with another --home"},
	{client.ErrOvertaken, exitUser, "", "run 'posthorn device link' again for another code"},
	{client.ErrNotLinked, exitServer, "", "run 'posthorn device link' again; it finds out by itself whether this device was let in"},
	{client.ErrRemovalUnproven, exitTrust, "", "'posthorn device list' on another device of yours shows whether it is true; run the command again later, and if it stays, ask the server's operator on another channel"},
	{client.ErrCloned, exitTrust, "", "if you put back a backup, run 'posthorn device renew'; if not, somebody has a copy of your profile: remove this device on another one"},
	{client.ErrCopyUnproven, exitTrust, "", "if you put back a backup, or use a copy of this profile elsewhere, run 'posthorn device renew'; if not, run the command again later, and if it stays, ask the server's operator on another channel"},
	{client.ErrHistory, exitTrust, "", "this device is linked and works; link it anew to get the rest"},
	{recovery.ErrPhrase, exitUser, "", "a phrase has 33 words; look for a slip and type it again"},
	{errNotWritten, exitUser, "", "run the command again and write the new words down first"},
	{client.ErrRecoverySet, exitUser, "", "'posthorn device recovery replace' takes the phrase of the present one"},
	{client.ErrNoRecovery, exitUser, "", "make one with 'posthorn device recovery create'"},
	{client.ErrOtherPhrase, exitUser, "", "look for the paper of the newest phrase"},
	{client.ErrNotRecoverable, exitUser, "", "check the name, the server and that it is the newest phrase"},
	{client.ErrOtherAccount, exitTrust, "", "check the code; if it is right, the server lies: ask your contacts which code they have of you"},
	{client.ErrHold, exitUser, "", "check the clock of this machine"},
	{client.ErrRosterFull, exitLimit, "", "devices can still be removed; tell the server's operator"},
	{client.ErrChangeWaits, exitServer, "", "run 'posthorn device list' once the server is back"},
	{client.ErrAmbiguousDevice, exitUser, "", "write more of the id"},
	{client.ErrLastDevice, exitUser, "", "an account keeps at least one device"},

	{client.ErrNoProfile, exitUser, "there is no account in this folder", "make one with 'posthorn register NAME --invite URL' or '--server URL', or name another folder with --home"},
	{client.ErrProfileExists, exitUser, "this folder holds an account already, nothing was changed", "make another account in another folder with --home"},
	{client.ErrLocked, exitUser, "another program uses this profile, nothing was done", "end the other one first, such as a 'posthorn read --follow'"},
	{client.ErrNoPassphrase, exitUser, "the profile needs a passphrase and there is none, nothing was done", "put it in a file and name that file in " + passphraseFile + ", or run posthorn in a terminal"},
	{client.ErrWrongPassphrase, exitUser, "wrong passphrase, the profile stays locked", "check the file named in " + passphraseFile + ", or type it again"},
	{localdb.ErrKeyStore, exitUser, "the key store of this system did not give out the profile's key", "unlock the key store and try again"},
	{localdb.ErrFull, exitUser, "the disk is full, nothing was saved", "make room and try again"},
	{localdb.ErrNewerSchema, exitUser, "a newer posthorn wrote this profile, nothing was changed", "install that version, or use another profile with --home"},
	{fs.ErrPermission, exitUser, "the profile's folder, or a file that was named, may not be read or written by you", "check its owner and mode, or name another folder with --home"},
	{syscall.ENOSPC, exitUser, "the disk is full, the file was not saved", "make room and run the same command again; it goes on where it stopped"},
	{syscall.EISDIR, exitUser, "a folder was named where a file belongs, nothing was done", "name a file"},
	{syscall.ENOTDIR, exitUser, "a file was named where a folder belongs, nothing was done", "check the path"},
	{fs.ErrNotExist, exitUser, "a file or folder that was named does not exist, nothing was done", "check the path"},
	{client.ErrNameTaken, exitUser, "", "choose another name"},
	{client.ErrRegistrationClosed, exitUser, "", "ask the server's operator for an invite, and register with --invite URL"},
	{client.ErrInviteUnknown, exitUser, "", "check that the link is whole, or ask the operator for another"},
	{client.ErrInviteUsed, exitUser, "", "ask the operator for another invite"},
	{client.ErrInviteExpired, exitUser, "", "ask the operator for another invite"},
	{client.ErrInviteRevoked, exitUser, "", "ask the operator for another invite"},
	{client.ErrAccountDisabled, exitUser, "", "ask the server's operator"},
	{client.ErrBlocked, exitUser, "", "run 'posthorn contact block @NAME --undo' first, if you want to write to them again"},
	{client.ErrOwnName, exitUser, "", "write to somebody else"},
	{client.ErrNoSession, exitUser, "there is no session with them yet", "write to them first with 'posthorn send'"},

	{errNotAContact, exitNotFound, "", "write to them, or accept them when they have written to you"},
	{client.ErrNoLog, exitUser, "", "ask the server's operator to keep one"},
	{kt.ErrEvidence, exitTrust, "the file is neither evidence nor a proof, or it was changed; it shows nothing", "ask for it again, as a file and not as text"},
	{client.ErrUnknownName, exitNotFound, "", "check the spelling; a name belongs to one server"},
	{verification.ErrCode, exitUsage, "this is no verification code, nothing was changed", "give the 60 digits, the 8 digits or 4 words of a live comparison, or a public code that begins with PHID1"},
	{client.ErrCodeDiffers, exitTrust, "", "look for a slip; if there is none, somebody may stand between you: send nothing that matters and compare again on another way"},
	{client.ErrNoComparison, exitUser, "", "run 'posthorn verify @NAME' while both of you are online, or compare the 60 digits"},
	{client.ErrVerificationLocked, exitLimit, "", "compare the 60 digits instead, or try again in a day"},
	{client.ErrForked, exitTrust, "the log holds two different lists of this contact's devices, nothing was sent", "ask them on another channel which devices are theirs; then 'posthorn contact accept @NAME' takes the list that is there now"},
	{client.ErrChangedAccount, exitTrust, "", "ask them on another channel; then 'posthorn verify @NAME CODE', or 'posthorn contact accept @NAME' to take the new account"},
	{client.ErrRoster, exitTrust, "", "the server's answer does not prove itself; tell its operator"},
	{client.ErrStaleDevices, exitTrust, "", "try again in a moment; if it stays, tell the server's operator"},
	{client.ErrRemoved, exitTrust, "", removedHint},
	{client.ErrNoDevice, exitNotFound, "", "'posthorn device list' shows the devices"},
	{client.ErrThisDevice, exitUser, "", "run the command on another device of the account"},
	{client.ErrDeviceName, exitUsage, "", "give a shorter name"},
	{client.ErrHeld, exitTrust, "", "wait for an hour, or sign the change with the recovery phrase"},
	{client.ErrDevicesChanged, exitUser, "", "try again in a moment"},
	{client.ErrBundle, exitTrust, "", "tell the server's operator; a later posthorn command sends the text, once the server gives their keys"},
	{client.ErrNoCommonSuite, exitTrust, "", "they need a newer client"},

	{client.ErrRecipientFull, exitLimit, "", "a later posthorn command sends it, once they have read their messages"},
	{transport.ErrLimited, exitLimit, "the server asks to slow down; what was to be sent is kept", "wait a moment; the next posthorn command sends it"},
	{client.ErrWaitingForPeer, exitServer, "", "a later posthorn command sends it, once their device has been online"},
	{client.ErrOffline, exitServer, "", "the next posthorn command sends what waits; 'posthorn status' shows how much that is"},
	{client.ErrServer, exitServer, "", "try again later, or tell the server's operator"},
	{context.DeadlineExceeded, exitServer, "the server did not answer in time", "try again, or allow more time"},
	{context.Canceled, exitUser, "interrupted", ""},
}

// errWaitRanOut marks that --wait ended before what was waited for.
var errWaitRanOut = errors.New("the wait ran out")

// errOutput says that a message could not be printed, so that it stays unread.
var errOutput = errors.New("standard output cannot be written")

// timeout is errWaitRanOut with words of its own.
func timeout(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errWaitRanOut, fmt.Sprintf(format, args...))
}

// report prints a failure with its hint and returns the exit code for it.
func (a *app) report(ctx context.Context, err error) int {
	if usage, ok := errors.AsType[*usageError](err); ok {
		a.say("error", usage.what)
		a.say("hint", usage.hint)
		return exitUsage
	}
	if ctx.Err() != nil {
		err = context.Canceled
	}
	if failed, ok := errors.AsType[*client.LogError](err); ok {
		defer a.sayCause(err)
		if errors.Is(err, client.ErrRemovalUnproven) {
			a.say("error", client.ErrRemovalUnproven.Error())
		}
		return a.reportLog(failed)
	}
	for _, v := range verdicts {
		if !errors.Is(err, v.is) {
			continue
		}
		text := v.text
		if text == "" {
			text = err.Error()
			if v.is != errWaitRanOut {
				text = v.is.Error()
			}
		}
		a.say("error", text)
		a.say("hint", v.hint)
		a.sayCause(err)
		return v.code
	}
	a.say("error", err.Error())
	a.say("hint", "this should not happen; run the command again with --verbose and report what it prints")
	return exitInternal
}

// say prints one labelled line to standard error. What it prints may hold words
// from a server or from another person, so they are made visible first.
func (a *app) say(label, text string) {
	if text == "" {
		return
	}
	fmt.Fprintf(a.stderr, "posthorn: %s: %s\n", label, visible.Block(text, "  "))
}

// sayCause shows the whole chain of errors to somebody who looks for a fault.
func (a *app) sayCause(err error) {
	if a.verbose {
		a.say("cause", err.Error())
	}
}

// crashed reports a panic without its value, which might hold user text.
func (a *app) crashed(recovered any) int {
	a.say("error", fmt.Sprintf("internal error (%T), the command was not finished", recovered))
	a.say("hint", "nothing that was stored is lost; run the command again with --verbose and report what it prints")
	if a.verbose {
		fmt.Fprintf(a.stderr, "%s", debug.Stack())
	}
	return exitInternal
}

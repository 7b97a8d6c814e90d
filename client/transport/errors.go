package transport

import (
	"context"
	"errors"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// The sentinels say what a caller can do about a failed call.
var (
	// ErrOffline: the server could not be reached, or did not answer in time.
	// Whether it acted on the call is unknown; every call may be repeated.
	ErrOffline = errors.New("transport: the server cannot be reached")
	// ErrNotFound: the name, account, device or bundle does not exist.
	ErrNotFound = errors.New("transport: not found")
	// ErrNameTaken: another account has the name.
	ErrNameTaken = errors.New("transport: the name is taken")
	// ErrDenied: the server does not permit it, such as closed registration;
	// Error.Reason says what.
	ErrDenied = errors.New("transport: not permitted by the server")
	// ErrUnauthenticated: the server does not know this device or its keys.
	ErrUnauthenticated = errors.New("transport: the server does not accept this device")
	// ErrLimited: too many calls; Error.RetryAfter says how long to wait.
	ErrLimited = errors.New("transport: the server asks to slow down")
	// ErrRefused: the server found the request malformed or against its rules.
	ErrRefused = errors.New("transport: refused by the server")
	// ErrReplaced: a newer stream of this device took over the mailbox.
	ErrReplaced = errors.New("transport: another stream of this device took over")
	// ErrNoAttachments: this server keeps no attachments.
	ErrNoAttachments = errors.New("transport: the server keeps no attachments")
	// ErrTooLarge: a file over the server's limit.
	ErrTooLarge = errors.New("transport: the file is larger than the server takes")
	// ErrQuota: this account's room for attachments is used up.
	ErrQuota = errors.New("transport: no room left for attachments")
	// ErrUnknownAttachment: expired, never there, or not finished.
	ErrUnknownAttachment = errors.New("transport: the server has no such attachment")
	// ErrBadDigest: what the server got is not what was sent.
	ErrBadDigest = errors.New("transport: the upload was damaged on its way")
	// ErrNoLog: this server keeps no transparency log.
	ErrNoLog = errors.New("transport: the server keeps no transparency log")
	// ErrRosterChanged: a roster statement is not the next one any more.
	ErrRosterChanged = errors.New("transport: the account's devices were changed first by another device")
	// ErrRosterFull: the server keeps no more statements of this account.
	ErrRosterFull = errors.New("transport: the account's devices were changed too often for this server")
	// ErrHeld: the account's recovery key lets no device change it now.
	ErrHeld = errors.New("transport: the recovery key holds this account")
	// ErrRemoved: this device is not on its account any more.
	ErrRemoved = errors.New("transport: this device was removed from its account")
	// ErrCloned: another copy of this device has logged in since.
	ErrCloned = errors.New("transport: another copy of this device has logged in since")
	// ErrNobodyWaits: no device waits at this slot, or its time is over.
	ErrNobodyWaits = errors.New("transport: no device is waiting under this code")
	// ErrSlotTaken: somebody else has left another message there.
	ErrSlotTaken = errors.New("transport: somebody else has answered under this code")
	// ErrServer: the server answered with a fault of its own.
	ErrServer = errors.New("transport: the server failed")
)

// Error is a failed call. Its text holds no names, ids or payloads.
type Error struct {
	Err        error         // one of the sentinels
	Reason     string        // the server's stable reason, may be empty
	Hint       string        // the server's next step for a person, may be empty
	RetryAfter time.Duration // 0: the server named none
	Ahead      *Login        // with ErrCloned: the login that the server shows; nil: none
	cause      error
}

// Error gives the sentinel's text and the server's reason.
func (e *Error) Error() string {
	if e.Reason == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Reason
}

// Unwrap returns the sentinel and the cause below it.
func (e *Error) Unwrap() []error { return []error{e.Err, e.cause} }

// failure turns an error of a call into an *Error. A call that ended because
// the caller's own context did keeps that context's error.
func failure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	failed := &Error{Err: ErrOffline, cause: err}
	if sentinel, bad := untrusted(err); bad {
		failed.Err = sentinel
		return failed
	}
	var rpc *connect.Error
	if !errors.As(err, &rpc) {
		return failed
	}
	failed.Err = sentinelOf(rpc.Code())
	if rpc.Code() == connect.CodeUnknown && !rpc.IsRemote() {
		failed.Err = ErrOffline // the connection broke in the middle of the answer
	}
	for _, detail := range rpc.Details() {
		message, err := connectproto.UnmarshalErrorDetail(detail)
		if d, ok := message.(*posthornv1.ErrorDetail); ok && err == nil {
			failed.Reason, failed.Hint = d.GetReason(), d.GetHint()
			failed.Err = refine(failed.Err, failed.Reason)
			failed.Ahead = loginIn(d.GetAhead())
			failed.RetryAfter = time.Duration(min(d.GetRetryAfterMs(), maxRetryAfterMs)) * time.Millisecond
		}
	}
	return failed
}

// refine tells apart what one code stands for.
func refine(err error, reason string) error {
	switch reason {
	case api.ReasonNoAttachments:
		return ErrNoAttachments
	case api.ReasonAttachmentSize:
		return ErrTooLarge
	case api.ReasonAttachmentQuota:
		return ErrQuota
	case api.ReasonUnknownAttachment:
		return ErrUnknownAttachment
	case api.ReasonBadDigest:
		return ErrBadDigest
	case api.ReasonDeviceCloned:
		return ErrCloned
	case api.ReasonRosterChanged:
		return ErrRosterChanged
	case api.ReasonRosterFull:
		return ErrRosterFull
	case api.ReasonAccountHeld:
		return ErrHeld
	case api.ReasonDeviceRemoved:
		return ErrRemoved
	case api.ReasonPairingUnknown:
		return ErrNobodyWaits
	case api.ReasonPairingTaken:
		return ErrSlotTaken
	}
	return err
}

// maxRetryAfterMs keeps a server from silencing a client for more than an hour.
const maxRetryAfterMs = 3_600_000

func sentinelOf(code connect.Code) error {
	switch code {
	case connect.CodeUnavailable, connect.CodeDeadlineExceeded, connect.CodeCanceled:
		return ErrOffline
	case connect.CodeNotFound:
		return ErrNotFound
	case connect.CodeAlreadyExists:
		return ErrNameTaken
	case connect.CodePermissionDenied:
		return ErrDenied
	case connect.CodeUnauthenticated:
		return ErrUnauthenticated
	case connect.CodeResourceExhausted:
		return ErrLimited
	case connect.CodeAborted:
		return ErrReplaced
	case connect.CodeInvalidArgument, connect.CodeFailedPrecondition, connect.CodeOutOfRange, connect.CodeUnimplemented:
		return ErrRefused
	default:
		return ErrServer
	}
}

package server

import (
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/proto"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// refusal is an error that the caller is told about: a code for programs, a
// stable reason, words and the next step for people.
type refusal struct {
	code   connect.Code
	reason string // api.Reason…
	text   string // what happened, and what did not
	hint   string // the next step
	retry  time.Duration
	ahead  *posthornv1.Seat // for a device that is behind a copy of itself
	padded bool             // as long as the answer that it stands for
}

// err turns the refusal into the error of a call. The cause is for the log's
// counters and never reaches the caller.
func (r refusal) err(cause error) error {
	failed := connect.NewError(r.code, r.text)
	told := &posthornv1.ErrorDetail{Reason: r.reason, Hint: r.hint, RetryAfterMs: uint64(r.retry.Milliseconds()), Ahead: r.ahead}
	if r.padded {
		told.Padding = refusalPadding(len(r.text), proto.Size(told))
	}
	detail, err := connectproto.NewErrorDetail(told)
	if err == nil {
		failed = failed.WithDetail(detail)
	}
	if cause != nil {
		failed = failed.WithCause(cause)
	}
	return failed
}

// badRequest is the refusal of a request that no correct client makes.
func badRequest(cause error, text string) error {
	return refusal{
		code: connect.CodeInvalidArgument, reason: api.ReasonBadRequest, text: text,
		hint: "this client and this server disagree about the interface; update the older one",
	}.err(cause)
}

// stored is nil for a write that succeeded, else storageFailed.
func stored(err error) error {
	if err == nil {
		return nil
	}
	return storageFailed(err)
}

// storageFailed hides what went wrong with the disk from the caller. The
// outcome of the call is unknown to it, and repeating it is always safe.
func storageFailed(cause error) error {
	return refusal{
		code: connect.CodeUnavailable, reason: api.ReasonStorage, text: "the server cannot store anything right now",
		hint: "nothing was confirmed; try again later", retry: 5 * time.Second,
	}.err(cause)
}

package server

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime"
	"strings"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/store"
)

// access is what every call passes before it reaches a service: size and time
// bounds, the caller's token, rate limits, and a net under panics.
type access struct {
	tokens  *tokens
	live    *live
	options Options
	log     *slog.Logger

	byAddress map[string]*limiter // procedures anyone may call
	byAccount map[string]*limiter
	byDevice  map[string]*limiter
}

func newAccess(t *tokens, options Options, log *slog.Logger) *access {
	l := options.Limits
	lookups := newLimiter(l.Lookups)
	return &access{
		tokens: t, live: newLive(), options: options, log: log,
		byAddress: map[string]*limiter{
			posthornv1connect.AuthServiceGetChallengeProcedure:  newLimiter(l.Challenges),
			posthornv1connect.AuthServiceAuthenticateProcedure:  newLimiter(l.Challenges),
			posthornv1connect.DirectoryServiceRegisterProcedure: newLimiter(l.Registrations),

			posthornv1connect.PairingServicePostPairingProcedure:    newLimiter(l.Registrations),
			posthornv1connect.PairingServiceFetchPairingProcedure:   newLimiter(l.Challenges),
			posthornv1connect.DirectoryServiceUpdateRosterProcedure: newLimiter(l.Registrations),
			posthornv1connect.DirectoryServiceHoldAccountProcedure:  newLimiter(l.Registrations),

			posthornv1connect.DirectoryServiceFindRecoverableProcedure:   newLimiter(l.Registrations),
			posthornv1connect.DirectoryServiceFindRemovalProcedure:       newLimiter(l.Challenges),
			posthornv1connect.TransparencyServiceGetHeadProcedure:        newLimiter(l.Challenges),
			posthornv1connect.TransparencyServiceGetConsistencyProcedure: newLimiter(l.Challenges),
			posthornv1connect.TransparencyServiceGetPolicyProcedure:      newLimiter(l.Challenges),
		},
		byAccount: map[string]*limiter{
			posthornv1connect.DirectoryServiceGetAccountProcedure:    lookups,
			posthornv1connect.DirectoryServiceFetchBundleProcedure:   newLimiter(l.Bundles),
			posthornv1connect.DirectoryServicePublishBundleProcedure: newLimiter(l.Bundles),
			posthornv1connect.AttachmentServiceStartUploadProcedure:  newLimiter(l.Attachments),

			posthornv1connect.TransparencyServiceGetUpdatesProcedure: newLimiter(l.Lookups),
			posthornv1connect.TransparencyServiceGetHistoryProcedure: newLimiter(l.Lookups),
		},
		byDevice: map[string]*limiter{
			posthornv1connect.MailboxServiceSendProcedure:    newLimiter(l.Sends),
			posthornv1connect.MailboxServiceAckProcedure:     newLimiter(l.Sends),
			posthornv1connect.MailboxServiceReceiveProcedure: newLimiter(l.Challenges),

			posthornv1connect.MailboxServiceSendStreamProcedure: newLimiter(l.Challenges),

			posthornv1connect.AttachmentServiceUploadPartProcedure:      newLimiter(l.Sends),
			posthornv1connect.AttachmentServiceFinishUploadProcedure:    newLimiter(l.Sends),
			posthornv1connect.AttachmentServiceFetchAttachmentProcedure: newLimiter(l.Sends),
		},
	}
}

// request is what the HTTP layer knows of a call.
type request struct {
	audience string // the host that the client dialled
	address  string
	control  *http.ResponseController
}

type requestKey struct{}
type callerKey struct{}

func requestOf(ctx context.Context) request {
	r, _ := ctx.Value(requestKey{}).(request)
	return r
}

// audienceOf is the host that the client says it dialled.
func audienceOf(ctx context.Context) string { return requestOf(ctx).audience }

// callerOf is the authenticated device. The interceptor lets no procedure that
// asks for it through without one.
func callerOf(ctx context.Context) caller {
	who, _ := ctx.Value(callerKey{}).(caller)
	return who
}

// maxLogin bounds the body of a request by somebody unknown: the largest
// statement, with room for a bundle and a proof in any encoding.
const maxLogin = 2*account.MaxStatement + 64<<10

// wrap bounds a request before its body is read. Request and answer get as
// much time to travel as the call itself has.
func (a *access) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		deadline := time.Now().Add(2 * a.options.Limits.CallTime)
		_ = control.SetReadDeadline(deadline)
		if lasts(r.URL.Path) {
			deadline = time.Time{} // the stream bounds every response
		}
		_ = control.SetWriteDeadline(deadline)
		limit := a.bodyLimit(r.URL.Path)
		if r.ContentLength > min(limit, api.MaxRequest) {
			// It is refused by what it says of itself: nobody reads it. What is
			// on its way must not be taken for the next request.
			w.Header().Set("Connection", "close")
			limit = 0
		}
		r.Body = http.MaxBytesReader(w, r.Body, limit)
		ctx := context.WithValue(r.Context(), requestKey{}, request{
			audience: r.Host, address: a.addressOf(r), control: control,
		})
		r = r.WithContext(ctx)
		if r.URL.Path == posthornv1connect.MailboxServiceSendStreamProcedure {
			bothWays(r, control)
		}
		next.ServeHTTP(w, r)
	})
}

// lasts reports whether a procedure is a stream without an end of its own.
func lasts(procedure string) bool {
	return procedure == posthornv1connect.MailboxServiceReceiveProcedure || procedure == posthornv1connect.MailboxServiceSendStreamProcedure
}

// bothWays lets a body be read while the answer is written. The library that
// reads it knows this of HTTP/2 alone; Go's server can do it over HTTP/1.1 too,
// at half the price, and who calls finds out whether the way there lets it.
func bothWays(r *http.Request, control *http.ResponseController) {
	r.Body = buffered{bufio.NewReader(r.Body), r.Body}
	if r.ProtoMajor == 1 && control.EnableFullDuplex() == nil {
		r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	}
}

// buffered reads a body in larger pieces than its messages have.
type buffered struct {
	*bufio.Reader
	io.Closer
}

// bodyLimit is the greatest request body of a procedure, in bytes. That of a
// stream has no end; each message in it is bounded.
func (a *access) bodyLimit(procedure string) int64 {
	if procedure == posthornv1connect.MailboxServiceSendStreamProcedure {
		return math.MaxInt64
	}
	if a.byAddress[procedure] != nil {
		return maxLogin
	}
	return api.MaxRequest + 4096 // the framing around a message
}

// addressOf is what unauthenticated callers are counted by.
func (a *access) addressOf(r *http.Request) string {
	if hops := r.Header.Values("X-Forwarded-For"); a.options.BehindProxy && len(hops) > 0 {
		last := hops[len(hops)-1]
		return countedBy(strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])) // the one our proxy added
	}
	return countedBy(r.RemoteAddr)
}

// countedBy is the part of an address that stands for one caller. IPv6 callers
// count by their /64, of which one machine usually has all.
func countedBy(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String()
	}
	return host
}

// intercept checks token and rate before the service runs, bounds its time,
// and notes how it ended.
func (a *access) intercept(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) (err error) {
		began := time.Now()
		defer func() {
			err = a.finish(spec.Procedure, err, recover())
			took := time.Since(began)
			if lasts(spec.Procedure) {
				took = 0
			}
			a.count(spec.Procedure, err, took)
		}()
		ctx, err = a.admit(ctx, spec.Procedure)
		if err != nil {
			return err
		}
		if spec.StreamType == connect.StreamTypeUnary {
			bounded, cancel := context.WithTimeout(ctx, a.options.Limits.CallTime)
			defer cancel()
			return next(bounded, spec, stream)
		}
		return a.stream(ctx, spec, stream, next)
	}
}

// count notes a call in the metrics: what it was, how it ended, how long it
// took, and never whose.
func (a *access) count(procedure string, err error, took time.Duration) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	a.options.Metrics.Call(procedure, code, took)
	if check, ok := errors.AsType[*reject.Error](err); ok {
		a.options.Metrics.Refused(check.Check)
	}
}

// stream runs a call that has no end of its own until its device is shut out,
// which may have happened since the token was looked at.
func (a *access) stream(ctx context.Context, spec connect.Spec, stream connect.ServerStream, next connect.ServerFunc) error {
	box := callerOf(ctx).box
	ctx, over := a.live.track(ctx, box)
	defer over()
	if err := a.tokens.shut(ctx, box); err != nil {
		return notIssued(err)
	}
	err := next(ctx, spec, stream)
	if errors.Is(context.Cause(ctx), errShutOut) {
		return a.whyShut(context.WithoutCancel(ctx), box)
	}
	return err
}

// admit lets the procedures of a login and of a pairing through by address, and all
// whyShut is what a device is told whose stream was ended.
func (a *access) whyShut(ctx context.Context, box store.Box) error {
	if errors.Is(a.tokens.shut(ctx, box), errRemoved) {
		return deviceRemoved()
	}
	return accountDisabled()
}

// admit lets what proves itself through by address, and all
// others by token. A procedure in none of the tables is refused.
func (a *access) admit(ctx context.Context, procedure string) (context.Context, error) {
	now := clock.Now()
	if l, ok := a.byAddress[procedure]; ok {
		return ctx, l.allow(requestOf(ctx).address, now)
	}
	who, ok, err := a.holder(ctx, now)
	if err != nil {
		return ctx, storageFailed(err)
	}
	if !ok {
		return ctx, refusal{
			code: connect.CodeUnauthenticated, reason: api.ReasonNoToken, text: "log in first; nothing was done",
			hint: "authenticate and repeat the call",
		}.err(reject.New("V-81", ErrToken, ""))
	}
	ctx = context.WithValue(ctx, callerKey{}, who)
	if l, ok := a.byAccount[procedure]; ok {
		return ctx, l.allow(string(who.account[:]), now)
	}
	if l, ok := a.byDevice[procedure]; ok {
		return ctx, l.allow(who.key(), now)
	}
	return ctx, connect.NewError(connect.CodeUnimplemented, "no such procedure")
}

func (a *access) holder(ctx context.Context, now time.Time) (caller, bool, error) {
	info, ok := connect.CallInfoForServerContext(ctx)
	if !ok {
		return caller{}, false, nil
	}
	return a.tokens.holder(ctx, info.RequestHeader().Get("Authorization"), now)
}

// finish turns a panic into an error, keeps foreign errors from the wire, and
// logs what an operator has to know: faults of ours, never who called.
func (a *access) finish(procedure string, err error, panicked any) error {
	if panicked != nil {
		a.log.Error("panic in a call", "procedure", procedure, "stack", callPath())
		return connect.NewError(connect.CodeInternal, "the server failed; the call may or may not have had an effect")
	}
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	var check *reject.Error
	if errors.As(err, &check) {
		a.log.Debug("refused", "procedure", procedure, "check", check.Check)
		return err
	}
	if cause := errors.Unwrap(err); cause != nil && connect.CodeOf(err) == connect.CodeUnavailable {
		a.log.Error("call failed", "procedure", procedure, "error", cause)
	}
	return err
}

// callPath is where a panic came from: functions and lines. Unlike the
// runtime's own trace it shows no arguments, which may be ids or contents.
func callPath() (path []string) {
	var counters [32]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(4, counters[:])])
	for {
		frame, more := frames.Next()
		path = append(path, fmt.Sprintf("%s:%d", frame.Function, frame.Line))
		if !more {
			return path
		}
	}
}

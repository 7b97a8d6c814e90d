package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// Error is a command that a running server refused or could not carry out.
type Error struct {
	Kind string `json:"kind"` // one of the kinds below
	Text string `json:"text"` // what happened, and what did not
	Hint string `json:"hint"` // the next step
}

// The kinds of an Error.
const (
	KindRefused = "refused" // the operator can mend it
	KindFailed  = "failed"  // the server could not
)

// Error is the text.
func (e *Error) Error() string { return e.Text }

// ErrUnanswered: the connection ended, or the caller gave up, before the answer
// was there. The text says what is known about the command.
var ErrUnanswered = errors.New("the server did not answer")

// unanswered says what is known when no answer, or half of one, came.
func unanswered(method string, begun bool, cause error) error {
	known := "what it did is unknown"
	switch {
	case method == http.MethodGet:
		known = "it was only asked, nothing was changed"
	case begun:
		known = "it did what it was told, but the answer was lost"
	}
	return fmt.Errorf("%w, %s: %w", ErrUnanswered, known, cause)
}

// maxAnswer bounds an answer that is read whole, in bytes.
const maxAnswer = 64 << 20

// Call asks the server of a data folder for one thing: in, if not nil, is sent
// as JSON, and the answer is read into out, if not nil. ErrNoServer,
// ErrUnanswered, *Error.
func Call(ctx context.Context, data, method, path string, in, out any) error {
	answer, err := Stream(ctx, data, method, path, in)
	if err != nil {
		return err
	}
	defer answer.Close()
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(answer, maxAnswer)).Decode(out); err != nil {
		return unanswered(method, true, err)
	}
	return nil
}

// Stream is Call for an answer of any length. The caller closes it.
func Stream(ctx context.Context, data, method, path string, in any) (io.ReadCloser, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://posthornd"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	conn, err := dial(data)
	if err != nil {
		return nil, err
	}
	network := &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	answer, err := network.RoundTrip(request)
	if err != nil {
		_ = conn.Close()
		return nil, unanswered(method, false, err)
	}
	if answer.StatusCode == http.StatusOK {
		return answer.Body, nil
	}
	defer answer.Body.Close()
	refused := &Error{}
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<16)).Decode(refused); err != nil || refused.Text == "" {
		return nil, &Error{KindFailed, fmt.Sprintf("the server does not know this command (HTTP %d)", answer.StatusCode), "restart the server, so that it has the version of this program"}
	}
	return nil, refused
}

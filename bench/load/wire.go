package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
)

// wire is one HTTP/1.1 connection with one SendStream on it: as much of that
// and of Connect's framing as a load needs, with requests whose bytes were made
// beforehand. It logs in as its stub does. It is for one goroutine.
type wire struct {
	stub     *stub
	conn     net.Conn
	in       *bufio.Reader
	begun    bool // the head of the answer is through
	out      []byte
	number   uint64 // of the last request
	answered uint64 // the last number that was answered
	got      []byte // of the answers, not read yet
}

// outcome is what became of one request: what HTTP would have said of a call.
type outcome struct {
	status int
	body   []byte
}

// call sends one request on the stream and returns what Send would have
// answered. After an error the stream is gone and the outcome unknown.
func (w *wire) call(ctx context.Context, r request) (status int, body []byte, err error) {
	if err := w.ready(ctx); err != nil {
		return 0, nil, err
	}
	w.put(r.body)
	answers, err := w.exchange()
	if err != nil || len(answers) != 1 {
		w.hangUp()
		return 0, nil, errors.Join(err, errAnswer)
	}
	return answers[0].status, answers[0].body, nil
}

// exchange sends what was put and waits for the next answers, in the order of
// the requests.
func (w *wire) exchange() ([]outcome, error) {
	_ = w.conn.SetDeadline(time.Now().Add(answerTime))
	if len(w.out) > 0 {
		if _, err := w.conn.Write(w.out); err != nil {
			return nil, err
		}
		w.out = w.out[:0]
	}
	for {
		if answers, err := w.answers(); err != nil || len(answers) > 0 {
			return answers, err
		}
	}
}

// ready opens the stream where that is not done yet, with a token that is good.
func (w *wire) ready(ctx context.Context) error {
	if w.conn != nil && time.Now().Before(w.stub.renewAt) {
		return nil
	}
	w.hangUp()
	if err := w.stub.ready(ctx); err != nil {
		return err
	}
	*w = wire{stub: w.stub, conn: w.stub.conn, in: w.stub.answers}
	w.stub.conn = nil
	_, err := fmt.Fprintf(w.conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/connect+proto\r\nConnect-Protocol-Version: 1\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n",
		posthornv1connect.MailboxServiceSendStreamProcedure, w.stub.server.Host, w.stub.token)
	return err
}

func (w *wire) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// put makes one request ready to go: a chunk with the envelope of Connect around
// the number and the Send call.
func (w *wire) put(body []byte) {
	w.number++
	head := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), w.number)
	head = protowire.AppendVarint(protowire.AppendTag(head, 2, protowire.BytesType), uint64(len(body)))
	length := len(head) + len(body)
	w.out = strconv.AppendInt(w.out, int64(5+length), 16)
	w.out = append(w.out, '\r', '\n', 0)
	w.out = append(binary.BigEndian.AppendUint32(w.out, uint32(length)), head...)
	w.out = append(append(w.out, body...), '\r', '\n')
}

// answers reads the next response, which may have none.
func (w *wire) answers() (all []outcome, err error) {
	flags, message, err := w.message()
	if err != nil {
		return nil, err
	}
	if flags != 0 {
		w.stub.renewAt = time.Time{} // the token may be why
		return nil, fmt.Errorf("%w: %s", errStream, message)
	}
	var response posthornv1.SendStreamResponse
	if err := proto.Unmarshal(message, &response); err != nil {
		return nil, err
	}
	for _, a := range response.GetAnswers() {
		if w.answered++; a.GetNumber() != w.answered || w.answered > w.number {
			return nil, errAnswer
		}
		if refused := a.GetRefused(); refused != nil {
			all = append(all, outcome{statusOf(refused.GetCode()), []byte(refused.GetText())})
			continue
		}
		body, err := proto.Marshal(a.GetSent())
		if err != nil {
			return nil, err
		}
		all = append(all, outcome{http.StatusOK, body})
	}
	return all, nil
}

// statusOf is what HTTP would have said.
func statusOf(code string) int {
	switch code {
	case "resource_exhausted":
		return http.StatusTooManyRequests
	case "unavailable":
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

var errStream = errors.New("the server ended the stream")

// message is the next one in the framing of Connect, with its flags.
func (w *wire) message() (flags byte, body []byte, err error) {
	for len(w.got) < 5 || len(w.got) < 5+int(binary.BigEndian.Uint32(w.got[1:])) {
		if err := w.chunk(); err != nil {
			return 0, nil, err
		}
	}
	length := 5 + int(binary.BigEndian.Uint32(w.got[1:]))
	flags, body = w.got[0], w.got[5:length:length]
	w.got = w.got[length:]
	return flags, body, nil
}

// chunk takes in the next chunk of the answer, and its head before the first.
func (w *wire) chunk() error {
	for !w.begun {
		line, err := w.in.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.HasPrefix(line, "HTTP/") && !strings.HasPrefix(line, "HTTP/1.1 200") {
			return fmt.Errorf("%w: %s", errStream, strings.TrimSpace(line))
		}
		w.begun = line == "\r\n"
	}
	line, err := w.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	length, err := strconv.ParseUint(strings.TrimSpace(string(line)), 16, 24)
	if err != nil || length == 0 {
		return errStream
	}
	whole := make([]byte, len(w.got)+int(length))
	if _, err := io.ReadFull(w.in, whole[copy(whole, w.got):]); err != nil {
		return err
	}
	w.got = whole
	_, err = w.in.Discard(2)
	return err
}

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
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
)

// wire is one connection with one SendStream on it, over HTTP/2 and in the
// framing of Connect: as much of both as a load needs, with requests whose bytes
// were made beforehand. It logs in as its stub does. It is for one goroutine.
type wire struct {
	stub   *stub
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	number uint64 // of the last request

	room, roomOfAll int64  // what the server takes of the stream, and of the connection
	first           int64  // what it takes of a new stream
	got             []byte // of the answer, not read yet
}

// The frames of HTTP/2 (RFC 9113) that a send stream meets, and their flags.
const (
	frameData, frameHeaders, frameReset, frameSettings, framePing, frameGoAway, frameWindow = 0, 1, 3, 4, 6, 7, 8

	flagEnd, flagAck, flagEndHeaders = 1, 1, 4

	frameHead, frameBody = 9, 16 << 10
	settingWindow        = 4
	plentyOfRoom         = 1<<31 - 1
	roomByDefault        = 1<<16 - 1
)

// call sends one request on the stream and returns what Send would have
// answered. After an error the stream is gone and the outcome unknown.
func (w *wire) call(ctx context.Context, r request) (status int, body []byte, err error) {
	if err := w.ready(ctx); err != nil {
		return 0, nil, err
	}
	_ = w.conn.SetDeadline(time.Now().Add(answerTime))
	if err = w.send(r.body); err == nil {
		status, body, err = w.answer()
	}
	if err != nil {
		w.hangUp()
	}
	return status, body, err
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
	conn := w.stub.conn
	w.stub.conn = nil
	if w.stub.server.Scheme == "https" {
		_ = conn.Close()
		var err error
		if conn, err = dial(ctx, w.stub.server, w.stub.from, "h2"); err != nil {
			return err
		}
	}
	*w = wire{stub: w.stub, conn: conn, in: bufio.NewReaderSize(conn, 8<<10), room: roomByDefault, roomOfAll: roomByDefault, first: roomByDefault}
	return w.open()
}

// open says hello and begins the call.
func (w *wire) open() error {
	w.out = append(w.out[:0], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"...)
	w.frame(frameSettings, 0, 0, binary.BigEndian.AppendUint32([]byte{0, settingWindow}, plentyOfRoom))
	w.frame(frameWindow, 0, 0, binary.BigEndian.AppendUint32(nil, plentyOfRoom-roomByDefault))
	var head []byte
	for _, field := range [][2]string{
		{":method", "POST"}, {":scheme", w.stub.server.Scheme}, {":authority", w.stub.server.Host}, {":path", posthornv1connect.MailboxServiceSendStreamProcedure},
		{"content-type", "application/connect+proto"}, {"connect-protocol-version", "1"}, {"authorization", "Bearer " + w.stub.token},
	} {
		head = append(head, 0) // a literal that is not to be remembered
		for _, text := range field {
			if len(text) < 127 {
				head = append(head, byte(len(text)))
			} else {
				head = binary.AppendUvarint(append(head, 127), uint64(len(text)-127))
			}
			head = append(head, text...)
		}
	}
	w.frame(frameHeaders, flagEndHeaders, 1, head)
	_, err := w.conn.Write(w.out)
	return err
}

func (w *wire) hangUp() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// frame puts one frame into out.
func (w *wire) frame(kind, flags byte, stream uint32, body []byte) {
	w.out = append(w.out, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), kind, flags)
	w.out = append(binary.BigEndian.AppendUint32(w.out, stream), body...)
}

// send writes one request: the envelope of Connect around the number and the
// Send call, in as many frames as that takes.
func (w *wire) send(body []byte) error {
	w.number++
	number := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), w.number)
	number = protowire.AppendVarint(protowire.AppendTag(number, 2, protowire.BytesType), uint64(len(body)))
	length := len(number) + len(body)
	message := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(length)), number...)
	w.out = w.out[:0]
	if 5+length <= frameBody { // what is sent most needs no copy of its own
		w.out = append(w.out, byte((5+length)>>16), byte((5+length)>>8), byte(5+length), frameData, 0, 0, 0, 0, 1)
		w.out = append(append(w.out, message...), body...)
	} else {
		for message = append(message, body...); len(message) > 0; message = message[min(frameBody, len(message)):] {
			w.frame(frameData, 0, 1, message[:min(frameBody, len(message))])
		}
	}
	for size := int64(5 + length); size > min(w.room, w.roomOfAll); {
		if _, err := w.read(); err != nil {
			return err
		}
	}
	w.room, w.roomOfAll = w.room-int64(5+length), w.roomOfAll-int64(5+length)
	_, err := w.conn.Write(w.out)
	return err
}

// answer waits for the answer to the last request.
func (w *wire) answer() (status int, body []byte, err error) {
	for {
		for len(w.got) < 5 || len(w.got) < 5+int(binary.BigEndian.Uint32(w.got[1:])) {
			if _, err := w.read(); err != nil {
				return 0, nil, err
			}
		}
		length := 5 + int(binary.BigEndian.Uint32(w.got[1:]))
		if w.got[0] != 0 {
			w.stub.renewAt = time.Time{} // the token may be why
			return 0, nil, fmt.Errorf("the stream ended: %s", w.got[5:length])
		}
		var response posthornv1.SendStreamResponse
		if err := proto.Unmarshal(w.got[5:length], &response); err != nil {
			return 0, nil, err
		}
		w.got = append(w.got[:0], w.got[length:]...)
		for _, a := range response.GetAnswers() {
			if a.GetNumber() != w.number {
				return 0, nil, errAnswer
			}
			if refused := a.GetRefused(); refused != nil {
				return statusOf(refused.GetCode()), []byte(refused.GetText()), nil
			}
			body, err := proto.Marshal(a.GetSent())
			return http.StatusOK, body, err
		}
	}
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

// read takes in one frame.
func (w *wire) read() (kind byte, err error) {
	head, err := w.in.Peek(frameHead)
	if err != nil {
		return 0, err
	}
	length := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
	_, _ = w.in.Discard(frameHead)
	at := len(w.got)
	w.got = append(w.got, make([]byte, length)...)
	body := w.got[at:]
	if _, err := io.ReadFull(w.in, body); err != nil {
		return 0, err
	}
	if kind != frameData {
		w.got = w.got[:at]
	}
	switch {
	case kind == frameReset, kind == frameGoAway, kind == frameHeaders && flags&flagEnd != 0:
		return kind, errStream
	case kind == frameHeaders && (length == 0 || body[0] != 0x88): // :status 200
		return kind, fmt.Errorf("%w: it has no status 200", errStream)
	case kind == frameWindow && stream == 0:
		w.roomOfAll += int64(binary.BigEndian.Uint32(body))
	case kind == frameWindow:
		w.room += int64(binary.BigEndian.Uint32(body))
	case kind == framePing && flags&flagAck == 0:
		return kind, w.reply(framePing, body)
	case kind == frameSettings && flags&flagAck == 0:
		w.settings(body)
		return kind, w.reply(frameSettings, nil)
	}
	return kind, nil
}

// settings learns how much the server takes of a stream that it does not read.
func (w *wire) settings(body []byte) {
	for ; len(body) >= 6; body = body[6:] {
		if binary.BigEndian.Uint16(body) == settingWindow {
			first := int64(binary.BigEndian.Uint32(body[2:]))
			w.room, w.first = w.room+first-w.first, first
		}
	}
}

func (w *wire) reply(kind byte, body []byte) error {
	kept := w.out // may hold a request that waits for room
	w.out = nil
	w.frame(kind, flagAck, 0, body)
	_, err := w.conn.Write(w.out)
	w.out = kept
	return err
}

//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// xmpp is one client connection that knows as much of XMPP as a load needs. It
// looks for the ends of elements instead of parsing them, so that most of the
// machine is the server's.
type xmpp struct {
	conn net.Conn
	in   *bufio.Reader
}

const patience = 60 * time.Second

// dialXMPP connects, makes the account if asked, logs in and binds.
func dialXMPP(ctx context.Context, address, name string, enrol bool) (*xmpp, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	x := &xmpp{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
	if enrol {
		answer := ""
		if _, err = x.ask("</stream:features>", opening); err == nil {
			answer, err = x.ask(">", "<iq type='set' id='reg'><query xmlns='jabber:iq:register'><username>"+name+"</username><password>secret</password></query></iq>")
		}
		if err == nil && !strings.Contains(answer, "result") {
			err = fmt.Errorf("refused: %s", answer)
		}
		_ = conn.Close()
		return nil, wrong("register", err)
	}
	return x, x.login(name)
}

const opening = "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>"

func (x *xmpp) login(name string) error {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00" + name + "\x00secret"))
	for _, step := range []struct{ until, say string }{
		{"</stream:features>", opening},
		{">", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + plain + "</auth>"},
		{"</stream:features>", opening},
		{"</iq>", "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>load</resource></bind></iq>"},
		{">", "<enable xmlns='urn:xmpp:sm:3'/>"},
	} {
		answer, err := x.ask(step.until, step.say)
		if err != nil || strings.Contains(answer, "failure") || strings.Contains(answer, "type='error'") {
			return wrong("login of "+name, fmt.Errorf("%w, %s", err, answer))
		}
	}
	return nil
}

func wrong(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("XMPP %s: %w", what, err)
}

// ask writes and reads until an element's end has come.
func (x *xmpp) ask(until, say string) (string, error) {
	_ = x.conn.SetDeadline(time.Now().Add(patience))
	if _, err := x.conn.Write([]byte(say)); err != nil {
		return "", err
	}
	var got []byte
	for !bytes.HasSuffix(got, []byte(until)) {
		part, err := x.in.ReadSlice('>')
		if err != nil {
			return string(got), err
		}
		got = append(got, part...)
	}
	return string(got), nil
}

// send delivers one message n times, as many at once as may be under way, and
// waits until the server says that it has handled each (XEP-0198).
func (x *xmpp) send(message []byte, n, ahead int) error {
	return pipelined(x.conn, n, ahead, func(int) []byte { return message }, func() error {
		for {
			part, err := x.in.ReadSlice('>')
			if err != nil || bytes.HasPrefix(bytes.TrimLeft(part, "\n "), []byte("<a ")) {
				return err
			}
		}
	})
}

// message is a text with as many bytes as asked for.
func xmppMessage(to string, size int) []byte {
	raw := make([]byte, size)
	_, _ = rand.Read(raw)
	body := base64.StdEncoding.EncodeToString(raw)[:size]
	return []byte("<message to='" + to + "@localhost' type='chat' id='" + body[:12] + "'><body>" + body + "</body></message><r xmlns='urn:xmpp:sm:3'/>")
}

// receive announces presence and counts messages until ctx ends, answering the
// server's questions how far it has come.
func (x *xmpp) receive(ctx context.Context, count *atomic.Int64) error {
	if _, err := x.conn.Write([]byte("<presence/>")); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = x.conn.Close() })
	defer stop()
	_ = x.conn.SetDeadline(time.Time{})
	handled := 0
	for {
		part, err := x.in.ReadSlice('>')
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case bytes.HasSuffix(part, []byte("</message>")):
			handled++
			count.Add(1)
		case bytes.Contains(part, []byte("<r ")):
			if _, err := fmt.Fprintf(x.conn, "<a xmlns='urn:xmpp:sm:3' h='%d'/>", handled); err != nil {
				return err
			}
		}
	}
}

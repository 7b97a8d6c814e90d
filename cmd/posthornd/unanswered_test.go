package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/server/admin"
)

// dying answers one command after another on the socket of a folder as a server
// does that is killed: at each, it says so much and the connection is gone.
func dying(t *testing.T, data, says string) {
	t.Helper()
	l, err := admin.Listen(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = fmt.Fprint(conn, says)
			}
			_ = conn.Close()
		}
	}()
}

// A server that dies before or in the midst of its answer is a server that does
// not answer: exit code 3, with what is known of the command, and nothing on
// the standard output that a script could take for an answer.
func TestServerDiesWhileItAnswers(t *testing.T) {
	for name, says := range map[string]string{
		"before it answers":            "",
		"within the headers":           "HTTP/1.1 200 OK\r\nContent-Le",
		"before the body":              "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n",
		"within the body":              "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{\"version\":\"1\",\"de",
		"within a body without an end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"version\"",
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			dying(t, data, says)
			for _, c := range []struct {
				args  []string
				known string
			}{
				{[]string{"status", "--data", data, "--json"}, "nothing was changed"},
				{[]string{"user", "list", "--data", data, "--json"}, "nothing was changed"},
				{[]string{"invite", "list", "--data", data, "--json"}, "nothing was changed"},
				{[]string{"invite", "create", "--data", data, "--json"}, map[bool]string{true: "it did what it was told", false: "what it did is unknown"}[strings.Contains(says, "\r\n\r\n")]},
			} {
				code, out, complaint := command(t, c.args...)
				if code != exitServer || out != "" || !strings.Contains(complaint, c.known) || !strings.Contains(complaint, "hint: ") {
					t.Errorf("%v: exit %d, %q, %q; want %d and %q", c.args[:2], code, out, complaint, exitServer, c.known)
				}
			}
		})
	}
}

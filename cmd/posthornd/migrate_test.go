package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

func TestMigrate(t *testing.T) {
	data, url := t.TempDir(), pgtest.Database(t)
	fillStore(t, data, time.Now())
	s := start(t, data)
	code, out, complaint := command(t, "migrate", "--data", data, "--to", url, "--json")
	var sum struct {
		Schema                        string
		Mailboxes, Envelopes, Dropped int
	}
	if err := json.Unmarshal([]byte(out), &sum); err != nil || code != 0 || sum.Schema != "posthornd.migrate/1" || sum.Mailboxes != 2 || sum.Envelopes != 1 {
		t.Fatalf("exit %d, %q, %q, %v", code, out, complaint, err)
	}
	if _, out, _ := command(t, "status", "--data", data); !strings.Contains(out, "on postgres: 2 devices, 2 mailboxes, 1 envelopes") {
		t.Errorf("status: %q", out)
	}
	if code, _, complaint := command(t, "migrate", "--data", data, "--to", url); code != exitUser || !strings.Contains(complaint, "runs on a database already") {
		t.Errorf("again: exit %d, %q", code, complaint)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
	if strings.Contains(s.stderr.String(), nameOf(url)) {
		t.Errorf("the log names the database:\n%s", &s.stderr)
	}
	wantRefusal(t, data, embedded, "moved into a database", "POSTHORN_STORE")
	wantRefusal(t, data, pgtest.Database(t), "not the database that the server was moved into")
	if code := start(t, data, "--store", url).end(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if err := os.WriteFile(filepath.Join(data, movedFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, data, url, movedFile+" in the data folder is damaged")
}

func nameOf(url string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(url, "postgres:///"), "?")
	return name
}

// wantRefusal serves where it must not, and wants words.
func wantRefusal(t *testing.T, data, where string, words ...string) {
	t.Helper()
	code, out, complaint := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--store", where)
	if code != exitUser || out != "" {
		t.Errorf("exit %d, %q", code, out)
	}
	for _, w := range words {
		if !strings.Contains(complaint, w) {
			t.Errorf("%q does not say %q", complaint, w)
		}
	}
}

// What cannot be moved stays as it is, and the server goes on.
func TestMigrateThatIsRefused(t *testing.T) {
	data, used := t.TempDir(), pgtest.Database(t)
	other := t.TempDir()
	fillStore(t, other, time.Now())
	o := start(t, other)
	if code, _, complaint := command(t, "migrate", "--data", other, "--to", used); code != 0 {
		t.Fatal(code, complaint)
	}
	defer o.end()
	s := start(t, data)
	for _, c := range []struct {
		args []string
		says string
		code int
	}{
		{[]string{"--to", used}, "needs a folder", exitUsage},
		{[]string{"--data", data}, "needs a database", exitUsage},
		{[]string{"--data", t.TempDir(), "--to", used}, "no posthornd runs", exitServer},
		{[]string{"--data", data, "--to", used}, "holds mailboxes or accounts already", exitUser},
		{[]string{"--data", data, "--to", "mysql://u:hunter2@h/d"}, "nothing was moved", exitUser},
		{[]string{"--data", data, "--to", "postgres://u:hunter2@127.0.0.1:1/d"}, "connection refused", exitUser},
		{[]string{"--data", data, "--to", used + "&options=-c%20synchronous_commit%3Doff"}, "synchronous_commit is off", exitUser},
	} {
		code, out, complaint := command(t, append([]string{"migrate"}, c.args...)...)
		if code != c.code || out != "" || !strings.Contains(complaint, c.says) || !strings.Contains(complaint, "hint: ") {
			t.Errorf("%v: exit %d, %q, %q; want %d and %q", c.args, code, out, complaint, c.code, c.says)
		}
		if strings.Contains(complaint, "hunter2") {
			t.Errorf("the password is shown: %q", complaint)
		}
	}
	if code, _, complaint := command(t, "health", "--addr", strings.TrimPrefix(s.url, "http://")); code != 0 {
		t.Errorf("health: exit %d, %q", code, complaint)
	}
	s.end()
	if code := start(t, data).end(); code != 0 {
		t.Errorf("from the folder again: exit %d", code)
	}
}

package main

import (
	"strings"
	"testing"

	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// A store in a database is checked while a server uses it, and says which of
// its records cannot be what a server wrote.
func TestCheckOfADatabase(t *testing.T) {
	data, url := t.TempDir(), pgtest.Database(t)
	check := func(store string, want int, says string, more ...string) {
		t.Helper()
		code, out, complaint := command(t, append([]string{"check", "--store", store}, more...)...)
		if code != want || !strings.Contains(out+complaint, says) || strings.Contains(out+complaint, "hunter2") {
			t.Errorf("exit %d, %q, %q; want %d and %q", code, out, complaint, want, says)
		}
	}
	check("sqlite://u:hunter2@h/d", exitUsage, "neither pebble nor")
	check("postgres://u:hunter2@127.0.0.1:1/d", exitUser, "connection refused")
	check(url, exitUser, "no server has stored anything")
	t.Setenv("POSTHORN_STORE", url)
	s := start(t, data)
	check(url, exitOK, ": 0 damaged\n", "--data", data)
	check(url, exitOK, `"ok":true`, "--json")
	pgtest.Exec(t, url, `INSERT INTO posthorn.directory VALUES ('name/alice', 1, 'nobody')`)
	pgtest.Exec(t, url, `INSERT INTO posthorn.heads (box, last, max_envelopes, max_size) VALUES ('\x01020304050607080910111213141516', 3, 0, 0)`)
	check(url, exitUser, "envelopes 1 to 3")
	check(url, exitUser, "a name's record cannot be read", "--json")
	check(url, exitUser, "restore a backup", "--data", data)
	if code := s.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
	check(pgtest.Database(t), exitUser, "no server has stored anything", "--data", data)
	other := pgtest.New(t)
	check(other.URL("postgres"), exitUser, "another database system", "--data", data)
}

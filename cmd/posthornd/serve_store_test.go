package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func TestServeFromADatabase(t *testing.T) {
	data := t.TempDir()
	t.Setenv("POSTHORN_STORE", pgtest.Database(t))
	s := start(t, data)
	if code, _, _ := command(t, "health", "--addr", strings.TrimPrefix(s.url, "http://")); code != 0 {
		t.Errorf("health: exit %d", code)
	}
	if code, out, complaint := command(t, "status", "--data", data); code != 0 || !strings.Contains(out, "on postgres") {
		t.Errorf("status: exit %d, %q, %q", code, out, complaint)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
	if files, err := os.ReadDir(filepath.Join(data, storeFolder)); err != nil || len(files) > 0 {
		t.Errorf("an embedded store beside the database: %v, %v", files, err)
	}
	t.Setenv("POSTHORN_STORE", "")
	code, out, complaint := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	if code != exitUser || out != "" || !strings.Contains(complaint, "keeps its data in a database") {
		t.Errorf("without the database: exit %d, %q, %q", code, out, complaint)
	}
	if files, err := os.ReadDir(filepath.Join(data, storeFolder)); err != nil || len(files) > 0 {
		t.Errorf("an empty store was made: %v, %v", files, err)
	}
}

// What is wrong is said, and the URL with its password is not.
func TestDatabaseThatCannotBeUsed(t *testing.T) {
	url := pgtest.Database(t)
	used := t.TempDir()
	if code := start(t, used).end(); code != 0 {
		t.Fatal(code)
	}
	for _, c := range []struct {
		store, data, says string
		code              int
	}{
		{"sqlite", "", "neither pebble nor", exitUsage},
		{"sqlite://u:hunter2@h/d", "", "neither pebble nor", exitUsage},
		{"postgres://u:hunter2@127.0.0.1:1/d", "", "connection refused", exitUser},
		{"postgres://u:hunter2@h:port/d", "", "cannot be used", exitUser},
		{url + "&options=-c%20synchronous_commit%3Doff", "", "synchronous_commit is off", exitUser},
		{url, used, "holds an embedded store", exitUser},
	} {
		data := c.data
		if data == "" {
			data = t.TempDir()
		}
		code, out, complaint := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0", "--store", c.store)
		if code != c.code || out != "" || !strings.Contains(complaint, c.says) || !strings.Contains(complaint, "hint: ") {
			t.Errorf("exit %d, %q, %q; want %d and %q", code, out, complaint, c.code, c.says)
		}
		if strings.Contains(complaint, "hunter2") {
			t.Errorf("the password is shown: %q", complaint)
		}
	}
}

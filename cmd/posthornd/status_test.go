package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// fillStore leaves two mailboxes with one envelope in a data folder.
func fillStore(t *testing.T, data string, at time.Time) {
	t.Helper()
	s, err := pebble.Open(filepath.Join(data, storeFolder), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range byte(2) {
		if err := s.Create(t.Context(), store.Box{i}, store.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Append(t.Context(), []store.Envelope{{Box: store.Box{1}, At: at, Data: []byte("x")}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestStatus(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	at := time.Now().Add(-time.Hour)
	fillStore(t, data, at)
	s := start(t, data)
	code, out, complaint := command(t, "status", "--data", data, "--json")
	var got struct {
		Schema string
		admin.Status
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil || code != 0 {
		t.Fatalf("exit %d, %q, %q, %v", code, out, complaint, err)
	}
	if got.Schema != "posthornd.status/1" || got.Version == "" || got.Store != "pebble" || got.Mailboxes != 2 || got.Devices != 2 || got.Queued != 1 {
		t.Errorf("%+v", got)
	}
	if got.Oldest == nil || at.Sub(*got.Oldest) < 0 || at.Sub(*got.Oldest) > time.Minute {
		t.Errorf("the oldest envelope is of %v, not %v", got.Oldest, at)
	}
	if got.Limits.MailboxEnvelopes != store.DefaultEnvelopes || got.Limits.Sends.Burst == 0 {
		t.Errorf("limits %+v", got.Limits)
	}
	if code, out, _ := command(t, "status", "--data", data); code != 0 || !strings.Contains(out, "2 mailboxes, 1 envelopes") {
		t.Errorf("in words: exit %d, %q", code, out)
	}
	if info, err := os.Stat(filepath.Join(data, admin.SocketName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
	s.end()
	if _, err := os.Lstat(filepath.Join(data, admin.SocketName)); !os.IsNotExist(err) {
		t.Errorf("the socket of a server that has ended: %v", err)
	}
}

func TestStatusOfNothingQueued(t *testing.T) {
	data := t.TempDir()
	s := start(t, data)
	defer s.end()
	if code, out, _ := command(t, "status", "--data", data, "--json"); code != 0 || !strings.Contains(out, `"oldest_queued_at":null`) {
		t.Errorf("exit %d, %q", code, out)
	}
}

// Without a server every command says so, and how to go on.
func TestCommandsWithoutAServer(t *testing.T) {
	data := t.TempDir()
	start(t, data).end()
	leaveSocket(t, data) // as a server that was killed does
	for _, args := range [][]string{{"status"}, {"invite", "create"}, {"invite", "list"}, {"invite", "revoke", "00"}, {"user", "list"}, {"user", "disable", "alice"}, {"user", "enable", "alice"}, {"user", "delete", "alice"}} {
		code, out, complaint := command(t, append(args, "--data", data)...)
		if code != exitServer || out != "" || !strings.Contains(complaint, "no posthornd runs on this folder") || !strings.Contains(complaint, "posthornd serve") {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, complaint)
		}
		if code, _, complaint := command(t, append(args, "--data", data+"/none")...); code != exitUser || !strings.Contains(complaint, "cannot be found") {
			t.Errorf("%v of no folder: exit %d, %q", args, code, complaint)
		}
		if code, _, _ := command(t, args...); code != exitUsage {
			t.Errorf("%v without --data: exit %d", args, code)
		}
	}
}

// leaveSocket leaves a socket behind that nobody listens on.
func leaveSocket(t *testing.T, data string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(data, admin.SocketName)})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSocketOfAKilledServerIsReplaced(t *testing.T) {
	data := t.TempDir()
	leaveSocket(t, data)
	s := start(t, data)
	defer s.end()
	if code, _, complaint := command(t, "status", "--data", data); code != 0 {
		t.Errorf("exit %d, %q", code, complaint)
	}
}

func TestSocketReplacesNoOtherFile(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, admin.SocketName), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, complaint := command(t, "serve", "--data", data, "--listen", "127.0.0.1:0")
	kept, err := os.ReadFile(filepath.Join(data, admin.SocketName))
	if code == 0 || !strings.Contains(complaint, admin.SocketName) || err != nil || string(kept) != "mine" {
		t.Errorf("exit %d, %q, %q, %v", code, complaint, kept, err)
	}
}

// A unix socket's path has room for a hundred bytes. A data folder may lie
// deeper.
func TestSocketInADeepFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("deep/", 60), "data")
	s := start(t, data)
	defer s.end()
	if code, out, complaint := command(t, "status", "--data", data); code != 0 || !strings.Contains(out, "0 mailboxes") {
		t.Errorf("exit %d, %q, %q", code, out, complaint)
	}
}

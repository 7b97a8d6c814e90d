package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// restored opens the store of a restored folder and counts what is in it.
func restored(t *testing.T, data string) store.Stats {
	t.Helper()
	s, err := pebble.Open(filepath.Join(data, storeFolder), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	counted, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return counted
}

// A backup is the same from a server that runs and from one that does not, has
// certificates and attachments in it, and is for its owner alone.
func TestBackupAndRestore(t *testing.T) {
	for _, running := range []bool{true, false} {
		data, file := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
		fillStore(t, data, time.Now())
		s := start(t, data, "--tls-self-signed")
		attachment := filepath.Join(data, blobsFolder, "files", "ab", "abcd")
		if err := os.MkdirAll(filepath.Dir(attachment), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(attachment, []byte("sealed"), 0o600); err != nil {
			t.Fatal(err)
		}
		if !running {
			s.end()
		}
		if code, out, complaint := command(t, "backup", file, "--data", data); code != 0 || out != file+"\n" {
			t.Fatalf("backup: exit %d, %q, %q", code, out, complaint)
		}
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the backup: %v, %v", info, err)
		}
		if left, err := filepath.Glob(filepath.Join(data, checkpointFolder+"*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %q, %v", left, err)
		}
		target := filepath.Join(t.TempDir(), "deep", "restored")
		if code, out, complaint := command(t, "restore", file, "--data", target); code != 0 || out != target+"\n" {
			t.Fatalf("restore: exit %d, %q, %q", code, out, complaint)
		}
		for _, same := range []string{blobsFolder + "/files/ab/abcd", tlsFolder + "/cert.pem", tlsFolder + "/key.pem"} {
			a, errA := os.ReadFile(filepath.Join(data, same))
			b, errB := os.ReadFile(filepath.Join(target, same))
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Errorf("%s: %v, %v", same, errA, errB)
			}
		}
		if got := restored(t, target); got.Mailboxes != 2 || got.Queued != 1 {
			t.Errorf("restored %+v", got)
		}
		if code, out, _ := command(t, "check", "--data", target); code != 0 {
			t.Errorf("check of the restored folder: exit %d, %s", code, out)
		}
		if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the restored folder: %v, %v", info, err)
		}
		if running {
			s.end()
		}
	}
}

// Nothing is replaced, and no damaged backup becomes a folder.
func TestBackupRefusals(t *testing.T) {
	data, dir := filepath.Join(t.TempDir(), "data"), t.TempDir()
	fillStore(t, data, time.Now())
	start(t, data).end()
	good := filepath.Join(dir, "good")
	if code, _, complaint := command(t, "backup", good, "--data", data); code != 0 {
		t.Fatalf("exit %d, %q", code, complaint)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	altered := bytes.Clone(content)
	altered[len(altered)/2] ^= 1
	busy := filepath.Join(dir, "busy")
	if err := os.MkdirAll(filepath.Join(busy, "something"), 0o700); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(dir, "fresh")
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"a file that is there":  {[]string{"backup", good, "--data", data}, exitUser, "there is a file of this name"},
		"no folder":             {[]string{"backup", filepath.Join(dir, "x"), "--data", filepath.Join(dir, "none")}, exitUser, "cannot be found"},
		"a folder of no server": {[]string{"backup", filepath.Join(dir, "x"), "--data", busy}, exitUser, "no server has used this folder"},
		"no place for the file": {[]string{"backup", filepath.Join(dir, "no", "x"), "--data", data}, exitUser, "cannot be written"},
		"a folder in use":       {[]string{"restore", good, "--data", busy}, exitUser, "not empty"},
		"cut short":             {[]string{"restore", write("short", content[:len(content)-1]), "--data", fresh}, exitUser, "end is missing"},
		"altered":               {[]string{"restore", write("altered", altered), "--data", fresh}, exitUser, "V-158"},
		"something else":        {[]string{"restore", write("else", []byte("hello")), "--data", fresh}, exitUser, "does not begin as a backup does"},
		"no backup":             {[]string{"restore", filepath.Join(dir, "nothing"), "--data", fresh}, exitUser, "cannot be read"},
		"without a file":        {[]string{"backup", "--data", data}, exitUsage, "one FILE"},
		"without a folder":      {[]string{"restore", good}, exitUsage, "--data DIR"},
	} {
		code, out, complaint := command(t, c.args...)
		if code != c.code || out != "" || !strings.Contains(complaint, c.says) || !strings.Contains(complaint, "posthornd: hint: ") {
			t.Errorf("%s: exit %d, %q, %q", name, code, out, complaint)
		}
	}
	if again, err := os.ReadFile(good); err != nil || !bytes.Equal(again, content) {
		t.Error("a backup was replaced")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 5 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A server that was killed during a backup removes what is left of it.
func TestLeftCheckpointIsRemoved(t *testing.T) {
	data := t.TempDir()
	left := filepath.Join(data, checkpointFolder+"-123", storeFolder)
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, data).end()
	if _, err := os.Stat(filepath.Dir(left)); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
}

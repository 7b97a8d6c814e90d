package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/server"
)

func TestUploadsThatAreRefused(t *testing.T) {
	w := newWorld(t)
	w.office.limits = server.Limits{AttachmentSize: 1 << 20, AttachmentQuota: 3 << 20}
	w.office.close()
	w.office.open()
	alice, bob := w.befriended()
	upload := func(paths ...string) error {
		_, err := alice.Upload(w.ctx, bob.Name(), paths, nil)
		return err
	}
	small, _ := document(t, "a.pdf", 1<<20)
	large, _ := document(t, "b.pdf", 2<<20)
	for _, row := range []struct {
		paths []string
		want  error
	}{
		{[]string{large}, ErrTooLarge}, {[]string{t.TempDir()}, ErrNotAFile}, {[]string{os.DevNull}, ErrNotAFile},
		{[]string{filepath.Join(t.TempDir(), "none")}, fs.ErrNotExist}, {make([]string, 17), content.ErrFiles},
		{[]string{small, small, small}, ErrNoRoom},
	} {
		if err := upload(row.paths...); !errors.Is(err, row.want) {
			t.Errorf("%v, want %v", err, row.want)
		}
	}
	if _, err := alice.Upload(w.ctx, "nobody", []string{small}, nil); !errors.Is(err, ErrUnknownName) {
		t.Errorf("%v", err)
	}
	if _, err := alice.Upload(w.ctx, "alice", []string{small}, nil); !errors.Is(err, ErrOwnName) {
		t.Errorf("%v", err)
	}
	sparse := filepath.Join(t.TempDir(), "sparse")
	if f, err := os.Create(sparse); err != nil || errors.Join(f.Truncate(api.MaxAttachment+1), f.Close()) != nil {
		t.Fatal(err)
	}
	if err := upload(sparse); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over a gibibyte: %v", err)
	}
	w.office.blobs = ""
	w.office.close()
	w.office.open()
	if err := upload(small); !errors.Is(err, ErrNoAttachments) {
		t.Errorf("%v", err)
	}
}

// The server forgets an upload on the way; it begins again by itself.
func TestLostUploadBeginsAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "a.pdf", 3*api.AttachmentPart)
	lost := false
	files, err := alice.Upload(w.ctx, bob.Name(), []string{path}, func(string, uint64, uint64) {
		if !lost {
			lost = true
			for _, name := range names(t, filepath.Join(w.office.blobs, "uploads")) {
				_ = os.Remove(filepath.Join(w.office.blobs, "uploads", name))
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alice.SendFiles(w.ctx, bob.Name(), "", files); err != nil {
		t.Fatal(err)
	}
	w.sync(bob)
	wantBytes(t, w.save(bob, files[0].ID, t.TempDir()), data)
}

// The server restarts in the middle of both directions.
func TestTransfersOutliveARestartOfTheServer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "a.pdf", 6*api.AttachmentPart)
	restart := func() Progress {
		done := false
		return func(string, uint64, uint64) {
			if !done {
				done = true
				w.office.close()
				w.office.open()
			}
		}
	}
	files, err := alice.Upload(w.ctx, bob.Name(), []string{path}, restart())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := alice.SendFiles(w.ctx, bob.Name(), "", files); err != nil {
		t.Fatal(err)
	}
	w.sync(bob)
	saved, err := bob.SaveAttachment(w.ctx, files[0].ID, t.TempDir(), restart())
	if err != nil {
		t.Fatal(err)
	}
	wantBytes(t, saved, data)
}

// A message with files waits like any text when the server is away.
func TestMessageWithFilesWaitsForTheServer(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.person("alice"), w.person("bob")
	path, data := document(t, "a.pdf", 5000)
	files, err := alice.Upload(w.ctx, bob.Name(), []string{path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.office.close()
	if _, err := alice.SendFiles(w.ctx, bob.Name(), "later", files); !errors.Is(err, ErrOffline) {
		t.Fatal(err)
	}
	alice = w.restart(alice)
	w.office.open()
	w.sync(alice, bob)
	w.wantUnread(bob, "later")
	wantBytes(t, w.save(bob, files[0].ID, t.TempDir()), data)
}

func TestUploadSaysWhenTheServerIsAway(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until the client gives up")
	}
	w := newWorld(t)
	alice, bob := w.befriended()
	path, _ := document(t, "a.pdf", 2*api.AttachmentPart)
	_, err := alice.Upload(w.ctx, bob.Name(), []string{path}, func(string, uint64, uint64) { w.office.close() })
	if !errors.Is(err, ErrUploadInterrupted) || !errors.Is(err, ErrOffline) {
		t.Errorf("%v", err)
	}
}

// Both directions take the memory of a few parts, whatever the size. The size
// can be raised: POSTHORN_TEST_ATTACHMENT_MIB=1024.
func TestTransfersTakeLittleMemory(t *testing.T) {
	size := 64 << 20
	if text := os.Getenv("POSTHORN_TEST_ATTACHMENT_MIB"); text != "" {
		if _, err := fmt.Sscan(text, &size); err != nil {
			t.Fatal(err)
		}
		size <<= 20
	}
	w := newWorldAlone(t)
	w.ctx = t.Context()
	w.office.limits = server.Limits{AttachmentSize: api.MaxAttachment, AttachmentBytes: server.Rate{PerSecond: 4 << 30, Burst: 4 << 30}}
	w.office.close()
	w.office.open()
	alice, bob := w.befriended()
	path := filepath.Join(t.TempDir(), "film.mp4")
	if f, err := os.Create(path); err != nil || errors.Join(f.Truncate(int64(size)), f.Close()) != nil {
		t.Fatal(err)
	}
	var before, now runtime.MemStats
	live := func(m *runtime.MemStats) { // without the garbage, whose amount is up to the machine
		runtime.GC()
		runtime.ReadMemStats(m)
	}
	live(&before)
	var most uint64
	watch := func(_ string, done, _ uint64) {
		if done/api.AttachmentPart%8 == 0 {
			live(&now)
			most = max(most, now.HeapAlloc)
		}
	}
	began := time.Now()
	files, err := alice.Upload(w.ctx, bob.Name(), []string{path}, watch)
	if err != nil {
		t.Fatal(err)
	}
	sent := time.Since(began)
	if _, err := alice.SendFiles(w.ctx, bob.Name(), "", files); err != nil {
		t.Fatal(err)
	}
	w.sync(bob)
	began = time.Now()
	saved, err := bob.SaveAttachment(w.ctx, files[0].ID, t.TempDir(), watch)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MiB: up in %v, down in %v, client and server together %d MiB of heap above %d", size>>20, sent.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), (most-min(most, before.HeapAlloc))>>20, before.HeapAlloc>>20)
	if there, err := os.Stat(saved); err != nil || there.Size() != int64(size) {
		t.Errorf("%v, %v", there, err)
	}
	if most > before.HeapAlloc+48<<20 {
		t.Errorf("the heap grew by %d MiB", (most-before.HeapAlloc)>>20)
	}
}

// A message with files that a lost session swallowed is sealed again whole.
func TestRepairBringsFilesAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	w.forgetSessions(bob)
	bob = w.restart(bob)
	path, data := document(t, "a.pdf", 5000)
	id := w.attach(alice, bob, "did you", path)[0].ID
	w.sync(bob)
	w.wantUnread(bob)
	w.settleAll(alice, bob)
	w.wantUnread(bob, "did you")
	wantBytes(t, w.save(bob, id, t.TempDir()), data)
}

package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/attachment"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
)

// document writes a file of random bytes.
func document(t testing.TB, name string, size int) (path string, data []byte) {
	t.Helper()
	data = make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(len(name))}).Read(data)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, data
}

// attach uploads and sends files that must be accepted.
func (w *world) attach(from, to *Client, text string, paths ...string) []content.File {
	w.t.Helper()
	files, err := from.Upload(w.ctx, to.Name(), paths, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if sent, err := from.SendFiles(w.ctx, to.Name(), text, files); err != nil || !sent.Accepted {
		w.t.Fatalf("%+v, %v", sent, err)
	}
	return files
}

func (w *world) save(c *Client, id content.FileID, folder string) string {
	w.t.Helper()
	path, err := c.SaveAttachment(w.ctx, id, folder, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return path
}

func wantBytes(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes of %d, or others, %v", filepath.Base(path), len(got), len(want), err)
	}
}

// names lists a folder, hidden files too.
func names(t *testing.T, folder string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestAttachmentsArrive(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	var paths []string
	var want [][]byte
	for _, size := range []int{0, 1, 1024, attachment.ChunkSize, 3*attachment.ChunkSize + 7, api.AttachmentPart + 5} {
		path, data := document(t, fmt.Sprintf("file-%d.png", size), size)
		paths, want = append(paths, path), append(want, data)
	}
	w.attach(alice, bob, "look", paths...)
	w.attach(alice, bob, "", paths[1])
	w.sync(bob)
	inbox, err := bob.Inbox(w.ctx, Filter{})
	if err != nil || len(inbox) != 2 || inbox[0].Text != "look" || inbox[1].Text != "" || len(inbox[1].Attachments) != 1 {
		t.Fatalf("%+v, %v", inbox, err)
	}
	folder := t.TempDir()
	for i, a := range inbox[0].Attachments {
		if a.Name != filepath.Base(paths[i]) || a.Size != uint64(len(want[i])) || a.Type != "image/png" {
			t.Errorf("%+v", a)
		}
		path := w.save(bob, a.ID, folder)
		wantBytes(t, path, want[i])
		if there, err := os.Stat(path); err != nil || there.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
			t.Errorf("mode %v, %v", there.Mode(), err)
		}
	}
	if got := names(t, folder); len(got) != len(want) {
		t.Errorf("the folder has %q", got)
	}
	w.settleAll(alice, bob)
	sent, err := alice.Inbox(w.ctx, Filter{All: true, From: bob.Name()})
	if last := sent[len(sent)-2]; err != nil || last.State != "delivered" || len(last.Attachments) != len(paths) {
		t.Errorf("%+v, %v", last, err)
	}
	list, err := bob.Attachments(w.ctx)
	if err != nil || len(list) != len(paths)+1 || list[0].From != alice.Name() {
		t.Errorf("%+v, %v", list, err)
	}
	w.save(alice, sent[len(sent)-1].Attachments[0].ID, t.TempDir()) // the sender can fetch it too
}

func TestNothingIsOverwritten(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "plan.tar.gz", 100)
	id := w.attach(alice, bob, "", path)[0].ID
	w.sync(bob)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "plan.tar.gz"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(folder, "plan.tar (2).gz")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, ".posthorn-"+id.String()+".part")); err != nil {
		t.Fatal(err)
	}
	saved := w.save(bob, id, folder)
	if filepath.Base(saved) != "plan.tar (3).gz" {
		t.Errorf("saved as %s", saved)
	}
	wantBytes(t, saved, data)
	wantBytes(t, filepath.Join(folder, "plan.tar.gz"), []byte("mine"))
	if _, err := os.Lstat(outside); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a link led out of the folder")
	}
	if got := names(t, folder); len(got) != 3 {
		t.Errorf("the folder has %q", got)
	}
}

// stopAfter cancels a transfer once so many bytes have gone.
func stopAfter(cancel context.CancelFunc, bytes uint64) Progress {
	return func(_ string, done, _ uint64) {
		if done >= bytes {
			cancel()
		}
	}
}

// uploads is the files that are on their way.
func (w *world) uploads(c *Client, path string) (rows []localdb.Upload) {
	w.t.Helper()
	p, err := pin(w.ctx, path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer p.close()
	w.read(c, func(tx *localdb.Tx) (err error) {
		rows, err = tx.Uploads(p.root)
		return err
	})
	return rows
}

func TestInterruptedUploadGoesOnUnderTheSameKey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "film.mp4", 5*api.AttachmentPart)
	ctx, cancel := context.WithCancel(w.ctx)
	if _, err := alice.Upload(ctx, bob.Name(), []string{path}, stopAfter(cancel, 2*api.AttachmentPart)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	begun := w.uploads(alice, path)
	if len(begun) != 1 || begun[0].File.ID == (content.FileID{}) {
		t.Fatalf("%d uploads", len(begun))
	}
	alice = w.restart(alice)
	w.office.close()
	w.office.open()
	moved := filepath.Join(t.TempDir(), "renamed.mp4") // the same bytes are the same file
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	var first uint64
	files, err := alice.Upload(w.ctx, bob.Name(), []string{moved}, func(_ string, done, _ uint64) {
		if first == 0 && done > 0 {
			first = done
		}
	})
	if err != nil || files[0].ID != begun[0].File.ID || files[0].Key != begun[0].File.Key || files[0].Name != "renamed.mp4" {
		t.Fatalf("another upload, %v", err)
	}
	if first < api.AttachmentPart {
		t.Errorf("progress began at %d", first)
	}
	if _, err := alice.SendFiles(w.ctx, bob.Name(), "", files); err != nil {
		t.Fatal(err)
	}
	if left := w.uploads(alice, moved); len(left) != 0 {
		t.Error("the upload is still there beside the message")
	}
	w.sync(bob)
	wantBytes(t, w.save(bob, files[0].ID, t.TempDir()), data)
}

func TestV141ChangedFileGetsAnotherKey(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "film.mp4", 3*api.AttachmentPart)
	ctx, cancel := context.WithCancel(w.ctx)
	_, err := alice.Upload(ctx, bob.Name(), []string{path}, stopAfter(cancel, api.AttachmentPart))
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	begun := w.uploads(alice, path)[0]
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-1]++ // the same size and the same time
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	files := w.attach(alice, bob, "", path)
	if files[0].Key == begun.File.Key || files[0].ID == begun.File.ID {
		t.Error("one key for two texts")
	}
	w.sync(bob)
	wantBytes(t, w.save(bob, files[0].ID, t.TempDir()), data)
}

// The file changes between its parts: nothing of the new text is sealed.
func TestV141FileThatChangesWhileItIsSent(t *testing.T) {
	for name, change := range map[string]func(*os.File) error{
		"other bytes": func(f *os.File) error { _, err := f.WriteAt([]byte("x"), 3*api.AttachmentPart-9); return err },
		"shorter":     func(f *os.File) error { return f.Truncate(2 * api.AttachmentPart) },
		"longer":      func(f *os.File) error { return f.Truncate(3*api.AttachmentPart + 1) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			alice, bob := w.befriended()
			path, _ := document(t, "log.txt", 3*api.AttachmentPart)
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			changed := false
			_, err = alice.Upload(w.ctx, bob.Name(), []string{path}, func(string, uint64, uint64) {
				if !changed {
					changed = true
					if err := change(f); err != nil {
						t.Error(err)
					}
				}
			})
			if !errors.Is(err, ErrFileChanged) || !strings.Contains(err.Error(), "V-141") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestA47SameFileTwiceSharesNothing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "a.pdf", 70_000)
	both := w.attach(alice, bob, "", path, path)
	third := w.attach(alice, bob, "", path)[0]
	all := append(both, third)
	for i := range all {
		for j := range i {
			if all[i].ID == all[j].ID || all[i].Key == all[j].Key || all[i].Digest == all[j].Digest {
				t.Errorf("files %d and %d share something", i, j)
			}
		}
	}
	w.sync(bob)
	for _, f := range all {
		wantBytes(t, w.save(bob, f.ID, t.TempDir()), data)
	}
}

// stored is where the server has a finished attachment.
func (w *world) stored(id content.FileID) string {
	return filepath.Join(w.office.blobs, "files", id.String()[:2], id.String())
}

func TestA47TamperedAttachmentsAreNotSaved(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, _ := document(t, "a.pdf", 2*api.AttachmentPart)
	other, _ := document(t, "bb.pdf", 2*api.AttachmentPart)
	files := w.attach(alice, bob, "", path, other)
	w.sync(bob)
	whole, err := os.ReadFile(w.stored(files[0].ID))
	if err != nil {
		t.Fatal(err)
	}
	swapped, err := os.ReadFile(w.stored(files[1].ID))
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte { b := bytes.Clone(whole); b[at] ^= 1; return b }
	const chunk = attachment.SealedChunkSize
	reordered := bytes.Clone(whole)
	copy(reordered[:chunk], whole[chunk:2*chunk])
	copy(reordered[chunk:2*chunk], whole[:chunk])
	for name, bad := range map[string][]byte{
		"first bit": flipped(0), "last bit": flipped(len(whole) - 1), "second part": flipped(len(whole) * 2 / 3),
		"truncated": whole[:len(whole)-1], "without its last chunk": whole[:len(whole)-chunk], "empty": nil, "longer": append(bytes.Clone(whole), 0),
		"another file": swapped, "reordered": reordered, "repeated": append(bytes.Clone(whole[:chunk]), whole[:len(whole)-chunk]...),
	} {
		if err := os.WriteFile(w.stored(files[0].ID), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		folder := t.TempDir()
		if path, err := bob.SaveAttachment(w.ctx, files[0].ID, folder, nil); !errors.Is(err, ErrFileDamaged) || path != "" {
			t.Errorf("%s: %q, %v", name, path, err)
		}
		if left := names(t, folder); len(left) != 0 {
			t.Errorf("%s: the folder has %q", name, left)
		}
	}
}

func TestInterruptedSaveGoesOn(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	for i, size := range []int{5 * api.AttachmentPart, 4*attachment.ChunkSize*16 + 1} {
		path, data := document(t, fmt.Sprintf("film%d.mp4", i), size)
		id := w.attach(alice, bob, "", path)[0].ID
		w.sync(bob)
		folder := t.TempDir()
		ctx, cancel := context.WithCancel(w.ctx)
		if _, err := bob.SaveAttachment(ctx, id, folder, stopAfter(cancel, 2*api.AttachmentPart)); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		left := names(t, folder)
		if len(left) != 1 || !strings.HasPrefix(left[0], ".posthorn-") {
			t.Fatalf("the folder has %q", left)
		}
		part := filepath.Join(folder, left[0])
		if err := appendTo(part, "half a chunk"); err != nil { // as a crash might leave it
			t.Fatal(err)
		}
		var first uint64
		saved, err := bob.SaveAttachment(w.ctx, id, folder, func(_ string, done, _ uint64) {
			if first == 0 {
				first = done
			}
		})
		if err != nil || first <= 2*api.AttachmentPart {
			t.Fatalf("began again at %d, %v", first, err)
		}
		wantBytes(t, saved, data)
		if left := names(t, folder); len(left) != 1 {
			t.Errorf("the folder has %q", left)
		}
	}
}

func appendTo(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

func TestChangedPartialIsNoticedAndDiscarded(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "film.mp4", 3*api.AttachmentPart)
	id := w.attach(alice, bob, "", path)[0].ID
	w.sync(bob)
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(w.ctx)
	if _, err := bob.SaveAttachment(ctx, id, folder, stopAfter(cancel, api.AttachmentPart)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	part, err := os.OpenFile(filepath.Join(folder, names(t, folder)[0]), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part.WriteAt([]byte("planted"), 1000); err != nil {
		t.Fatal(err)
	}
	if err := part.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.SaveAttachment(w.ctx, id, folder, nil); !errors.Is(err, ErrFileDamaged) {
		t.Errorf("%v", err)
	}
	if left := names(t, folder); len(left) != 0 {
		t.Errorf("the folder has %q", left)
	}
	wantBytes(t, w.save(bob, id, folder), data)
}

// A second announcement of the same id, with a key of its own, stands in
// nobody's way.
func TestForeignAnnouncementDoesNotHideAnAttachment(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	mallory := w.person("mallory")
	w.introduce(mallory, bob)
	path, data := document(t, "a.pdf", 5000)
	f := w.attach(alice, bob, "", path)[0]
	f.Key[0]++
	if _, err := mallory.SendFiles(w.ctx, bob.Name(), "mine", []content.File{f}); err != nil {
		t.Fatal(err)
	}
	w.sync(bob)
	wantBytes(t, w.save(bob, f.ID, t.TempDir()), data)
}

func TestAttachmentsThatCannotBeHad(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, _ := document(t, "a.pdf", 5000)
	id := w.attach(alice, bob, "", path)[0].ID
	folder := t.TempDir()
	if _, err := bob.SaveAttachment(w.ctx, id, folder, nil); !errors.Is(err, ErrUnknownFile) {
		t.Errorf("before it was announced: %v", err)
	}
	w.sync(bob)
	if _, err := bob.SaveAttachment(w.ctx, id, filepath.Join(folder, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such folder: %v", err)
	}
	if err := os.Remove(w.stored(id)); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.SaveAttachment(w.ctx, id, folder, nil); !errors.Is(err, ErrFileGone) {
		t.Errorf("expired: %v", err)
	}
	if left := names(t, folder); len(left) != 0 {
		t.Errorf("the folder has %q", left)
	}
}

// A call that is killed after it gave the file its name and before it took the
// hidden one away: the next one finds the file, and never writes into it.
func TestSavedFileIsNotTouchedAgain(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	path, data := document(t, "film.mp4", 100_000)
	id := w.attach(alice, bob, "", path)[0].ID
	w.sync(bob)
	folder := t.TempDir()
	saved := w.save(bob, id, folder)
	part := filepath.Join(folder, ".posthorn-"+id.String()+".part")
	for _, renamed := range []bool{false, true} {
		if err := os.Link(saved, part); err != nil {
			t.Skip("no links here")
		}
		want := saved
		if renamed {
			if err := os.Rename(saved, filepath.Join(folder, "mine.mp4")); err != nil {
				t.Fatal(err)
			}
			w.office.close() // the save fails before it has fetched anything
			if _, err := bob.SaveAttachment(w.ctx, id, folder, nil); !errors.Is(err, ErrOffline) {
				t.Error(err)
			}
			wantBytes(t, filepath.Join(folder, "mine.mp4"), data)
			continue
		}
		if got := w.save(bob, id, folder); got != want || len(names(t, folder)) != 1 {
			t.Errorf("saved as %s beside %q", got, names(t, folder))
		}
		wantBytes(t, saved, data)
	}
}

//go:build unix

package log

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/server/store/memory"
)

// A disk that fails under the tiles holds the log up, and no longer than it
// fails: what was written into the store meanwhile is published then.
func TestLogGoesOnWhenTheDiskUnderTheTilesIsBack(t *testing.T) {
	for _, which := range []string{updatesFolder, rootsFolder} {
		t.Run(which, func(t *testing.T) {
			o := fresh(t)
			l := open(t, o)
			publish(t, l, recordOf("alice", 0))
			tiles := filepath.Join(o.Folder, which, "tile")
			if err := errors.Join(os.Rename(tiles, tiles+".away"), os.WriteFile(tiles, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(within(t))
			defer cancel()
			go func() {
				for l.Ready() == nil && ctx.Err() == nil {
					time.Sleep(time.Millisecond)
				}
				cancel()
			}()
			bob := recordOf("bob", 0)
			if err := l.Publish(ctx, bob); !errors.Is(err, ErrWaiting) {
				t.Fatalf("published without a disk: %v", err)
			}
			if err := l.Ready(); !errors.Is(err, ErrTiles) {
				t.Errorf("ready without a disk: %v", err)
			}
			if err := errors.Join(os.Remove(tiles), os.Rename(tiles+".away", tiles)); err != nil {
				t.Fatal(err)
			}
			publish(t, l, bob)
			carol := recordOf("carol", 0)
			publish(t, l, carol)
			proves(t, l, "bob", &bob, Asked{}, kt.Known{})
			proves(t, l, "carol", &carol, Asked{}, kt.Known{})
			settled(t, l)
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := Verify(within(t), o.Folder); err != nil {
				t.Errorf("the files afterwards: %v", err)
			}
		})
	}
}

// Tiles that are as many as the store has, and others, are noticed before anything
// that was signed over them is published: it would be a fork that nobody meant.
func TestTilesOfAnotherLogAreNotPublished(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	alice := recordOf("alice", 0)
	publish(t, l, alice)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	other := Options{Folder: filepath.Join(t.TempDir(), "kt"), KeysFolder: o.KeysFolder, Records: memory.New()}
	m := open(t, other)
	publish(t, m, recordOf("mallory", 0))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	mixed := o
	mixed.Folder, mixed.Now, mixed.Interval = other.Folder, time.Now, time.Millisecond
	n, err := Open(within(t), mixed)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	go func() {
		for !errors.Is(n.Ready(), ErrTiles) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if err := n.Publish(ctx, recordOf("bob", 0)); !errors.Is(err, ErrWaiting) {
		t.Errorf("published from tiles of another log: %v", err)
	}
	if err := n.Ready(); !errors.Is(err, ErrTiles) {
		t.Errorf("ready with tiles of another log: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, o)
	bob := recordOf("bob", 0)
	publish(t, l, bob)
	proves(t, l, "alice", &alice, Asked{}, kt.Known{})
	proves(t, l, "bob", &bob, Asked{}, kt.Known{})
}

package dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Sweep goes by the time of the last write, which a rename keeps.
func (d *Dir) Sweep(ctx context.Context, finished, unfinished time.Time) (removed int, err error) {
	removed, err = sweepFolder(ctx, filepath.Join(d.path, uploads), unfinished)
	if err != nil {
		return removed, err
	}
	err = d.eachFolder(func(folder string) error {
		n, err := sweepFolder(ctx, folder, finished)
		removed += n
		return err
	})
	return removed, err
}

// eachFolder goes through the folders that finished files are spread over.
func (d *Dir) eachFolder(visit func(folder string) error) error {
	folders, err := os.ReadDir(filepath.Join(d.path, files))
	if err != nil {
		return failed("list", err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		if err := visit(filepath.Join(d.path, files, folder.Name())); err != nil {
			return err
		}
	}
	return nil
}

// sweepFolder removes the files of ours in one folder that are older.
func sweepFolder(ctx context.Context, folder string, before time.Time) (removed int, err error) {
	err = eachEntry(ctx, folder, func(entry fs.DirEntry) error {
		gone, err := removeOld(folder, entry, before)
		if gone {
			removed++
		}
		return err
	})
	return removed, err
}

// eachEntry goes through a folder of any length, a little at a time.
func eachEntry(ctx context.Context, folder string, visit func(fs.DirEntry) error) error {
	f, err := os.Open(folder)
	if err != nil {
		return failed("list", err)
	}
	defer f.Close()
	for {
		some, listed := f.ReadDir(256)
		for _, entry := range some {
			if err := visit(entry); err != nil {
				return err
			}
		}
		if ctx.Err() != nil || errors.Is(listed, io.EOF) {
			return ctx.Err()
		}
		if listed != nil {
			return failed("list", listed)
		}
	}
}

// removeOld removes one file, if it is old and still there.
func removeOld(folder string, entry fs.DirEntry, before time.Time) (gone bool, err error) {
	if _, ours := nameOf(entry.Name()); !ours {
		return false, nil
	}
	there, err := entry.Info()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !there.ModTime().Before(before) {
		return false, nil
	}
	if err == nil {
		err = os.Remove(filepath.Join(folder, entry.Name()))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, failed("remove", err)
	}
	return true, nil
}

package dir

import (
	"context"
	"errors"
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
	folders, err := os.ReadDir(filepath.Join(d.path, files))
	if err != nil {
		return removed, failed("list", err)
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		n, err := sweepFolder(ctx, filepath.Join(d.path, files, folder.Name()), finished)
		removed += n
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// sweepFolder removes the files of ours in one folder that are older.
func sweepFolder(ctx context.Context, folder string, before time.Time) (removed int, err error) {
	f, err := os.Open(folder)
	if err != nil {
		return 0, failed("list", err)
	}
	defer f.Close()
	for {
		some, listed := f.ReadDir(256) // a folder of any length, a little at a time
		for _, entry := range some {
			gone, err := removeOld(folder, entry, before)
			if err != nil {
				return removed, err
			}
			if gone {
				removed++
			}
		}
		if len(some) == 0 || listed != nil || ctx.Err() != nil {
			return removed, ctx.Err()
		}
	}
}

// removeOld removes one file, if it is old and still there.
func removeOld(folder string, entry fs.DirEntry, before time.Time) (gone bool, err error) {
	if !isName(entry.Name()) {
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

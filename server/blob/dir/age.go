package dir

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/posthorn/posthorn/server/blob"
)

// List goes through the folders as the system has them.
func (d *Dir) List(ctx context.Context, visit func(blob.File) error) error {
	return d.eachFolder(func(folder string) error {
		return eachEntry(ctx, folder, func(entry fs.DirEntry) error {
			id, ours := nameOf(entry.Name())
			if !ours {
				return nil
			}
			there, err := entry.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile
			}
			if err != nil {
				return failed("look at", err)
			}
			return visit(blob.File{ID: id, Finished: there.ModTime()})
		})
	})
}

// Finished is the time of the last write, or what Date has made of it.
func (d *Dir) Finished(_ context.Context, id blob.ID) (time.Time, error) {
	there, err := os.Stat(d.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, blob.ErrNotFound
	}
	if err != nil {
		return time.Time{}, failed("look at", err)
	}
	return there.ModTime(), nil
}

// Date changes the time of the last write, and syncs it.
func (d *Dir) Date(_ context.Context, id blob.ID, finished time.Time) error {
	err := os.Chtimes(d.file(id), finished, finished)
	if errors.Is(err, fs.ErrNotExist) {
		return blob.ErrNotFound
	}
	if err != nil {
		return failed("date", err)
	}
	f, err := os.OpenFile(d.file(id), os.O_WRONLY, 0)
	if err != nil {
		return failed("open", err)
	}
	if err := f.Sync(); err != nil {
		return errors.Join(failed("sync", err), f.Close())
	}
	return f.Close()
}

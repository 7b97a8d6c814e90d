// Package dir keeps attachments in a folder. An upload grows in uploads/ID; a
// finished file lies in files/AB/ID, where AB are the first two digits, so that
// no folder gets too long for slow file systems. The folder may be shared by
// several servers, if it is on a file system whose renames all of them see.
package dir

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/posthorn/posthorn/server/blob"
)

const (
	uploads = "uploads"
	files   = "files"
)

// Dir is a blob.Store over a folder. The zero value is of no use; see Open.
type Dir struct{ path string }

// Open uses a folder, and makes it if it is not there, closed to other users.
func Open(path string) (*Dir, error) {
	for _, folder := range []string{path, filepath.Join(path, uploads), filepath.Join(path, files)} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("the folder for attachments cannot be made: %w", err)
		}
	}
	if err := os.Chmod(path, 0o700); err != nil {
		return nil, fmt.Errorf("the folder for attachments cannot be closed to others: %w", err)
	}
	return &Dir{path}, errors.Join(syncFolder(path), syncFolder(filepath.Dir(path)))
}

func (d *Dir) upload(id blob.ID) string { return filepath.Join(d.path, uploads, id.String()) }

func (d *Dir) file(id blob.ID) string {
	name := id.String()
	return filepath.Join(d.path, files, name[:2], name)
}

// WritePart writes into the growing file and syncs it. When the sync fails the
// upload is given up: what is on the disk can no longer be known.
func (d *Dir) WritePart(_ context.Context, id blob.ID, n int, data []byte) error {
	f, err := d.openUpload(id, n)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(data, int64(n)*blob.PartSize); err != nil {
		return errors.Join(failed("write", err), f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(failed("sync", err), f.Close(), os.Remove(f.Name()))
	}
	return f.Close()
}

// openUpload makes the file of a new upload, or opens that of one that has all
// parts before n.
func (d *Dir) openUpload(id blob.ID, n int) (*os.File, error) {
	f, err := os.OpenFile(d.upload(id), os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if n > 0 {
			return nil, blob.ErrNotFound
		}
		return d.newUpload(id)
	}
	if err != nil {
		return nil, failed("open", err)
	}
	there, err := f.Stat()
	if err != nil {
		return nil, errors.Join(failed("look at", err), f.Close())
	}
	if there.Size() < int64(n)*blob.PartSize {
		return nil, errors.Join(blob.ErrNotFound, f.Close())
	}
	return f, nil
}

func (d *Dir) newUpload(id blob.ID) (*os.File, error) {
	f, err := os.OpenFile(d.upload(id), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, failed("make", err)
	}
	if err := syncFolder(filepath.Join(d.path, uploads)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Finish moves the upload to where files are read.
func (d *Dir) Finish(ctx context.Context, id blob.ID, size uint64) error {
	there, err := os.Stat(d.upload(id))
	if errors.Is(err, fs.ErrNotExist) {
		if done, err := d.Size(ctx, id); err != nil || done != size {
			return blob.ErrNotFound
		}
		return d.settle(id) // the rename of an earlier call may not be on the disk yet
	}
	if err != nil {
		return failed("look at", err)
	}
	if uint64(there.Size()) != size {
		return blob.ErrNotFound
	}
	if err := os.MkdirAll(filepath.Dir(d.file(id)), 0o700); err != nil {
		return failed("make a folder for", err)
	}
	if err := os.Rename(d.upload(id), d.file(id)); err != nil {
		return failed("move", err)
	}
	return d.settle(id)
}

// settle makes the place of a finished file durable.
func (d *Dir) settle(id blob.ID) error {
	for _, folder := range []string{filepath.Dir(d.file(id)), filepath.Join(d.path, files), filepath.Join(d.path, uploads)} {
		if err := syncFolder(folder); err != nil {
			return err
		}
	}
	return nil
}

// Size asks the file system.
func (d *Dir) Size(_ context.Context, id blob.ID) (uint64, error) {
	there, err := os.Stat(d.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, blob.ErrNotFound
	}
	if err != nil {
		return 0, failed("look at", err)
	}
	return uint64(there.Size()), nil
}

// Read opens the file for each call: it may be removed between two.
func (d *Dir) Read(_ context.Context, id blob.ID, offset uint64, length int) ([]byte, error) {
	f, err := os.Open(d.file(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blob.ErrNotFound
	}
	if err != nil {
		return nil, failed("open", err)
	}
	defer f.Close()
	b := make([]byte, length)
	n, err := f.ReadAt(b, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, failed("read", err)
	}
	return b[:n], nil
}

// Remove deletes the file and the upload of that name.
func (d *Dir) Remove(_ context.Context, id blob.ID) error {
	for _, name := range []string{d.upload(id), d.file(id)} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed("remove", err)
		}
	}
	return nil
}

// Close does nothing: no file stays open between calls.
func (d *Dir) Close() error { return nil }

// failed names the step and not the file, whose name may be in a log.
func failed(step string, err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return fmt.Errorf("blob: cannot %s an attachment: %w", step, err)
}

// nameOf reads a name, and tells our files from others that somebody put there.
func nameOf(name string) (id blob.ID, ours bool) {
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != len(id) || hex.EncodeToString(b) != name {
		return id, false
	}
	return blob.ID(b), true
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/archive"
	"github.com/posthorn/posthorn/server/store/relocate"
)

// checkpointFolder holds the copy of the store while it is backed up.
const checkpointFolder = "checkpoint"

func newBackup(a *app) *cobra.Command {
	data, blobs := "", ""
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write everything the server keeps into one file",
		Long: `Write mailboxes, directory, attachments and certificates into one file, from a
server that runs or from a folder on which none does. A running server goes on;
what it had accepted before the command began is in the backup. The file gets
its name when it is complete and on disk, and never replaces another.

It holds the server's keys and everybody's sealed mail: keep it as you keep the
server. A server on PostgreSQL, and a bucket with attachments, are backed up with their own tools.`,
		Example: "  posthornd backup /backups/monday.posthorn --data /var/lib/posthorn",
		Args:    oneArgument("one FILE"),
	}
	dataFlag(cmd, &data)
	cmd.Flags().StringVar(&blobs, "blobs", "", "`folder` for attachments of a server that does not run, if it has one of its own")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if data == "" {
			return needsFolder(cmd)
		}
		return a.backup(cmd.Context(), data, blobs, args[0])
	}
	return cmd
}

// backup writes the file under another name, checks it, and gives it its name.
func (a *app) backup(ctx context.Context, data, blobs, file string) (err error) {
	if _, err := os.Lstat(file); err == nil {
		return &failure{exitUser, "there is a file of this name, nothing was written", "choose another name, or move that file away"}
	}
	f, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".") // mode 0600
	if err != nil {
		return fmt.Errorf("the backup cannot be written: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has its name by then, or is of no use
	err = errors.Join(fill(ctx, f, data, blobs), f.Sync(), f.Close())
	if ctx.Err() != nil {
		return interrupted()
	}
	if err != nil {
		return err
	}
	if err := verify(f.Name()); err != nil {
		return err
	}
	if err := place(f.Name(), file); err != nil {
		return fmt.Errorf("the backup cannot be given its name: %w", err)
	}
	if _, err := fmt.Fprintln(a.stdout, file); err != nil {
		return err
	}
	return a.sayMissing(ctx, data, blobs)
}

// sayMissing says when attachments are not in the backup, because they lie in a
// bucket.
func (a *app) sayMissing(ctx context.Context, data, blobs string) error {
	var now moveProgress
	at := ""
	if err := admin.Call(ctx, data, http.MethodGet, "/migrate", nil, &now); err == nil {
		at = now.Blobs
	} else if at, err = stoppedBlobs(data, blobs); err != nil {
		return nil // the backup is made all the same
	}
	if !isBucket(at) {
		return nil
	}
	_, err := fmt.Fprintln(a.stderr, "posthornd: the attachments lie in a bucket and are not in the backup; the bucket has to be backed up with its own tools")
	return err
}

// interrupted is the end of a command that must not look like success.
func interrupted() *failure {
	return &failure{exitUser, "interrupted, nothing was written", "run the command again"}
}

// fill takes the backup from the server, or from the folder if none runs.
func fill(ctx context.Context, w io.Writer, data, blobs string) error {
	answer, err := admin.Stream(ctx, data, http.MethodPost, "/backup", nil)
	if errors.Is(err, admin.ErrNoServer) {
		return packStopped(ctx, w, data, blobs)
	}
	if err != nil {
		return err
	}
	defer answer.Close()
	if _, err := io.Copy(w, answer); err != nil {
		return fmt.Errorf("the backup did not come through, nothing was written: %w", err)
	}
	return nil
}

// packStopped packs a folder on which no server runs.
func packStopped(ctx context.Context, w io.Writer, data, blobs string) (err error) {
	unlock, err := claimExisting(data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	files, err := os.ReadDir(filepath.Join(data, storeFolder))
	if err != nil {
		return fmt.Errorf("the store cannot be read, nothing was written: %w", err)
	}
	mark, err := movedFrom(data)
	if err != nil {
		return err
	}
	if len(files) == 0 || mark != nil {
		return notEmbedded()
	}
	if blobs, err = stoppedBlobs(data, blobs); err != nil {
		return err
	}
	return archive.Write(ctx, w, parts(filepath.Join(data, storeFolder), data, blobs)...)
}

// stoppedBlobs is where the attachments of a server that does not run lie: as the
// option says, or where they were moved to, or in the data folder.
func stoppedBlobs(data, blobs string) (string, error) {
	name, err := placeName(data, blobs)
	if err != nil {
		return "", err
	}
	moved, err := blobsMovedFrom(data)
	if err != nil {
		return "", err
	}
	if moved.refuse(name) != nil {
		name = moved.To
	}
	at := placePath(data, name)
	if _, err := os.Stat(at); blobs != "" && !isBucket(at) && err != nil {
		return "", &failure{exitUser, "the folder of the attachments cannot be read, nothing was written: " + err.Error(), "name the folder that 'posthornd serve' was started with as --blobs"}
	}
	return at, nil
}

func notEmbedded() *failure {
	return &failure{exitUser, "this server keeps its data in a database, nothing was written", "back the database up with its own tools, and copy the data folder"}
}

// parts are the folders of a backup. Those that are not there are left out, and
// attachments in a bucket are not in a folder.
func parts(storeAt, data, blobs string) []archive.Folder {
	switch {
	case blobs == "":
		blobs = filepath.Join(data, blobsFolder)
	case isBucket(blobs):
		blobs = filepath.Join(storeAt, "none")
	}
	return []archive.Folder{
		{Name: storeFolder, Path: storeAt, Skip: []string{"LOCK"}}, // the engine's, of no content
		{Name: blobsFolder, Path: blobs},
		{Name: tlsFolder, Path: filepath.Join(data, tlsFolder)},
		{Name: acmeFolder, Path: filepath.Join(data, acmeFolder)},
		{Name: logKeysFolder, Path: filepath.Join(data, logKeysFolder)},
	}
}

// verify reads a backup again from the disk.
func verify(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := archive.Verify(f); err != nil {
		return fmt.Errorf("the backup is not complete, nothing was written: %w", err)
	}
	return nil
}

// place gives a finished file its name, which must be free, for good.
func place(temporary, file string) error {
	err := os.Link(temporary, file)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		if _, exists := os.Lstat(file); exists == nil {
			return fs.ErrExist
		}
		err = os.Rename(temporary, file) // a file system without links
	}
	if err != nil {
		return err
	}
	return archive.SyncFolder(filepath.Dir(file))
}

// checkpointer is a store that can be copied while it is in use.
type checkpointer interface {
	Checkpoint(ctx context.Context, dir string) error
}

// serveBackup answers the command backup: it copies the store, packs the copy,
// and removes it.
func serveBackup(kept any, files *attachmentPlace, o serveOptions) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		no := notEmbedded()
		refused := &admin.Error{Kind: admin.KindRefused, Text: no.text, Hint: no.hint}
		embedded, ok := kept.(checkpointer)
		if !ok {
			return refused
		}
		copied, err := os.MkdirTemp(o.data, checkpointFolder+"-")
		if err != nil {
			return fmt.Errorf("a folder for the copy cannot be made: %w", err)
		}
		defer os.RemoveAll(copied) //nolint:errcheck // the next start removes it
		at := filepath.Join(copied, storeFolder)
		err = embedded.Checkpoint(r.Context(), at)
		if errors.Is(err, relocate.ErrNoCheckpoint) {
			return refused
		}
		if err != nil {
			return err
		}
		if err := archive.Write(r.Context(), w, parts(at, o.data, files.path())...); err != nil {
			panic(http.ErrAbortHandler) // the other end sees that the backup is not whole
		}
		return nil
	}
}

// removeCheckpoints removes copies that a killed server has left.
func removeCheckpoints(data string) error {
	left, err := filepath.Glob(filepath.Join(data, checkpointFolder+"-*"))
	for _, copied := range left {
		err = errors.Join(err, os.RemoveAll(copied))
	}
	return err
}

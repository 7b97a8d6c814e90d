package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/posthorn/posthorn/attachment"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
)

// SaveAttachment fetches an attachment that a message has announced and saves
// it in a folder, under a safe name near to the sender's, and overwrites
// nothing. It returns the path. What an interrupted call has fetched and
// verified stays in a hidden file of the folder, and the next one goes on there.
// Errors: ErrUnknownFile, ErrFileGone, ErrFileDamaged, ErrNoName, ErrOffline,
// and those of the file system; the folder then has no new file.
func (c *Client) SaveAttachment(ctx context.Context, id content.FileID, folder string, progress Progress) (string, error) {
	files, err := c.filesOf(ctx, id)
	if err != nil {
		return "", err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return "", fmt.Errorf("the folder cannot be used, nothing was saved: %w", err)
	}
	defer root.Close()
	for _, f := range files {
		name, saved := c.fetch(ctx, root, f, progress)
		if err = saved; !errors.Is(err, ErrFileDamaged) {
			return filepath.Join(folder, name), err
		}
	}
	return "", err
}

// filesOf finds what messages say about an attachment. Somebody else than its
// sender may have announced it with another key, so there can be several.
func (c *Client) filesOf(ctx context.Context, id content.FileID) (files []content.File, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) error {
		all, err := tx.FilesByID(id)
		for _, f := range all {
			if !sameSeal(files, f) {
				files = append(files, f)
			}
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = ErrUnknownFile
	}
	return files, err
}

func sameSeal(files []content.File, f content.File) bool {
	for _, g := range files {
		if g.Key == f.Key && g.Digest == f.Digest && g.Size == f.Size {
			return true
		}
	}
	return false
}

// fetch brings one attachment into a folder and returns its name there.
func (c *Client) fetch(ctx context.Context, root *os.Root, f content.File, progress Progress) (string, error) {
	sealer, err := attachment.NewCipher(&f.Key, f.Size)
	if err != nil {
		return "", fileFailed(err)
	}
	p, err := openPartial(root, f)
	if err != nil || p.placed != "" {
		return p.placed, err
	}
	defer p.file.Close() // again after keep: harmless
	g := &getting{client: c, from: f, partial: p, opener: attachment.NewOpener(sealer, f.Digest), progress: progress}
	err = g.run(ctx)
	var wrong *attachment.Error
	if errors.As(err, &wrong) || errors.Is(err, ErrFileDamaged) || errors.Is(err, transport.ErrUnknownAttachment) {
		p.discard()
	}
	if err != nil {
		return "", fileFailed(err)
	}
	return p.keep(SafeName(f.Name))
}

// getting is one attachment on its way here.
type getting struct {
	client   *Client
	from     content.File
	partial  *partial
	opener   *attachment.Opener
	progress Progress
	offset   uint64 // of the sealed file
}

// run verifies what is there, fetches the rest, and verifies the whole.
func (g *getting) run(ctx context.Context) error {
	if err := g.resume(ctx); err != nil {
		return err
	}
	size := attachment.SealedSize(g.from.Size)
	plain := make([]byte, 0, chunksAtOnce*attachment.ChunkSize)
	for g.offset < size {
		part, err := g.part(ctx, size)
		if err != nil {
			return err
		}
		plain = plain[:0]
		for len(part) > 0 {
			n := g.opener.SealedLen()
			if plain, err = g.opener.Next(plain, part[:n]); err != nil {
				return err
			}
			part = part[n:]
			g.offset += uint64(n)
		}
		if err := g.partial.write(plain); err != nil {
			return err
		}
		g.progress.tell(SafeName(g.from.Name), g.offset, size)
	}
	return g.opener.Close()
}

// chunksAtOnce is how many chunks one call fetches.
const chunksAtOnce = 16

// part fetches the next chunks, whole ones.
func (g *getting) part(ctx context.Context, size uint64) ([]byte, error) {
	want := min(chunksAtOnce*attachment.SealedChunkSize, size-g.offset)
	tries := patience
	if g.offset == 0 {
		tries = 0 // nobody waits for a server that was not there from the start
	}
	return persist(ctx, tries, func() ([]byte, error) {
		data, whole, err := g.client.server.FetchAttachment(ctx, g.from.ID, g.offset, int(want))
		if err == nil && (whole != size || uint64(len(data)) != want) {
			err = ErrFileDamaged
		}
		return data, err
	})
}

// resume goes past the chunks that an earlier call has saved. They are sealed
// again for the digest, which tells if somebody has changed them.
func (g *getting) resume(ctx context.Context) error {
	buffer := make([]byte, attachment.ChunkSize)
	for g.partial.kept > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.partial.next(buffer); err != nil {
			return err
		}
		g.offset += uint64(g.opener.SealedLen())
		if err := g.opener.Skip(buffer); err != nil {
			return err
		}
	}
	return nil
}

// fileFailed says in the engine's words why a file was not saved.
func fileFailed(err error) error {
	var wrong *attachment.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong), errors.Is(err, ErrFileDamaged):
		return fmt.Errorf("%w (%w)", ErrFileDamaged, err)
	case errors.Is(err, transport.ErrUnknownAttachment):
		return fmt.Errorf("%w (%w)", ErrFileGone, err)
	case errors.Is(err, transport.ErrNoAttachments):
		return fmt.Errorf("%w (%w)", ErrFileGone, err)
	}
	var rpc *transport.Error
	if errors.As(err, &rpc) {
		return remote(err)
	}
	return err
}

// partial is a file that is being fetched: the file's own bytes, as far as they
// have been verified, under a hidden name of the same folder.
type partial struct {
	root *os.Root
	name string
	file *os.File
	kept uint64 // whole chunks that are there and not yet passed

	placed string // the name that an earlier call gave the complete file
}

// openPartial opens what an earlier call has left, or makes a new one. A name
// that is taken by something else, such as a link, is cleared first.
func openPartial(root *os.Root, f content.File) (*partial, error) {
	p := &partial{root: root, name: ".posthorn-" + f.ID.String() + ".part"}
	before, err := root.Lstat(p.name)
	if err == nil {
		p.placed = placedAs(root, SafeName(f.Name), before)
	}
	stale := err == nil && (p.placed != "" || !before.Mode().IsRegular() || hasLinks(before))
	if stale {
		if err := root.Remove(p.name); err != nil || p.placed != "" {
			return p, savingFailed(err)
		}
	}
	if err != nil || stale {
		p.file, err = root.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		return p, savingFailed(err)
	}
	return p, p.reopen(before, f.Size)
}

// placedAs finds the name that an earlier call gave the complete file before it
// was killed: it then has both names. The saved file is not touched again.
func placedAs(root *os.Root, name string, partial fs.FileInfo) string {
	for n := 1; ; n++ {
		there, err := root.Lstat(numbered(name, n))
		if err != nil {
			return ""
		}
		if os.SameFile(there, partial) {
			return numbered(name, n)
		}
	}
}

// reopen goes on with a file, up to its last whole chunk.
func (p *partial) reopen(before fs.FileInfo, size uint64) (err error) {
	if p.file, err = p.root.OpenFile(p.name, os.O_RDWR, 0); err != nil {
		return savingFailed(err)
	}
	there, err := p.file.Stat()
	if err == nil && !os.SameFile(before, there) {
		err = fs.ErrExist // swapped for a link in between
	}
	if err == nil {
		p.kept = min(uint64(there.Size()), size) / attachment.ChunkSize
		err = p.file.Truncate(int64(p.kept * attachment.ChunkSize))
	}
	if err != nil {
		return errors.Join(savingFailed(err), p.file.Close())
	}
	return nil
}

// next reads the next chunk that is kept.
func (p *partial) next(buffer []byte) error {
	p.kept--
	_, err := io.ReadFull(p.file, buffer)
	return savingFailed(err)
}

func (p *partial) write(b []byte) error {
	_, err := p.file.Write(b)
	return savingFailed(err)
}

// discard removes what must not be gone on with.
func (p *partial) discard() {
	_ = p.file.Close() // or some systems keep it
	_ = p.root.Remove(p.name)
}

// keep makes the complete file durable and gives it a name that is free.
func (p *partial) keep(name string) (string, error) {
	if err := errors.Join(p.file.Sync(), p.file.Close()); err != nil {
		return "", savingFailed(err)
	}
	for n := 1; n <= 1000; n++ {
		taken := numbered(name, n)
		err := place(p.root, p.name, taken)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = syncFolder(p.root)
		}
		return taken, savingFailed(err)
	}
	return "", ErrNoName
}

// savingFailed says that it was the folder here that failed.
func savingFailed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the attachment cannot be written, nothing was saved: %w", err)
}

// place moves a file to a name that nobody has: linking fails where there is
// anything, a link included. Without links the name is claimed first.
func place(root *os.Root, from, to string) error {
	err := root.Link(from, to)
	if err == nil {
		return root.Remove(from)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	claimed, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(claimed.Close(), root.Rename(from, to))
}

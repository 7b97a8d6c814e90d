package client

import (
	"context"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"path/filepath"
	"strings"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/attachment"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/secret"
)

// Progress is told how far the transfer of a file is, in bytes as they travel.
// It is called from the goroutine that transfers, a few times a second at most
// where the network is slow, and may be nil.
type Progress func(name string, done, total uint64)

func (p Progress) tell(name string, done, total uint64) {
	if p != nil {
		p(name, done, total)
	}
}

// FileError says which of several files an upload failed on.
type FileError struct {
	Name string // safe to print
	Err  error
}

// Error gives the name and what failed.
func (e *FileError) Error() string { return e.Name + ": " + e.Err.Error() }

// Unwrap returns what failed.
func (e *FileError) Unwrap() error { return e.Err }

// Upload seals files and brings them to the server, for a message to a name
// that must exist. The files are not in any message yet: hand them to
// SendFiles. When it is interrupted, the next Upload of the same file goes on
// where this one stopped, under the same key; of a file that has changed, under
// a new one. Errors: those of Send, ErrNotAFile, ErrTooLarge, ErrFileChanged,
// ErrNoAttachments, ErrNoRoom, ErrUploadDamaged, content.ErrFiles; with
// ErrOffline what has arrived is kept.
func (c *Client) Upload(ctx context.Context, to account.Name, paths []string, progress Progress) ([]content.File, error) {
	if len(paths) > content.MaxFiles {
		return nil, fmt.Errorf("%w: %d files, and %d fit", content.ErrFiles, len(paths), content.MaxFiles)
	}
	if to == c.profile.Name {
		return nil, ErrOwnName
	}
	p, err := c.findByName(ctx, to)
	if err != nil {
		return nil, err
	}
	if p.row.State == localdb.Blocked {
		return nil, ErrBlocked
	}
	var files []content.File
	for _, path := range paths {
		f, err := c.uploadOne(ctx, path, files, progress)
		if err != nil {
			return nil, &FileError{Name: SafeName(filepath.Base(path)), Err: err}
		}
		files = append(files, f)
	}
	return files, nil
}

func (c *Client) uploadOne(ctx context.Context, path string, taken []content.File, progress Progress) (f content.File, err error) {
	name, mediaType := nameAndType(path)
	if err := content.CheckFile(name, mediaType, 0); err != nil {
		return f, err
	}
	p, err := pin(ctx, path)
	if err != nil {
		return f, err
	}
	defer p.close()
	row, err := c.beginUpload(ctx, p, taken)
	if err != nil {
		return f, err
	}
	row.File.Name, row.File.Type = name, mediaType
	s := &sending{client: c, pinned: p, row: row, progress: progress, digest: sha512.New384()}
	return s.run(ctx)
}

// beginUpload finds the interrupted upload of the same file, or draws a key for
// a new one. Files that this message has already are not taken twice.
func (c *Client) beginUpload(ctx context.Context, p *pinned, taken []content.File) (row localdb.Upload, err error) {
	now := clock.Now()
	err = c.update(ctx, func(tx *localdb.Tx) error {
		if err := tx.DeleteUploadsBefore(millis(now.Add(-api.UploadLife))); err != nil {
			return err
		}
		begun, err := tx.Uploads(p.root)
		if err != nil {
			return err
		}
		for _, row = range begun {
			if row.File.Size == p.size && !holds(taken, row.File.ID) {
				return nil
			}
		}
		row = localdb.Upload{File: content.File{Size: p.size}, Root: p.root, Begun: millis(now)}
		c.entropy.Read(row.Nonce[:])
		c.entropy.Read(row.File.Key[:])
		secret.Created("attachment key", row.File.Key[:])
		return tx.PutUpload(row)
	})
	return row, err
}

func holds(files []content.File, id content.FileID) bool {
	for _, f := range files {
		if f.ID == id {
			return true
		}
	}
	return false
}

// sending is one file on its way.
type sending struct {
	client   *Client
	pinned   *pinned
	row      localdb.Upload
	progress Progress

	digest   hash.Hash
	digested uint64 // bytes of the sealed file that are in the digest
	offset   uint64 // what the server wants next
}

// run brings the file to the server. An upload that the server has forgotten
// begins again, once.
func (s *sending) run(ctx context.Context) (content.File, error) {
	for try := 0; ; try++ {
		err := s.transfer(ctx)
		if errors.Is(err, transport.ErrUnknownAttachment) && try == 0 {
			s.digest.Reset()
			s.digested = 0
			continue
		}
		if errors.Is(err, transport.ErrBadDigest) {
			err = errors.Join(ErrUploadDamaged, s.client.update(ctx, func(tx *localdb.Tx) error { return tx.DeleteUpload(s.row.Nonce) }))
		}
		return s.row.File, uploadFailed(err)
	}
}

func (s *sending) transfer(ctx context.Context) error {
	size := attachment.SealedSize(s.pinned.size)
	begun, err := persist(ctx, 0, func() (transport.Upload, error) { return s.client.server.StartUpload(ctx, s.row.Nonce, size) })
	if err != nil {
		return err
	}
	s.row.File.ID, s.offset = begun.ID, begun.Offset
	if err := s.client.update(ctx, func(tx *localdb.Tx) error { return tx.PutUpload(s.row) }); err != nil {
		return err
	}
	if err := s.parts(ctx, size); err != nil {
		return err
	}
	s.digest.Sum(s.row.File.Digest[:0])
	if begun.Finished {
		return nil
	}
	_, err = persist(ctx, patience, func() (struct{}, error) {
		return struct{}{}, s.client.server.FinishUpload(ctx, begun.ID, s.row.File.Digest)
	})
	return err
}

// parts seals all parts in order, for the digest, and sends those that the
// server does not have. When it has lost one it gets it again: the same bytes.
func (s *sending) parts(ctx context.Context, size uint64) error {
	key := s.row.File.Key
	defer key.Wipe()
	c, err := attachment.NewCipher(&key, s.pinned.size)
	if err != nil {
		return err
	}
	sealed, plain := make([]byte, 0, api.AttachmentPart), make([]byte, attachment.ChunkSize)
	for s.digested < size || s.offset < size {
		at := min(s.digested, s.offset)
		if sealed, err = s.seal(c, at, sealed[:0], plain); err != nil {
			return err
		}
		if at == s.digested {
			s.digest.Write(sealed)
			s.digested += uint64(len(sealed))
		}
		if at == s.offset {
			s.offset, err = persist(ctx, patience, func() (uint64, error) {
				return s.client.server.UploadPart(ctx, s.row.File.ID, at, size, sealed)
			})
			if err != nil {
				return err
			}
		}
		s.progress.tell(s.row.File.Name, min(s.offset, s.digested), size)
	}
	return s.pinned.ended()
}

// seal makes the part of the sealed file that begins at an offset.
func (s *sending) seal(c *attachment.Cipher, offset uint64, sealed, buffer []byte) ([]byte, error) {
	first := offset / attachment.SealedChunkSize
	for i := first; i < min(first+api.AttachmentPart/attachment.SealedChunkSize, attachment.Chunks(s.pinned.size)); i++ {
		plain, err := s.pinned.chunk(i, buffer)
		if err != nil {
			return nil, err
		}
		if sealed, err = c.SealChunk(sealed, i, plain); err != nil {
			return nil, err
		}
	}
	return sealed, nil
}

// patience is how often a transfer that has begun tries to reach the server
// again, after growing pauses: a quarter of a minute, or as the server asks.
const patience = 6

// persist makes a call until it succeeds, the server has been out of reach that
// many times, or trying again is of no use. Where the server asks to slow down it
// waits just as long as asked: that is how a fast network transfers a file.
func persist[A any](ctx context.Context, tries int, f func() (A, error)) (A, error) {
	var pause backoff
	for {
		answer, err := f()
		var asked *transport.Error
		limited := errors.As(err, &asked) && errors.Is(asked.Err, transport.ErrLimited)
		switch {
		case limited:
			pause = backoff{pause: max(asked.RetryAfter, 10*time.Millisecond)}
		case errors.Is(err, transport.ErrOffline) && pause.tries < tries:
			pause.next(err)
		default:
			return answer, err
		}
		if waited := pause.wait(ctx); waited != nil {
			return answer, waited
		}
	}
}

// uploadFailed says in the engine's words why a file did not arrive.
func uploadFailed(err error) error {
	for _, pair := range [][2]error{
		{transport.ErrNoAttachments, ErrNoAttachments}, {transport.ErrTooLarge, ErrTooLarge}, {transport.ErrQuota, ErrNoRoom},
		{transport.ErrOffline, errors.Join(ErrUploadInterrupted, ErrOffline)},
	} {
		if errors.Is(err, pair[0]) {
			return fmt.Errorf("%w (%w)", pair[1], err)
		}
	}
	var rpc *transport.Error
	if errors.As(err, &rpc) {
		return remote(err)
	}
	return err
}

// SendFiles sends files that Upload has brought to the server, with a text that
// may be empty, as one message. Errors as of Send, and content.ErrFiles.
func (c *Client) SendFiles(ctx context.Context, to account.Name, text string, files []content.File) (Sent, error) {
	return c.sendBody(ctx, to, content.Files{Files: files, Text: text})
}

// nameAndType are the words about a file that travel with it. The type goes by
// the extension: nothing looks into the file.
func nameAndType(path string) (name, mediaType string) {
	name = strings.ToValidUTF8(filepath.Base(path), "�")
	return name, typeOf(filepath.Ext(name))
}

// typeOf knows the types of common extensions; the table of the system would
// tell which system this is.
func typeOf(extension string) string {
	return map[string]string{
		".txt": "text/plain", ".md": "text/markdown", ".csv": "text/csv", ".html": "text/html", ".json": "application/json", ".pdf": "application/pdf",
		".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".svg": "image/svg+xml", ".heic": "image/heic",
		".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".opus": "audio/opus", ".flac": "audio/flac", ".wav": "audio/wav", ".m4a": "audio/mp4",
		".mp4": "video/mp4", ".webm": "video/webm", ".mov": "video/quicktime", ".mkv": "video/x-matroska",
		".zip": "application/zip", ".gz": "application/gzip", ".tar": "application/x-tar", ".7z": "application/x-7z-compressed",
		".doc": "application/msword", ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".odt": "application/vnd.oasis.opendocument.text",
	}[strings.ToLower(extension)]
}

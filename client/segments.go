package client

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/attachment"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/secret"
)

// sealSegment is a segment as the server gets it. Its length is rounded up
// before sealing, so that the length of the sealed bytes says how to open them.
func sealSegment(history *secret.Key, s segment) ([]byte, error) {
	where, err := placeOf(history, s.index)
	if err != nil {
		return nil, err
	}
	defer where.key.Wipe()
	plain := binary.BigEndian.AppendUint32(nil, 0)
	plain = append(plain, s.marshal()...)
	binary.BigEndian.PutUint32(plain, uint32(len(plain)-4))
	plain = append(plain, make([]byte, attachment.PaddedSize(uint64(len(plain)))-uint64(len(plain)))...)
	c, err := attachment.NewCipher(&where.key, uint64(len(plain)))
	if err != nil {
		return nil, err
	}
	var sealed bytes.Buffer
	_, err = attachment.Seal(&sealed, bytes.NewReader(plain), c)
	return sealed.Bytes(), err
}

// openSegment is the reverse. ErrHistory when the bytes are not the segment of
// that number of this history.
func openSegment(history *secret.Key, index uint32, sealed []byte) (s segment, err error) {
	where, err := placeOf(history, index)
	if err != nil {
		return s, err
	}
	defer where.key.Wipe()
	chunks := (len(sealed) + attachment.SealedChunkSize - 1) / attachment.SealedChunkSize
	size := uint64(max(0, len(sealed)-chunks*attachment.Overhead))
	c, err := attachment.NewCipher(&where.key, size)
	if err != nil || attachment.SealedSize(size) != uint64(len(sealed)) {
		return s, badSegment("a length that no segment has")
	}
	var plain []byte
	for i := range attachment.Chunks(size) {
		from := int(i) * attachment.SealedChunkSize
		if plain, err = c.OpenChunk(plain, i, sealed[from:min(len(sealed), from+attachment.SealedChunkSize)]); err != nil {
			return s, badSegment("it does not open")
		}
	}
	n := binary.BigEndian.Uint32(plain)
	if uint64(n) > size-4 || len(bytes.TrimLeft(plain[4+n:], "\x00")) > 0 {
		return s, badSegment("a wrong length inside")
	}
	s, err = parseSegment(plain[4 : 4+n])
	if err == nil && s.index != index {
		err = badSegment("another number")
	}
	return s, err
}

// exportHistory brings the history for a new device to the server, and goes on
// where an earlier call stopped. Errors: ErrNoAttachments, ErrNoRoom,
// ErrOffline, with what has come through kept.
func (c *Client) exportHistory(ctx context.Context, device account.DeviceID, tell func(HistoryProgress)) error {
	for {
		e, final, err := c.nextSegment(ctx, device)
		if err != nil {
			return err
		}
		if e.Finished {
			tell(HistoryProgress{e.Done, e.Total, true})
			return nil
		}
		if err := c.putSegment(ctx, e); err != nil {
			return uploadFailed(err)
		}
		e.Segment, e.Next, e.Finished = nil, e.Next+1, final
		if final {
			e.Key, e.Statement, e.Bundle = secret.Key{}, nil, nil
		}
		err = c.update(ctx, func(tx *localdb.Tx) error {
			if _, err := tx.Export(device); err != nil {
				return err // the device was removed meanwhile, and its row with it
			}
			return tx.PutExport(e)
		})
		if err != nil {
			return err
		}
		if !final {
			tell(HistoryProgress{e.Done, e.Total, false})
		}
	}
}

// nextSegment is the export with a segment in it, which is stored before any
// of it leaves: what is under one key never changes.
func (c *Client) nextSegment(ctx context.Context, device account.DeviceID) (e localdb.Export, final bool, err error) {
	err = c.update(ctx, func(tx *localdb.Tx) error {
		if e, err = tx.Export(device); err != nil || e.Finished {
			return err
		}
		if len(e.Segment) == 0 {
			if err := c.makeSegment(tx, &e); err != nil {
				return err
			}
		}
		final = e.Segment[0] == 1
		return nil
	})
	return e, final, err
}

func (c *Client) makeSegment(tx *localdb.Tx, e *localdb.Export) (err error) {
	if e.Next == 0 {
		if e.Total, e.Last, err = tx.HistorySize(); err != nil {
			return err
		}
	}
	s, err := gather(tx, e)
	if err != nil {
		return err
	}
	sealed, err := sealSegment(&e.Key, s)
	if err != nil {
		return err
	}
	e.Segment = append([]byte{flag(s.final)}, sealed...)
	return tx.PutExport(*e)
}

// putSegment uploads the sealed segment of an export, part by part.
func (c *Client) putSegment(ctx context.Context, e localdb.Export) error {
	where, err := placeOf(&e.Key, e.Next)
	if err != nil {
		return err
	}
	where.key.Wipe()
	sealed := e.Segment[1:]
	size := uint64(len(sealed))
	begun, err := persist(ctx, 0, func() (transport.Upload, error) { return c.server.StartUpload(ctx, where.nonce, size) })
	if err != nil || begun.Finished {
		return err
	}
	for offset := begun.Offset; offset < size; {
		part := sealed[offset:min(size, offset+api.AttachmentPart)]
		offset, err = persist(ctx, patience, func() (uint64, error) { return c.server.UploadPart(ctx, begun.ID, offset, size, part) })
		if err != nil {
			return err
		}
	}
	_, err = persist(ctx, patience, func() (struct{}, error) {
		return struct{}{}, c.server.FinishUpload(ctx, begun.ID, sha512.Sum384(sealed))
	})
	return err
}

// errNoSegment: the next segment is not at the server yet.
var errNoSegment = errors.New("client: the next segment of the history is not there yet")

// importSegment takes in the next segment, all or nothing. errNoSegment,
// ErrHistory, ErrOffline.
func (c *Client) importSegment(ctx context.Context) (HistoryProgress, error) {
	var i localdb.Import
	if err := c.view(ctx, func(tx *localdb.Tx) (err error) {
		i, err = tx.Import()
		return err
	}); err != nil || i.Finished {
		return HistoryProgress{i.Done, i.Total, i.Finished}, err
	}
	sealed, err := c.getSegment(ctx, i)
	if err != nil {
		return HistoryProgress{i.Done, i.Total, false}, err
	}
	s, err := openSegment(&i.Key, i.Next, sealed)
	if err != nil {
		return HistoryProgress{i.Done, i.Total, false}, err
	}
	i.Next, i.Done, i.Total, i.Finished = i.Next+1, s.done, s.total, s.final
	if s.final {
		i.Key.Wipe()
	}
	err = c.update(ctx, func(tx *localdb.Tx) error {
		if err := s.admit(tx); err != nil {
			return err
		}
		return tx.PutImport(i)
	})
	c.events.announce()
	return HistoryProgress{i.Done, i.Total, i.Finished}, err
}

// getSegment fetches the sealed bytes of the next segment.
func (c *Client) getSegment(ctx context.Context, i localdb.Import) ([]byte, error) {
	where, err := placeOf(&i.Key, i.Next)
	if err != nil {
		return nil, err
	}
	where.key.Wipe()
	id := api.UploadID(c.profile.Account, where.nonce)
	var sealed []byte
	for size := uint64(1); uint64(len(sealed)) < size; {
		var part []byte
		part, size, err = c.server.FetchAttachment(ctx, id, uint64(len(sealed)), api.AttachmentPart)
		switch {
		case errors.Is(err, transport.ErrUnknownAttachment):
			return nil, errNoSegment
		case errors.Is(err, transport.ErrNoAttachments):
			return nil, fmt.Errorf("%w (%w)", ErrNoAttachments, err)
		case err != nil:
			return nil, remote(err)
		case len(part) == 0 || size > maxSegment+maxSegment/8:
			return nil, badSegment("a length that no segment has")
		}
		sealed = append(sealed, part...)
	}
	return sealed, nil
}

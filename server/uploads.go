package server

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding"
	"encoding/binary"
	"errors"
	"hash"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/codec"
	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/store"
)

// What an account has on the server is one record in the store's
// compare-and-swap space, so that every server over the same store knows who
// may go on with an upload, and how far it is:
//
//	uploads/ACCOUNT   u16 count ‖ count × upload
//	upload            id[16] ‖ u64 size ‖ u64 offset ‖ u64 changed (ms) ‖ u8 finished ‖ v16(hash)
//
// hash is the state of SHA-384 after offset bytes; once finished it is the digest,
// or empty if a version finished it that did not keep it.

func uploadsKey(id account.ID) string { return uploadsPrefix + id.String() }

const (
	uploadsPrefix = "uploads/"

	// maxUploads is how many files of one account are kept at a time. It bounds
	// the record, which is written at every part.
	maxUploads = 1000
	// maxUnfinished is how many of them may be on their way.
	maxUnfinished = 32
	// maxHashState bounds the state of the hash, in bytes.
	maxHashState = 512
)

// upload is one file of an account.
type upload struct {
	id       blob.ID
	size     uint64 // of the sealed file
	offset   uint64 // stored durably
	changed  uint64 // ms, of the last part
	finished bool
	hash     []byte
}

type uploads []upload

func (all uploads) marshal() []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(len(all)))
	for _, u := range all {
		b = append(b, u.id[:]...)
		b = binary.BigEndian.AppendUint64(b, u.size)
		b = binary.BigEndian.AppendUint64(b, u.offset)
		b = binary.BigEndian.AppendUint64(b, u.changed)
		finished := byte(0)
		if u.finished {
			finished = 1
		}
		b = codec.AppendV16(append(b, finished), u.hash)
	}
	return b
}

func parseUploads(b []byte) (all uploads, err error) {
	r := codec.NewReader(b)
	for n := r.U16(); n > 0 && !r.Failed(); n-- {
		var u upload
		r.Copy(u.id[:])
		u.size, u.offset, u.changed = r.U64(), r.U64(), r.U64()
		finished := r.U8()
		u.finished = finished == 1
		u.hash = bytes.Clone(r.V16(maxHashState))
		if finished > 1 || u.offset > u.size {
			return nil, errRecord
		}
		all = append(all, u)
	}
	if !r.Done() {
		return nil, errRecord
	}
	return all, nil
}

// uploadID is api.UploadID as the id of a blob.
func uploadID(id account.ID, nonce [16]byte) blob.ID { return blob.ID(api.UploadID(id, nonce)) }

// find is the place of an upload, or -1.
func (all uploads) find(id blob.ID) int {
	for i, u := range all {
		if u.id == id {
			return i
		}
	}
	return -1
}

// alive leaves out what the sweeper has removed or is about to.
func (all uploads) alive(now time.Time, retention time.Duration) (kept uploads) {
	for _, u := range all {
		life := retention
		if !u.finished {
			life = min(api.UploadLife, retention)
		}
		if now.Sub(time.UnixMilli(int64(u.changed))) < life {
			kept = append(kept, u)
		}
	}
	return kept
}

// room counts what an account has: bytes, files, and those of them on their way.
func (all uploads) room() (size uint64, unfinished int) {
	for _, u := range all {
		size += u.size
		if !u.finished {
			unfinished++
		}
	}
	return size, unfinished
}

// changeUploads applies a change to an account's uploads until no other writer
// comes in between. The change may refuse, and says whether there is anything
// to write.
func (d *directory) changeUploads(ctx context.Context, id account.ID, change func(*uploads) (write bool, err error)) error {
	for {
		value, version, err := d.store.Get(ctx, uploadsKey(id))
		var all uploads
		if err == nil {
			all, err = parseUploads(value)
		}
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return storageFailed(err)
		}
		write, err := change(&all)
		if err != nil || !write {
			return err
		}
		_, err = d.store.CAS(ctx, uploadsKey(id), version, all.marshal())
		if !errors.Is(err, store.ErrVersion) {
			return stored(err)
		}
	}
}

// resumeHash goes on with the digest of an upload.
func resumeHash(state []byte) (hash.Hash, error) {
	h := sha512.New384()
	if len(state) == 0 {
		return h, nil
	}
	return h, h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

// hashState keeps the digest so far.
func hashState(h hash.Hash) ([]byte, error) { return h.(encoding.BinaryMarshaler).MarshalBinary() }

// EachAttachment shows the finished attachments of every account that have not
// expired: id, size and SHA-384 of the sealed file. The digest is empty where
// the record does not have it. It returns how many uploads are on their way.
func (srv *Server) EachAttachment(ctx context.Context, visit func(id blob.ID, size uint64, digest []byte) error) (begun int, err error) {
	now, retention := clock.Now(), srv.options.Limits.AttachmentRetention
	for after := ""; ; {
		some, err := srv.store.Scan(ctx, uploadsPrefix, after, 16)
		if err != nil || len(some) == 0 {
			return begun, err
		}
		for _, record := range some {
			all, err := parseUploads(record.Val)
			if err != nil {
				return begun, err
			}
			for _, u := range all.alive(now, retention) {
				if !u.finished {
					begun++
				} else if err := visit(u.id, u.size, u.hash); err != nil {
					return begun, err
				}
			}
		}
		after = some[len(some)-1].Key
	}
}

// checkUploads is for CheckRecord.
func checkUploads(value []byte) error {
	if _, err := parseUploads(value); err != nil {
		return errors.New("an account's list of attachments cannot be read")
	}
	return nil
}

package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/server/blob"
)

// attachmentService keeps sealed files. Only the account that began an upload
// may go on with it; a finished file is for everybody who knows its id.
type attachmentService struct {
	directory *directory
	blobs     blob.Store // nil: this server keeps none
	bytes     *limiter   // of each device, in both directions
	limits    Limits
}

// StartUpload makes room for a file, or says how far the upload of the same
// nonce is.
func (s *attachmentService) StartUpload(ctx context.Context, request *posthornv1.StartUploadRequest) (*posthornv1.StartUploadResponse, error) {
	var nonce [16]byte
	if err := s.available(copyExactly(nonce[:], request.GetNonce())); err != nil {
		return nil, err
	}
	who, now := callerOf(ctx), clock.Now()
	wanted := upload{id: uploadID(who.account, nonce), size: request.GetSize(), changed: uint64(now.UnixMilli())}
	if err := s.fits(wanted.size); err != nil {
		return nil, err
	}
	err := s.directory.changeUploads(ctx, who.account, func(all *uploads) (bool, error) {
		*all = all.alive(now, s.limits.AttachmentRetention)
		if i := all.find(wanted.id); i >= 0 {
			if (*all)[i].size != wanted.size {
				return false, badRequest(reject.New("V-85", ErrRequest, "size"), "this upload was begun with another size; nothing was changed")
			}
			wanted = (*all)[i]
			return false, nil
		}
		if err := s.roomFor(*all, wanted.size); err != nil {
			return false, err
		}
		*all = append(*all, wanted)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return &posthornv1.StartUploadResponse{Id: wanted.id[:], Offset: wanted.offset, Finished: wanted.finished}, nil
}

// available refuses every call where no attachments are kept, and requests
// whose fields have not their length.
func (s *attachmentService) available(wellFormed bool) error {
	if s.blobs == nil {
		return refusal{
			code: connect.CodeUnimplemented, reason: api.ReasonNoAttachments, text: "this server keeps no attachments; nothing was stored",
			hint: "ask the operator, who can start posthornd with --blobs",
		}.err(nil)
	}
	if !wellFormed {
		return badRequest(reject.New("V-85", ErrRequest, "attachment"), "an id, a nonce or a digest has the wrong length; nothing was stored")
	}
	return nil
}

// fits holds a sealed file against the greatest one. The limit is for files as
// people have them; padding and tags add up to a sixteenth and a kilobyte.
func (s *attachmentService) fits(size uint64) error {
	limit := s.limits.AttachmentSize
	if size > 0 && size <= limit+limit/16+2048 {
		return nil
	}
	return refusal{
		code: connect.CodeFailedPrecondition, reason: api.ReasonAttachmentSize, text: "the file is larger than this server takes; nothing was stored",
		hint: "split the file, or ask the operator for a higher --attachment-size",
	}.err(reject.New("V-136", ErrAttachment, "size"))
}

// roomFor refuses what would go beyond the account's share.
func (s *attachmentService) roomFor(all uploads, size uint64) error {
	used, unfinished := all.room()
	if used+size <= s.limits.AttachmentQuota && len(all) < maxUploads && unfinished < maxUnfinished {
		return nil
	}
	return refusal{
		code: connect.CodeResourceExhausted, reason: api.ReasonAttachmentQuota, text: "this account's room for attachments is used up; nothing was stored",
		hint: "older attachments make room when they expire",
	}.err(reject.New("V-139", ErrAttachment, "quota"))
}

// UploadPart stores the next part and answers how far the upload is. A part
// for another place is not stored, and gets the same answer.
func (s *attachmentService) UploadPart(ctx context.Context, request *posthornv1.UploadPartRequest) (*posthornv1.UploadPartResponse, error) {
	var id blob.ID
	if err := s.available(copyExactly(id[:], request.GetId())); err != nil {
		return nil, err
	}
	who, now, data := callerOf(ctx), clock.Now(), request.GetData()
	u, err := s.uploadOf(ctx, who, id, now)
	if err != nil {
		return nil, err
	}
	if u.finished || request.GetOffset() != u.offset {
		return &posthornv1.UploadPartResponse{Offset: u.offset}, nil
	}
	if len(data) == 0 || uint64(len(data)) != min(blob.PartSize, u.size-u.offset) {
		return nil, badRequest(reject.New("V-137", ErrAttachment, "part"), "a part has not the length of its place; it was not stored")
	}
	if err := s.bytes.take(who.key(), len(data), now); err != nil {
		return nil, err
	}
	next, err := s.store(ctx, u, data)
	if err != nil {
		return nil, s.lost(ctx, who, u, err)
	}
	next.changed = uint64(now.UnixMilli())
	offset, err := s.advance(ctx, who, u, next)
	return &posthornv1.UploadPartResponse{Offset: offset}, err
}

// store writes the part and computes what the upload then is.
func (s *attachmentService) store(ctx context.Context, u upload, data []byte) (upload, error) {
	h, err := resumeHash(u.hash)
	if err != nil {
		return u, blob.ErrNotFound // of another version of the program: begin again
	}
	if err := s.blobs.WritePart(ctx, u.id, int(u.offset/blob.PartSize), data); err != nil {
		return u, err
	}
	h.Write(data)
	u.offset += uint64(len(data))
	u.hash, err = hashState(h)
	return u, err
}

// advance notes the new state of an upload, unless another call has moved it.
func (s *attachmentService) advance(ctx context.Context, who caller, from, to upload) (offset uint64, err error) {
	err = s.directory.changeUploads(ctx, who.account, func(all *uploads) (bool, error) {
		i := all.find(from.id)
		if i < 0 {
			return false, unknownAttachment()
		}
		if (*all)[i].offset != from.offset || (*all)[i].finished {
			offset = (*all)[i].offset
			return false, nil
		}
		(*all)[i], offset = to, to.offset
		return true, nil
	})
	return offset, err
}

// uploadOf finds an upload among those of the caller's account.
func (s *attachmentService) uploadOf(ctx context.Context, who caller, id blob.ID, now time.Time) (u upload, err error) {
	err = s.directory.changeUploads(ctx, who.account, func(all *uploads) (bool, error) {
		alive := all.alive(now, s.limits.AttachmentRetention)
		i := alive.find(id)
		if i < 0 {
			return false, unknownAttachment()
		}
		u = alive[i]
		return false, nil
	})
	return u, err
}

// lost forgets an upload whose bytes are gone, so that the client begins again;
// other failures of the blobs leave it as it is. So does an upload that is not
// any more as this call saw it: another call was quicker, and the bytes are gone
// from here because they are where finished files lie. What bytes there are stay:
// the next try writes over them, and the sweep takes what no record speaks of.
func (s *attachmentService) lost(ctx context.Context, who caller, seen upload, cause error) error {
	if !errors.Is(cause, blob.ErrNotFound) {
		return storageFailed(cause)
	}
	refused := unknownAttachment()
	err := s.directory.changeUploads(ctx, who.account, func(all *uploads) (bool, error) {
		i := all.find(seen.id)
		if i < 0 {
			return false, nil
		}
		if (*all)[i].finished || (*all)[i].offset != seen.offset || (*all)[i].changed != seen.changed {
			refused = storageFailed(cause) // the client asks again how far it is
			return false, nil
		}
		*all = append((*all)[:i], (*all)[i+1:]...)
		return true, nil
	})
	if err != nil {
		return err
	}
	return refused
}

// forget removes an upload, bytes first: a crash in between leaves a record
// that expires, not bytes that nobody counts.
func (s *attachmentService) forget(ctx context.Context, who caller, id blob.ID) error {
	if err := s.blobs.Remove(ctx, id); err != nil {
		return storageFailed(err)
	}
	return s.directory.changeUploads(ctx, who.account, func(all *uploads) (bool, error) {
		i := all.find(id)
		if i < 0 {
			return false, nil
		}
		*all = append((*all)[:i], (*all)[i+1:]...)
		return true, nil
	})
}

// forgetAll removes what an account has uploaded, whoever it was for.
func (s *attachmentService) forgetAll(ctx context.Context, id account.ID) error {
	return s.directory.changeUploads(ctx, id, func(all *uploads) (bool, error) {
		for _, u := range *all {
			if s.blobs == nil {
				break // they lie where this server cannot reach, and expire there
			}
			if err := s.blobs.Remove(ctx, u.id); err != nil {
				return false, storageFailed(err)
			}
		}
		found := len(*all) > 0
		*all = nil
		return found, nil
	})
}

// FinishUpload checks the digest and makes the file readable. It may be
// repeated. When the digest is another the upload is removed.
func (s *attachmentService) FinishUpload(ctx context.Context, request *posthornv1.FinishUploadRequest) (*posthornv1.FinishUploadResponse, error) {
	var id blob.ID
	var digest [48]byte
	if err := s.available(copyExactly(id[:], request.GetId()) && copyExactly(digest[:], request.GetDigest())); err != nil {
		return nil, err
	}
	who, now := callerOf(ctx), clock.Now()
	u, err := s.uploadOf(ctx, who, id, now)
	if err != nil {
		return nil, err
	}
	if u.finished {
		return &posthornv1.FinishUploadResponse{}, nil
	}
	if u.offset != u.size {
		return nil, badRequest(reject.New("V-137", ErrAttachment, "parts"), "parts are missing; the upload can go on")
	}
	h, err := resumeHash(u.hash)
	if err != nil {
		return nil, s.lost(ctx, who, u, blob.ErrNotFound)
	}
	if subtle.ConstantTimeCompare(h.Sum(nil), digest[:]) != 1 {
		return nil, s.refuseDigest(ctx, who, id)
	}
	if err := s.blobs.Finish(ctx, id, u.size); err != nil {
		return nil, s.lost(ctx, who, u, err)
	}
	done := u
	done.finished, done.hash, done.changed = true, digest[:], uint64(now.UnixMilli())
	_, err = s.advance(ctx, who, u, done)
	return &posthornv1.FinishUploadResponse{}, err
}

func (s *attachmentService) refuseDigest(ctx context.Context, who caller, id blob.ID) error {
	if err := s.forget(ctx, who, id); err != nil {
		return err
	}
	return refusal{
		code: connect.CodeFailedPrecondition, reason: api.ReasonBadDigest, text: "what arrived is not what was sent; the upload was removed",
		hint: "send the file again",
	}.err(reject.New("V-138", ErrAttachment, "digest"))
}

// FetchAttachment returns a range of a finished file. An id that was never
// given out, one whose file has expired and one whose upload is not finished
// get the same answer.
func (s *attachmentService) FetchAttachment(ctx context.Context, request *posthornv1.FetchAttachmentRequest) (*posthornv1.FetchAttachmentResponse, error) {
	var id blob.ID
	length := request.GetLength()
	if err := s.available(copyExactly(id[:], request.GetId()) && length > 0 && length <= blob.PartSize); err != nil {
		return nil, err
	}
	size, err := s.blobs.Size(ctx, id)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, unknownAttachment()
	}
	if err != nil {
		return nil, storageFailed(err)
	}
	if request.GetOffset() >= size {
		return &posthornv1.FetchAttachmentResponse{Size: size}, nil
	}
	if err := s.bytes.take(callerOf(ctx).key(), int(length), clock.Now()); err != nil {
		return nil, err
	}
	data, err := s.blobs.Read(ctx, id, request.GetOffset(), int(length))
	if errors.Is(err, blob.ErrNotFound) {
		return nil, unknownAttachment()
	}
	if err != nil {
		return nil, storageFailed(err)
	}
	return &posthornv1.FetchAttachmentResponse{Data: data, Size: size}, nil
}

func unknownAttachment() error {
	return refusal{
		code: connect.CodeNotFound, reason: api.ReasonUnknownAttachment, text: "the server has no such attachment",
		hint: "it has expired, or was never here; ask for it to be sent again",
	}.err(reject.New("V-140", ErrAttachment, "unknown"))
}

// sweep removes what has expired.
func (s *attachmentService) sweep(ctx context.Context, now time.Time) error {
	if s.blobs == nil {
		return nil
	}
	retention := s.limits.AttachmentRetention
	_, err := s.blobs.Sweep(ctx, now.Add(-retention), now.Add(-min(api.UploadLife, retention)))
	return err
}

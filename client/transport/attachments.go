package transport

import (
	"context"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
)

// Upload is how far a file is on its way to the server.
type Upload struct {
	ID       [16]byte
	Offset   uint64 // stored durably
	Finished bool
}

// StartUpload makes room for a sealed file of that size, or finds the upload
// that the same nonce began. Errors: ErrNoAttachments, ErrTooLarge, ErrQuota.
func (c *Client) StartUpload(ctx context.Context, nonce [16]byte, size uint64) (u Upload, err error) {
	answer, err := authorized(ctx, c, c.attachments.StartUpload, &posthornv1.StartUploadRequest{Nonce: nonce[:], Size: size})
	if err != nil {
		return u, err
	}
	if len(answer.GetId()) != len(u.ID) || !isPlace(answer.GetOffset(), size) {
		return u, &Error{Err: ErrServer, Reason: "an upload of a wrong shape"}
	}
	fill(u.ID[:], answer.GetId())
	u.Offset, u.Finished = answer.GetOffset(), answer.GetFinished()
	return u, nil
}

// UploadPart sends the part at an offset and returns the offset that the server
// wants next, which is another than expected when it has lost or already had
// this part. Error: ErrUnknownAttachment when it knows the upload no more.
func (c *Client) UploadPart(ctx context.Context, id [16]byte, offset, size uint64, data []byte) (next uint64, err error) {
	answer, err := authorized(ctx, c, c.attachments.UploadPart, &posthornv1.UploadPartRequest{Id: id[:], Offset: offset, Data: data})
	if err != nil {
		return 0, err
	}
	if !isPlace(answer.GetOffset(), size) {
		return 0, &Error{Err: ErrServer, Reason: "an offset of no part"}
	}
	return answer.GetOffset(), nil
}

// isPlace reports whether a part of a file begins at an offset, or the file
// ends there.
func isPlace(offset, size uint64) bool {
	return offset == size || offset < size && offset%api.AttachmentPart == 0
}

// FinishUpload makes the file readable for everybody who knows its id. Errors:
// ErrBadDigest, after which the upload is gone, and ErrUnknownAttachment.
func (c *Client) FinishUpload(ctx context.Context, id [16]byte, digest [48]byte) error {
	_, err := authorized(ctx, c, c.attachments.FinishUpload, &posthornv1.FinishUploadRequest{Id: id[:], Digest: digest[:]})
	return err
}

// FetchAttachment returns the range of a sealed file that begins at offset, and
// the length of all of it. Nothing is verified. Error: ErrUnknownAttachment.
func (c *Client) FetchAttachment(ctx context.Context, id [16]byte, offset uint64, length int) (data []byte, size uint64, err error) {
	answer, err := authorized(ctx, c, c.attachments.FetchAttachment, &posthornv1.FetchAttachmentRequest{Id: id[:], Offset: offset, Length: uint32(length)})
	return answer.GetData(), answer.GetSize(), err
}

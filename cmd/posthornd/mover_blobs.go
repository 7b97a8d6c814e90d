package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/posthorn/posthorn/internal/clock"
	"github.com/posthorn/posthorn/server/admin"
	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/blobmove"
	"github.com/posthorn/posthorn/server/blob/s3"
)

// movedFiles says what a move of the attachments has done.
type movedFiles struct {
	Copied     uint64   `json:"copied"`  // files
	Bytes      uint64   `json:"bytes"`   // of those
	Present    uint64   `json:"present"` // files that were there already, whole and right
	Missing    uint64   `json:"missing"` // files that the server should have and had not
	MissingIDs []string `json:"missing_ids"`
	Begun      int      `json:"begun"` // uploads that clients have to begin again
}

// moveProgress answers how far a move of the attachments is.
type moveProgress struct {
	Blobs  string `json:"blobs"` // where attachments lie now
	Moving bool   `json:"moving"`
	Copied uint64 `json:"copied"`
	Bytes  uint64 `json:"bytes"`
	There  uint64 `json:"present"`
}

// progress is asked again and again while a move goes on.
func (m *mover) progress(w http.ResponseWriter, _ *http.Request) error {
	p := moveProgress{Blobs: m.files.path()}
	if far := m.far.Load(); far != nil {
		p.Moving, p.Copied, p.Bytes, p.There = true, far.Copied, far.Bytes, far.Present
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(p)
}

// errManyNodes: what another node writes to the old place meanwhile would stay
// there.
var errManyNodes = &admin.Error{
	Kind: admin.KindRefused, Text: "other servers use the same attachments; nothing was moved",
	Hint: "stop all servers over this store but this one, wait half a minute, move, and start the others with the new place",
}

// moveFiles moves the attachments. When they are at the place already, because
// an earlier command did not get further, a store that is to be moved too may go
// on, and else it is refused.
func (m *mover) moveFiles(ctx context.Context, asked moveRequest) (*movedFiles, error) {
	to, err := placeName(m.data, asked.BlobsTo)
	if err != nil {
		return nil, err
	}
	if to == m.files.name() {
		if asked.To != "" {
			return &movedFiles{MissingIDs: []string{}}, nil
		}
		return nil, &admin.Error{Kind: admin.KindRefused, Text: "the attachments are at this place already; nothing was moved", Hint: "name another with --blobs-to"}
	}
	if m.srv.Others() > 0 {
		return nil, errManyNodes
	}
	target, err := openPlace(ctx, m.data, to)
	if err != nil {
		return nil, refusedFiles(err)
	}
	sum, begun, err := m.exchangeFiles(ctx, target, to)
	if err != nil {
		if closed := target.Close(); closed != nil {
			m.log.Warn("the place that attachments were not moved to was not closed in order", "error", closed)
		}
		return nil, refusedFiles(err)
	}
	m.log.Info("the attachments were moved to another place", "files", sum.Copied+sum.Present)
	return &movedFiles{sum.Copied, sum.Bytes, sum.Present, sum.Missing, names(sum.Lost), begun}, nil
}

// exchangeFiles copies the attachments and goes on with the copies.
func (m *mover) exchangeFiles(ctx context.Context, target blob.Store, to string) (sum blobmove.Sum, begun int, err error) {
	from := m.files.name()
	plan := blobmove.Plan{
		Watch: func(sum blobmove.Sum) { m.far.Store(&sum) },
		Records: func(ctx context.Context, visit func(blobmove.Record) error) (err error) {
			begun, err = m.srv.EachAttachment(ctx, func(id blob.ID, size uint64, digest []byte) error {
				return visit(blobmove.Record{ID: id, Size: size, Digest: digest})
			})
			return err
		},
	}
	defer m.far.Store(nil)
	sum, old, err := m.files.Move(ctx, target, plan, func() error {
		mark, err := blobsMovedFrom(m.data)
		if err == nil && m.srv.Others() > 0 { // one was started meanwhile
			err = errManyNodes
		}
		if err != nil {
			return err
		}
		if err := writeMark(m.data, movedBlobsFile, mark.next(from, to, clock.Now().UTC())); err != nil {
			return err
		}
		m.files.named.Store(&to)
		return nil
	})
	if err != nil {
		return sum, begun, err
	}
	if err := old.Close(); err != nil {
		m.log.Error("the place of attachments that is not used any more was not closed in order", "error", err)
	}
	return sum, begun, nil
}

func names(ids []blob.ID) []string {
	text := make([]string, len(ids))
	for i, id := range ids {
		text[i] = id.String()
	}
	return text
}

// stay is what every refusal says first.
const stay = "no attachment was moved away, they are used where they are: "

// refusedFiles says what the operator can do about attachments that were not
// moved.
func refusedFiles(err error) error {
	if damaged, ok := errors.AsType[*blobmove.DamagedError](err); ok {
		return &admin.Error{
			Kind: admin.KindRefused,
			Text: fmt.Sprintf("%s%d of them are damaged or cannot be read, the others are copied:\n%s", stay, len(damaged.IDs), strings.Join(names(damaged.IDs), "\n")),
			Hint: "put these files back from a backup, or move them out of where attachments are kept, then give the command again",
		}
	}
	if refused, ok := errors.AsType[*admin.Error](err); ok {
		return refused
	}
	if mark, ok := errors.AsType[*failure](err); ok {
		return &admin.Error{Kind: admin.KindRefused, Text: mark.text, Hint: mark.hint}
	}
	hint := "see whether both places can be reached and have room, then give the command again: what is copied already is not copied again"
	switch {
	case errors.Is(err, s3.ErrBucket):
		hint = "check the address, and that the server was started with the credentials in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: it is the server that opens the bucket"
	case errors.Is(err, blobmove.ErrMoving):
		hint = "wait for the move that is in progress"
	case errors.Is(err, context.Canceled):
		return err
	}
	return &admin.Error{Kind: admin.KindRefused, Text: stay + err.Error(), Hint: hint}
}

// afterFiles adds to a failure of the store's move what has been moved before it.
func afterFiles(err error, files *movedFiles) error {
	refused, ok := errors.AsType[*admin.Error](err)
	if !ok || files == nil {
		return err
	}
	return &admin.Error{Kind: refused.Kind, Text: "the attachments were moved, and are used at the new place; of the store, " + refused.Text, Hint: refused.Hint + "; the same command goes on"}
}

package client

import (
	"context"

	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
)

// wordsOf takes apart what a message says that waits for a receipt.
func wordsOf(body content.Body) (text string, files []content.File) {
	switch body := body.(type) {
	case content.Text:
		return body.Text, nil
	case content.Files:
		return body.Text, body.Files
	}
	return "", nil
}

// bodyOf is the reverse.
func bodyOf(text string, files []content.File) content.Body {
	if len(files) == 0 {
		return content.Text{Text: text}
	}
	return content.Files{Files: files, Text: text}
}

// keepFiles puts the files of a message that goes out in the place of their
// uploads, in one transaction: before it a new try finds the uploads, after it
// the keys are the message's, and no other message takes them.
func keepFiles(tx *localdb.Tx, id content.ID, files []content.File) error {
	for _, f := range files {
		if err := tx.DeleteUploadOf(f.ID); err != nil {
			return err
		}
	}
	return tx.PutFiles(localdb.Sent(id), files)
}

// sentBody puts a stored text and its files together again.
func (c *Client) sentBody(ctx context.Context, id content.ID, text string) (body content.Body, err error) {
	err = c.view(ctx, func(tx *localdb.Tx) error {
		files, err := tx.Files(localdb.Sent(id))
		body = bodyOf(text, files)
		return err
	})
	return body, err
}

// fileOf is where the files of a stored message are.
func fileOf(row localdb.Message) localdb.FileOf {
	if row.Outgoing {
		return localdb.Sent(row.ID)
	}
	return localdb.FileOf{Account: row.Account, Message: row.ID}
}

func attachmentsOf(files []content.File) (all []Attachment) {
	for _, f := range files {
		all = append(all, Attachment{ID: f.ID, Name: SafeName(f.Name), Size: f.Size, Type: f.Type})
	}
	return all
}

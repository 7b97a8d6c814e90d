package localdb

import (
	"encoding/binary"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
)

const schemaV3 = `
CREATE TABLE files (account BLOB NOT NULL, outgoing INTEGER NOT NULL, message BLOB NOT NULL, place INTEGER NOT NULL,
	id BLOB NOT NULL, key BLOB NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,
	PRIMARY KEY (account, outgoing, message, place)) WITHOUT ROWID;
CREATE INDEX files_by_id ON files (id);
CREATE TABLE uploads (nonce BLOB PRIMARY KEY, id BLOB NOT NULL, key BLOB NOT NULL, root BLOB NOT NULL,
	size INTEGER NOT NULL, begun INTEGER NOT NULL) WITHOUT ROWID;
`

// addFiles is the step to version 3: attachments.
func (tx *Tx) addFiles() error { return tx.run(schemaV3) }

// FileOf names the message that files belong to. Outgoing ones have no account:
// their ids are this device's own, and the recipient may not be known yet.
type FileOf struct {
	Account  account.ID
	Outgoing bool
	Message  content.ID
}

// Sent names a message of this device.
func Sent(id content.ID) FileOf { return FileOf{Outgoing: true, Message: id} }

// row is the primary key of a file's row, as bytes.
func (of FileOf) row(place int) []byte {
	b := append([]byte(nil), of.Account[:]...)
	if of.Outgoing {
		b = append(b, 1)
	}
	b = append(b, of.Message[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(place))
}

// PutFiles stores the files of a message, keys sealed, unless it has some.
func (tx *Tx) PutFiles(of FileOf, files []content.File) error {
	for place, f := range files {
		_, err := tx.exec("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			of.Account[:], of.Outgoing, of.Message[:], place, f.ID[:], tx.rows.seal("files.key", of.row(place), f.Key[:]),
			f.Digest[:], f.Size, f.Name, f.Type)
		if err != nil {
			return err
		}
	}
	return nil
}

// Files returns the files of a message, in order.
func (tx *Tx) Files(of FileOf) ([]content.File, error) {
	return list(tx, tx.scanFile, selectFiles+" WHERE account = ? AND outgoing = ? AND message = ? ORDER BY place",
		of.Account[:], of.Outgoing, of.Message[:])
}

// FilesByID returns the files that messages, of whomever, give an id to.
func (tx *Tx) FilesByID(id content.FileID) ([]content.File, error) {
	return list(tx, tx.scanFile, selectFiles+" WHERE id = ? ORDER BY outgoing, account, message, place", id[:])
}

// DeleteFiles removes the files of a message.
func (tx *Tx) DeleteFiles(of FileOf) error {
	_, err := tx.exec("DELETE FROM files WHERE account = ? AND outgoing = ? AND message = ?", of.Account[:], of.Outgoing, of.Message[:])
	return err
}

// FileNames returns all files by message, without their keys.
func (tx *Tx) FileNames() (map[FileOf][]content.File, error) {
	type row struct {
		of   FileOf
		file content.File
	}
	rows, err := list(tx, func(s scanner) (r row, err error) {
		err = s.Scan(fixed(r.of.Account[:]), &r.of.Outgoing, fixed(r.of.Message[:]), fixed(r.file.ID[:]), &r.file.Size, &r.file.Name, &r.file.Type)
		return r, err
	}, "SELECT account, outgoing, message, id, size, name, type FROM files ORDER BY account, outgoing, message, place")
	all := map[FileOf][]content.File{}
	for _, r := range rows {
		all[r.of] = append(all[r.of], r.file)
	}
	return all, err
}

const selectFiles = "SELECT account, outgoing, message, place, id, key, digest, size, name, type FROM files"

func (tx *Tx) scanFile(row scanner) (f content.File, err error) {
	var of FileOf
	var place int
	var sealed []byte
	if err := row.Scan(fixed(of.Account[:]), &of.Outgoing, fixed(of.Message[:]), &place, fixed(f.ID[:]), &sealed,
		fixed(f.Digest[:]), &f.Size, &f.Name, &f.Type); err != nil {
		return content.File{}, err
	}
	key, err := tx.openKeys("files.key", of.row(place), sealed)
	if err == nil && copy(f.Key[:], key) != len(f.Key) {
		err = corrupt("files.key")
	}
	return f, err
}

// Upload is a file on its way to the server. The row is written before the
// first byte leaves, so that an upload that is interrupted goes on under the
// same key and with the same bytes, which Root stands for.
type Upload struct {
	Nonce [16]byte // what the server derives the id from
	File  content.File
	Root  [48]byte // over the plain chunks; another file has another
	Begun uint64   // ms
}

// PutUpload stores u. Of the file its id, key and size are kept; the id may be
// filled in later.
func (tx *Tx) PutUpload(u Upload) error {
	_, err := tx.exec("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET id = excluded.id",
		u.Nonce[:], u.File.ID[:], tx.rows.seal("uploads.key", u.Nonce[:], u.File.Key[:]), u.Root[:], u.File.Size, u.Begun)
	return err
}

// Uploads returns the uploads of a file with that root, oldest first.
func (tx *Tx) Uploads(root [48]byte) ([]Upload, error) {
	return list(tx, tx.scanUpload, "SELECT nonce, id, key, root, size, begun FROM uploads WHERE root = ? ORDER BY begun, nonce", root[:])
}

// DeleteUpload forgets an upload with its key, because a message has taken it
// over or because it is of no use any more.
func (tx *Tx) DeleteUpload(nonce [16]byte) error {
	_, err := tx.exec("DELETE FROM uploads WHERE nonce = ?", nonce[:])
	return err
}

// DeleteUploadOf is DeleteUpload by the id that the server gave.
func (tx *Tx) DeleteUploadOf(id content.FileID) error {
	_, err := tx.exec("DELETE FROM uploads WHERE id = ?", id[:])
	return err
}

// DeleteUploadsBefore forgets what the server has forgotten.
func (tx *Tx) DeleteUploadsBefore(cutoff uint64) error {
	_, err := tx.exec("DELETE FROM uploads WHERE begun < ?", cutoff)
	return err
}

func (tx *Tx) scanUpload(row scanner) (u Upload, err error) {
	var sealed []byte
	if err := row.Scan(fixed(u.Nonce[:]), fixed(u.File.ID[:]), &sealed, fixed(u.Root[:]), &u.File.Size, &u.Begun); err != nil {
		return Upload{}, err
	}
	key, err := tx.openKeys("uploads.key", u.Nonce[:], sealed)
	if err == nil && copy(u.File.Key[:], key) != len(u.File.Key) {
		err = corrupt("uploads.key")
	}
	return u, err
}

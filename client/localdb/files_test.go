package localdb

import (
	"errors"
	"reflect"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/secret"
)

func someFiles() []content.File {
	return []content.File{
		{ID: content.FileID{1}, Key: secret.Key{1, 31: 9}, Digest: [48]byte{47: 1}, Size: 1 << 40, Name: "a\x00\u202eb", Type: "image/png"},
		{ID: content.FileID{2}, Key: secret.Key{2, 31: 9}, Name: "empty"},
	}
}

func TestFilesStayWithTheirMessage(t *testing.T) {
	_, db := made(t)
	mine, theirs := Sent(content.ID{7}), FileOf{Account: account.ID{3}, Message: content.ID{7}}
	update(t, db, func(tx *Tx) error {
		return errors.Join(tx.PutFiles(mine, someFiles()), tx.PutFiles(mine, someFiles()[1:]), tx.PutFiles(theirs, someFiles()[1:]))
	})
	if got := view(t, db, func(tx *Tx) ([]content.File, error) { return tx.Files(mine) }); !reflect.DeepEqual(got, someFiles()) {
		t.Errorf("%d files, or others", len(got))
	}
	if got := view(t, db, func(tx *Tx) ([]content.File, error) { return tx.FilesByID(content.FileID{2}) }); len(got) != 2 || got[0].Key != got[1].Key {
		t.Errorf("%d files", len(got))
	}
	names := view(t, db, func(tx *Tx) (map[FileOf][]content.File, error) { return tx.FileNames() })
	if len(names) != 2 || len(names[mine]) != 2 || names[mine][0].Name != "a\x00\u202eb" || names[mine][0].Key != (secret.Key{}) {
		t.Errorf("%d messages", len(names))
	}
	update(t, db, func(tx *Tx) error { return tx.DeleteFiles(mine) })
	if got := view(t, db, func(tx *Tx) ([]content.File, error) { return tx.FilesByID(content.FileID{2}) }); len(got) != 1 {
		t.Errorf("%d files are left", len(got))
	}
}

// A key that is moved to another row does not open there.
func TestFileKeysStayInTheirRows(t *testing.T) {
	_, db := made(t)
	of := Sent(content.ID{7})
	update(t, db, func(tx *Tx) error { return tx.PutFiles(of, someFiles()) })
	update(t, db, func(tx *Tx) error {
		return tx.run("UPDATE files SET key = (SELECT key FROM files WHERE place = 0) WHERE place = 1")
	})
	err := db.View(t.Context(), func(tx *Tx) error { _, err := tx.Files(of); return err })
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("%v", err)
	}
}

func TestUploadsAreFoundByTheirRoot(t *testing.T) {
	_, db := made(t)
	u := Upload{Nonce: [16]byte{1}, File: content.File{Key: secret.Key{5}, Size: 77}, Root: [48]byte{9}, Begun: 100}
	later := Upload{Nonce: [16]byte{2}, File: content.File{ID: content.FileID{8}, Key: secret.Key{6}, Size: 77}, Root: [48]byte{9}, Begun: 200}
	update(t, db, func(tx *Tx) error { return errors.Join(tx.PutUpload(later), tx.PutUpload(u)) })
	u.File.ID = content.FileID{4} // the server has answered
	update(t, db, func(tx *Tx) error { return tx.PutUpload(u) })
	all := func(tx *Tx) ([]Upload, error) { return tx.Uploads([48]byte{9}) }
	if got := view(t, db, all); !reflect.DeepEqual(got, []Upload{u, later}) {
		t.Errorf("%d uploads, or others", len(got))
	}
	if got := view(t, db, func(tx *Tx) ([]Upload, error) { return tx.Uploads([48]byte{8}) }); len(got) != 0 {
		t.Errorf("%d uploads of another file", len(got))
	}
	update(t, db, func(tx *Tx) error { return tx.DeleteUploadOf(content.FileID{8}) })
	if got := view(t, db, all); !reflect.DeepEqual(got, []Upload{u}) {
		t.Errorf("%d uploads are left", len(got))
	}
	update(t, db, func(tx *Tx) error { return tx.DeleteUploadsBefore(100) })
	if got := view(t, db, all); len(got) != 1 {
		t.Error("a fresh upload was forgotten")
	}
	update(t, db, func(tx *Tx) error { return tx.DeleteUploadsBefore(101) })
	if got := view(t, db, all); len(got) != 0 {
		t.Error("an old upload is still there")
	}
}

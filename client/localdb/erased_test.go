package localdb

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	sqlite3 "github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/posthorn/posthorn/account"
)

// decrypted is every byte of the database file under the encryption of its
// pages: what somebody has who holds the profile and its passphrase, and looks
// at what no query shows.
func decrypted(t *testing.T, db *DB) (pages []byte) {
	t.Helper()
	c, err := db.sql.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Raw(func(under any) error {
		file, err := under.(driver.Conn).Raw().FileControl("main", sqlite3.FCNTL_FILE_POINTER)
		if err != nil {
			return err
		}
		f := file.(vfs.File)
		size, err := f.Size()
		if err != nil {
			return err
		}
		pages = make([]byte, size)
		_, err = f.ReadAt(pages, 0)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return pages
}

// traces counts the aligned 16-byte pieces of b that are in the pages.
func traces(pages, b []byte) (n int) {
	for piece := range slices.Chunk(b, 16) {
		if len(piece) == 16 && bytes.Contains(pages, piece) {
			n++
		}
	}
	return n
}

func sealedPrekey(tx *Tx, hash []byte) (sealed []byte, err error) {
	return sealed, tx.row("SELECT private FROM prekeys WHERE hash = ?", hash).Scan(&sealed)
}

// Scenario T-A13, at rest: once a prekey is erased, no page of the file holds a
// piece of it, in use or free, nor does the journal. Rows of a session go the
// same way.
func TestTA13ErasedRowsLeaveThePages(t *testing.T) {
	dir, db := made(t)
	old, kept := Prekey{Private: bytes.Repeat([]byte{1}, 5100), NotAfter: 10}, Prekey{Private: bytes.Repeat([]byte{2}, 5100), NotAfter: 20}
	old.Hash[0], kept.Hash[0] = 1, 2
	session := Session{State: bytes.Repeat([]byte{3}, 9000)}
	update(t, db, func(tx *Tx) error {
		for _, p := range []Prekey{old, kept} {
			if err := tx.PutPrekey(p); err != nil {
				return err
			}
		}
		return tx.PutSession(session)
	})
	gone := view(t, db, func(tx *Tx) ([]byte, error) { return sealedPrekey(tx, old.Hash[:]) })
	stays := view(t, db, func(tx *Tx) ([]byte, error) { return sealedPrekey(tx, kept.Hash[:]) })
	state := view(t, db, func(tx *Tx) (sealed []byte, err error) {
		return sealed, tx.row("SELECT state FROM sessions").Scan(&sealed)
	})
	before := decrypted(t, db)
	for name, b := range map[string][]byte{"the old prekey": gone, "the new prekey": stays, "the session": state} {
		if n := traces(before, b); n < len(b)/16*9/10 {
			t.Fatalf("%s: the search finds %d of %d pieces of what is there", name, n, len(b)/16)
		}
	}
	update(t, db, func(tx *Tx) error {
		if n, err := tx.DeletePrekeys(15); err != nil || n != 1 {
			t.Errorf("%d prekeys went, %v", n, err)
		}
		return tx.DeleteSession(session.Device, session.ID)
	})
	after := decrypted(t, db)
	if n, m := traces(after, gone), traces(after, state); n != 0 || m != 0 {
		t.Errorf("%d pieces of an erased prekey and %d of an erased session are in the file", n, m)
	}
	if n := traces(after, stays); n < len(stays)/16*9/10 {
		t.Errorf("%d pieces of the prekey that stays", n)
	}
	update(t, db, func(tx *Tx) error {
		if err := tx.GiveUpPrekeys(account.BundleHash{}, 30); err != nil {
			return err
		}
		if n, err := tx.EraseGivenUp(29); err != nil || n != 0 {
			t.Errorf("%d prekeys erased before their time, %v", n, err)
		}
		n, err := tx.EraseGivenUp(30)
		if err != nil || n != 1 {
			t.Errorf("%d prekeys erased, %v", n, err)
		}
		return err
	})
	if n := traces(decrypted(t, db), stays); n != 0 {
		t.Errorf("%d pieces of a prekey that was given up are in the file", n)
	}
	row := view(t, db, func(tx *Tx) (Prekey, error) { return tx.Prekey(kept.Hash) })
	if len(row.Private) != 0 || row.EraseAt != 30 {
		t.Errorf("what is left of it: %d bytes, %d", len(row.Private), row.EraseAt)
	}
	if journal, err := os.ReadFile(filepath.Join(dir, dataFile+"-journal")); err != nil || len(journal) != 0 {
		t.Errorf("%d bytes of journal, %v", len(journal), err)
	}
}

package localdb

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"syscall"
	"testing"

	"github.com/zalando/go-keyring"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/secret"
)

var cheap = KDF{Time: 1, MemoryKiB: 8, Threads: 1}

func with(passphrase string) Unlock {
	return Unlock{Passphrase: func(bool) ([]byte, error) { return []byte(passphrase), nil }, KDF: cheap}
}

func made(t *testing.T) (dir string, db *DB) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "profile")
	db, err := Create(dir, with("right"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return dir, db
}

func reopen(t *testing.T, dir string, db *DB) *DB {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(dir, with("right"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = again.Close() })
	return again
}

func update(t *testing.T, db *DB, f func(*Tx) error) {
	t.Helper()
	if err := db.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
}

func view[T any](t *testing.T, db *DB, f func(*Tx) (T, error)) (v T) {
	t.Helper()
	if err := db.View(t.Context(), func(tx *Tx) (err error) {
		v, err = f(tx)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return v
}

// keptSessions copies what is wiped when the transaction ends.
func keptSessions(tx *Tx) ([]Session, error) {
	rows, err := tx.AllSessions()
	for i := range rows {
		rows[i].State = bytes.Clone(rows[i].State)
	}
	return rows, err
}

func keptPrekeys(tx *Tx) ([]Prekey, error) {
	rows, err := tx.Prekeys()
	for i := range rows {
		rows[i].Private = bytes.Clone(rows[i].Private)
	}
	return rows, err
}

// TestOpenedKeysAreWiped: nothing that a transaction read out of a sealed
// column of keys is left when it has ended, however it ended.
func TestOpenedKeysAreWiped(t *testing.T) {
	_, db := made(t)
	update(t, db, func(tx *Tx) error {
		return errors.Join(tx.PutSession(Session{State: []byte("state")}), tx.PutPrekey(Prekey{Private: []byte("private")}),
			tx.PutSkipped(account.DeviceID{}, [8]byte{}, 1, []byte("skipped")))
	})
	failed := errors.New("failed")
	for _, end := range []error{nil, failed} {
		var read [][]byte
		err := db.View(t.Context(), func(tx *Tx) error {
			sessions, err := tx.AllSessions()
			prekeys, err2 := tx.Prekeys()
			skipped, err3 := tx.Skipped(account.DeviceID{}, [8]byte{})
			read = append(slices.Clone(tx.opened), skipped, sessions[0].State, prekeys[0].Private)
			if string(bytes.Join(read[len(read)-3:], nil)) != "skippedstateprivate" {
				t.Errorf("read %q", read)
			}
			return errors.Join(err, err2, err3, end)
		})
		if !errors.Is(err, end) {
			t.Fatal(err)
		}
		for _, b := range read {
			if !bytes.Equal(b, make([]byte, len(b))) {
				t.Errorf("%q is left after %v", b, end)
			}
		}
	}
}

func TestProfileOpensWithItsPassphraseOnly(t *testing.T) {
	dir, db := made(t)
	if _, err := Open(dir, with("right")); !errors.Is(err, ErrLocked) {
		t.Fatalf("second opener: %v", err)
	}
	if _, err := Create(dir, with("right")); !errors.Is(err, ErrLocked) {
		t.Fatalf("create beside an open profile: %v", err)
	}
	db = reopen(t, dir, db)
	if db.Restored() {
		t.Error("an untouched profile counts as restored")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, dir)
	if _, err := Open(dir, with("wrong")); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, err := Open(dir, Unlock{}); !errors.Is(err, ErrNoPassphrase) {
		t.Errorf("nobody to ask: %v", err)
	}
	if _, err := Create(dir, with("right")); !errors.Is(err, ErrProfileExists) {
		t.Errorf("create over a profile: %v", err)
	}
	if !reflect.DeepEqual(before, readAll(t, dir)) {
		t.Error("a refused attempt changed a file")
	}
	if _, err := Open(t.TempDir(), with("right")); !errors.Is(err, ErrNoProfile) {
		t.Errorf("empty folder: %v", err)
	}
}

func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[e.Name()] = string(b)
	}
	return files
}

// TestA51FilesArePrivateAndSealed: whatever the umask, nobody else may open a
// file, and no file holds a text or key in clear, not even during a change.
func TestA51FilesArePrivateAndSealed(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	dir, db := made(t)
	canary := []byte("CANARY-0123456789")
	update(t, db, func(tx *Tx) error {
		seeds := account.KeySeeds{ECDSA: secret.Key(bytes.Repeat([]byte("CANARY01"), 4))}
		return errors.Join(
			tx.PutProfile(Profile{Name: "CANARY-name", ServerURL: string(canary), KeySeeds: seeds}),
			tx.PutSession(Session{State: canary}), tx.PutSkipped(account.DeviceID{}, [8]byte{}, 1, canary),
			tx.PutQueuedText(QueuedText{Name: "bob", Text: string(canary)}),
			tx.PutPrekey(Prekey{Private: canary}))
	})
	for name, text := range readAll(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		if bytes.Contains([]byte(text), []byte("CANARY")) || bytes.Contains([]byte(text), []byte("SQLite format")) {
			t.Errorf("%s holds something in clear", name)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder mode %v, %v", info.Mode(), err)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	dir, db := made(t)
	update(t, db, func(tx *Tx) error { return tx.PutProfile(Profile{Name: "alice"}) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{dataFile, keyFile} {
		path := filepath.Join(dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, whole[:len(whole)/2+1], 0o600); err != nil {
			t.Fatal(err)
		}
		if db, err := Open(dir, with("right")); !errors.Is(err, ErrCorrupt) {
			t.Errorf("half of %s: %v", name, err)
			if err == nil {
				_ = db.Close()
			}
		}
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeyFileCannotBeWeakened: the cost of the passphrase is bound to the
// wrapped key, and a newer format is named.
func TestKeyFileCannotBeWeakened(t *testing.T) {
	dir, db := made(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[error]func(*wrappedKey){
		ErrWrongPassphrase: func(w *wrappedKey) { w.KDF.MemoryKiB++ },
		ErrNewerSchema:     func(w *wrappedKey) { w.Format = 2 },
		ErrCorrupt:         func(w *wrappedKey) { w.KDF.MemoryKiB = 1 << 31 },
	} {
		w, err := readKeyFile(dir)
		if err != nil {
			t.Fatal(err)
		}
		good, _ := json.Marshal(w)
		change(w)
		if err := w.write(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir, with("right")); !errors.Is(err, want) {
			t.Errorf("want %v, got %v", want, err)
		}
		if err := os.WriteFile(filepath.Join(dir, keyFile), good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSealedColumnsStayInTheirRows: Adiantum does not authenticate, so a sealed
// column that was moved or altered is refused.
func TestSealedColumnsStayInTheirRows(t *testing.T) {
	_, db := made(t)
	one, two := Session{ID: [8]byte{1}, State: []byte("one")}, Session{ID: [8]byte{2}, State: []byte("two")}
	update(t, db, func(tx *Tx) error { return errors.Join(tx.PutSession(one), tx.PutSession(two)) })
	for _, swap := range []string{
		"UPDATE sessions SET state = (SELECT state FROM sessions WHERE id = x'0100000000000000') WHERE id = x'0200000000000000'",
		"UPDATE sessions SET state = zeroblob(64)",
	} {
		err := db.Update(t.Context(), func(tx *Tx) error {
			if _, err := tx.exec(swap); err != nil {
				return err
			}
			_, err := tx.AllSessions()
			return err
		})
		if !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", swap, err)
		}
	}
	if rows := view(t, db, keptSessions); len(rows) != 2 || string(rows[1].State) != "one" {
		t.Errorf("rows %+v", rows)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir, db := made(t)
	update(t, db, func(tx *Tx) error {
		_, err := tx.exec("PRAGMA user_version = 99")
		return err
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, with("right")); !errors.Is(err, ErrNewerSchema) {
		t.Fatal(err)
	}
}

// TestA16CopyIsNoticedOnce: another file in the database's place is reported
// by the first opening and by none after it.
func TestA16CopyIsNoticedOnce(t *testing.T) {
	dir, db := made(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, dataFile)
	b, err := os.ReadFile(path)
	if err == nil {
		err = errors.Join(os.WriteFile(path+".copy", b, 0o600), os.Rename(path+".copy", path))
	}
	if err != nil {
		t.Fatal(err)
	}
	db, err = Open(dir, with("right"))
	if err != nil || !db.Restored() {
		t.Fatalf("copy not noticed: %v", err)
	}
	if db = reopen(t, dir, db); db.Restored() {
		t.Error("noticed twice")
	}
}

func TestFailedUpdateLeavesNothing(t *testing.T) {
	_, db := made(t)
	refused := errors.New("no")
	if err := db.Update(t.Context(), func(tx *Tx) error {
		return errors.Join(tx.PutNotice(Notice{Text: "x"}), refused)
	}); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if err := db.View(t.Context(), func(tx *Tx) error { return tx.PutNotice(Notice{Text: "x"}) }); err == nil {
		t.Error("a view wrote")
	}
	update(t, db, func(tx *Tx) error {
		if all, err := tx.TakeNotices(); err != nil || len(all) != 0 {
			t.Errorf("notices %v, %v", all, err)
		}
		return nil
	})
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Update(over, func(*Tx) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestKeyStoreHoldsTheKey(t *testing.T) {
	keyring.MockInit() // the library's own stand-in for a desktop's key store
	dir := t.TempDir()
	db, err := Create(dir, Unlock{UseKeyStore: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(dir, Unlock{}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	w, err := readKeyFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := keyring.Delete(keyStoreService, w.Entry); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir, Unlock{}); !errors.Is(err, ErrKeyStore) {
		t.Errorf("entry gone: %v", err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	dir, db := made(t)
	if err := errors.Join(db.Close(), Remove(dir), Remove(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder: %v", err)
	}
}

// TestRowsComeBack stores one of everything, restarts, and compares.
func TestRowsComeBack(t *testing.T) {
	dir, db := made(t)
	dev, acc := account.DeviceID{7}, account.ID{8}
	profile := Profile{Name: "alice", ServerURL: "http://127.0.0.1:1", Account: acc, Device: dev, Statements: [][]byte{{1, 2}, {3}},
		KeySeeds: account.KeySeeds{ECDSA: secret.Key{1}, MLDSA: secret.Key{2}}, CreatedAt: 9, Registered: true}
	contact := Contact{Account: acc, Name: "bob", Statements: [][]byte{{4}}, State: Friend, PinnedSuite: account.PQ3A, FirstSeen: 5}
	device := PeerDevice{Device: dev, Account: acc, NewestBundle: 6, BundleHash: account.BundleHash{9}}
	session := Session{Device: dev, ID: [8]byte{3}, State: []byte("state"), StartTime: 4, SupersededAt: 5}
	prekey := Prekey{Hash: account.BundleHash{1}, Suite: account.PQ3A, Private: []byte("private"), NotBefore: 1, NotAfter: 2, Published: true}
	repair := Repair{Device: dev, UnknownSentAt: 1, AskedSession: [8]byte{2}, AskedCount: 3, HeartbeatAt: 4}
	waiting := WaitingMessage{Device: dev, Account: acc, Session: [8]byte{1}, Hash: [48]byte{2}, Payload: []byte("p"), ReceivedAt: 3}
	queued := QueuedText{Content: content.ID{4}, Name: "carol", Text: "later", Created: 5}
	update(t, db, func(tx *Tx) error {
		_, err := tx.PutWaiting(waiting)
		return errors.Join(err, tx.PutProfile(profile), tx.PutContact(contact), tx.PutPeerDevice(device), tx.PutSession(session),
			tx.PutSkipped(dev, session.ID, 1<<63, []byte("last")), tx.PutSkipped(dev, session.ID, 7, []byte("first ")),
			tx.PutPrekey(prekey), tx.PutRepair(repair), tx.PutQueuedText(queued), tx.SetCursor(12), tx.SetCursor(11))
	})
	db = reopen(t, dir, db)
	same := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", what, got, want)
		}
	}
	same("profile", view(t, db, (*Tx).Profile), profile)
	same("contacts", view(t, db, (*Tx).Contacts), []Contact{contact})
	same("by name", view(t, db, func(tx *Tx) (Contact, error) { return tx.ContactByName("bob") }), contact)
	same("device", view(t, db, func(tx *Tx) (PeerDevice, error) { return tx.PeerDevice(dev) }), device)
	same("sessions", view(t, db, keptSessions), []Session{session})
	skipped := func(tx *Tx) (string, error) {
		keys, err := tx.Skipped(dev, session.ID)
		return string(keys), err
	}
	same("skipped keys", view(t, db, skipped), "first last")
	same("prekeys", view(t, db, keptPrekeys), []Prekey{prekey})
	same("repair", view(t, db, func(tx *Tx) (Repair, error) { return tx.Repair(dev) }), repair)
	same("waiting", view(t, db, (*Tx).AllWaiting), []WaitingMessage{waiting})
	same("totals", view(t, db, func(tx *Tx) (WaitingTotals, error) { return tx.WaitingTotals(dev) }), WaitingTotals{1, 1, 1})
	same("queued", view(t, db, (*Tx).QueuedTexts), []QueuedText{queued})
	same("cursor", view(t, db, (*Tx).Cursor), uint64(12))
	update(t, db, func(tx *Tx) error { return tx.ForgetDevice(dev) })
	same("sessions of a removed device", len(view(t, db, (*Tx).AllSessions)), 0)
	same("their skipped keys", view(t, db, skipped), "")
	same("its waiting messages", len(view(t, db, (*Tx).AllWaiting)), 0)
}

// TestOutbox follows an envelope from sealed to confirmed.
func TestOutbox(t *testing.T) {
	_, db := made(t)
	dev, acc := account.DeviceID{1}, account.ID{2}
	row := Outgoing{Envelope: [16]byte{3}, Device: dev, Account: acc, Payload: []byte("sealed"), Hash: [48]byte{4}, Content: content.ID{5}, Kind: OutgoingText, Created: 6}
	update(t, db, func(tx *Tx) (err error) {
		if row.Seq, err = tx.PutOutgoing(row); err != nil {
			return err
		}
		if fresh, err := tx.InsertMessage(Message{ID: row.Content, Account: acc, Outgoing: true, Shown: true, State: Queued}); err != nil || !fresh {
			t.Errorf("insert: %v, %v", fresh, err)
		}
		if fresh, err := tx.InsertMessage(Message{ID: row.Content, Account: acc, Body: "an echo of the id"}); err != nil || !fresh {
			t.Errorf("the same id from the other side: %v, %v", fresh, err)
		}
		if fresh, err := tx.InsertMessage(Message{ID: row.Content, Account: acc}); err != nil || fresh {
			t.Errorf("repeat: %v, %v", fresh, err)
		}
		return nil
	})
	pending := func(tx *Tx) ([]Outgoing, error) { return tx.PendingOutgoing(10) }
	if got := view(t, db, pending); !reflect.DeepEqual(got, []Outgoing{row}) {
		t.Fatalf("pending %+v", got)
	}
	update(t, db, func(tx *Tx) error {
		return errors.Join(tx.AcceptOutgoing(row.Seq), tx.SetMessageState(acc, row.Content, Delivered), tx.SetMessageState(acc, row.Content, Accepted))
	})
	if got := view(t, db, pending); len(got) != 0 {
		t.Fatalf("still pending %+v", got)
	}
	if m := view(t, db, func(tx *Tx) (Message, error) { return tx.OutgoingMessage(row.Content) }); m.State != Delivered {
		t.Errorf("the state went back to %v", m.State)
	}
	kept := view(t, db, func(tx *Tx) (Outgoing, error) { return tx.OutgoingByHash(dev, row.Hash) })
	if !kept.Accepted || len(kept.Payload) != 0 {
		t.Errorf("kept for repair: %+v", kept)
	}
	update(t, db, func(tx *Tx) error {
		if n, err := tx.AcknowledgeOutgoing(dev, row.Content); err != nil || n != 1 {
			t.Errorf("acknowledged %d, %v", n, err)
		}
		if left, err := tx.OutgoingOf(row.Content); err != nil || len(left) != 0 {
			t.Errorf("left %v, %v", left, err)
		}
		return nil
	})
}

func TestAbsurdSentAtDoesNotBlockTheMessage(t *testing.T) {
	_, db := made(t)
	update(t, db, func(tx *Tx) error {
		stored, err := tx.InsertMessage(Message{Body: "late", SentAt: 1<<64 - 1})
		if err == nil && !stored {
			t.Error("the message was taken for a repetition")
		}
		return err
	})
	rows := view(t, db, func(tx *Tx) ([]Message, error) { return tx.Messages(MessageFilter{}) })
	if len(rows) != 1 || rows[0].Body != "late" || rows[0].SentAt != latestTime {
		t.Fatalf("got %+v", rows)
	}
}

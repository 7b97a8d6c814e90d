package client

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/secret"
)

// someSegment is a segment with one item of each kind.
func someSegment() segment {
	return segment{
		index: 3, final: true, done: 2, total: 2,
		contacts: []oldContact{{
			localdb.Contact{Account: account.ID{1}, Name: "bob", Statements: [][]byte{{1, 2}}, State: localdb.Friend, PinnedSuite: account.PQ3A, FirstSeen: 5, VerifiedAt: 6, ChangedTo: account.ID{9}, StoodAt: 10},
			0,
			[]localdb.PeerDevice{{Device: account.DeviceID{7}, Account: account.ID{1}, NewestBundle: 8, BundleHash: account.BundleHash{4}}},
		}},
		messages: []oldMessage{{
			localdb.Message{ID: content.ID{2}, Account: account.ID{1}, Outgoing: true, Body: "text", SentAt: 3, ReceivedAt: 4, Shown: true, Level: "3A", WireSize: 5, State: localdb.Delivered},
			[]content.File{{ID: content.FileID{6}, Key: secret.Key{7}, Digest: [48]byte{8}, Size: 9, Name: "a.txt", Type: "text/plain"}},
		}},
	}
}

func FuzzParseSegment(f *testing.F) {
	decodertest.Seed(f, "items", someSegment().marshal())
	decodertest.Seed(f, "empty", segment{}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) { decodertest.Canonical(t, b, parseSegment, segment.marshal) })
}

func FuzzParseOldContact(f *testing.F) {
	decodertest.Seed(f, "contact", someSegment().contacts[0].marshal())
	f.Fuzz(func(t *testing.T, b []byte) { decodertest.Canonical(t, b, parseOldContact, oldContact.marshal) })
}

func FuzzParseOldMessage(f *testing.F) {
	decodertest.Seed(f, "message", someSegment().messages[0].marshal())
	f.Fuzz(func(t *testing.T, b []byte) { decodertest.Canonical(t, b, parseOldMessage, oldMessage.marshal) })
}

func FuzzOpenSegment(f *testing.F) {
	decodertest.Seed(f, "short", []byte{1, 2, 3})
	decodertest.Seed(f, "zeros", make([]byte, 1040))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := openSegment(&secret.Key{1}, 0, b); err == nil {
			t.Fatal("a segment of nobody was opened")
		}
	})
}

func TestV239SegmentsOfNobody(t *testing.T) {
	key := secret.Key{1}
	s := someSegment()
	sealed, err := sealSegment(&key, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openSegment(&key, 3, sealed)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Fatalf("%+v, %v", got, err)
	}
	for name, err := range map[string]error{
		"another number":  second(openSegment(&key, 2, sealed)),
		"another history": second(openSegment(&secret.Key{2}, 3, sealed)),
		"cut":             second(openSegment(&key, 3, sealed[:len(sealed)-16])),
		"longer":          second(openSegment(&key, 3, append(bytes.Clone(sealed), 0))),
		"nothing":         second(openSegment(&key, 3, nil)),
	} {
		if !errors.Is(err, ErrHistory) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := openSegment(&key, 3, changed); !errors.Is(err, ErrHistory) {
			t.Fatalf("byte %d: %v", i, err)
		}
	}
	bad := s
	bad.contacts[0].Statements = nil
	w := newWorld(t)
	alice := w.person("alice")
	if err := alice.update(w.ctx, bad.admit); !errors.Is(err, ErrHistory) {
		t.Errorf("a contact without a roster: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A history of many segments, cut off on both sides after each of them.
func TestHistoryGoesOnAfterEveryStop(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	long := strings.Repeat("a long story. ", 4000)
	w.write(alice, func(tx *localdb.Tx) error {
		for i := range 60 {
			m := localdb.Message{Account: bob.profile.Account, Body: fmt.Sprint(i, long), SentAt: uint64(i), ReceivedAt: uint64(i), Shown: true, Level: "3A"}
			m.ID[0] = byte(i)
			if _, err := tx.InsertMessage(m); err != nil {
				return err
			}
		}
		return nil
	})
	laptop := w.linked("laptop", alice)
	device := laptop.profile.Device
	var segments int
	for finished := false; !finished; segments++ {
		e, final, err := alice.nextSegment(w.ctx, device)
		if err != nil {
			t.Fatal(err)
		}
		alice = w.restart(alice) // the segment is stored and not sent
		again, _, err := alice.nextSegment(w.ctx, device)
		if err != nil || !bytes.Equal(again.Segment, e.Segment) {
			t.Fatal("another segment under the same key: ", err)
		}
		if err := alice.putSegment(w.ctx, again); err != nil {
			t.Fatal(err)
		}
		alice = w.restart(alice) // it is sent, and that is not noted
		if err := alice.putSegment(w.ctx, again); err != nil {
			t.Fatal(err)
		}
		again.Segment, again.Next, again.Finished = nil, again.Next+1, final
		w.write(alice, func(tx *localdb.Tx) error { return tx.PutExport(again) })
		p, err := laptop.importSegment(w.ctx)
		if err != nil {
			t.Fatal(err)
		}
		laptop = w.restart(laptop)
		finished = p.Finished
	}
	if segments < 3 {
		t.Fatalf("%d segments show nothing", segments)
	}
	if want, got := w.texts(alice, "bob"), w.texts(laptop, "bob"); !reflect.DeepEqual(want, got) {
		t.Fatalf("%d of %d texts", len(got), len(want))
	}
}

// What neither side's command has finished, later ones do by themselves, and
// files of the history can be fetched by the new device.
func TestHistoryFinishesInPassing(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.befriended()
	laptop := w.linked("laptop", alice)
	w.sync(alice, laptop)
	if want, got := w.texts(alice, bob.Name()), w.texts(laptop, bob.Name()); len(want) == 0 || !reflect.DeepEqual(want, got) {
		t.Fatalf("%q, want %q", got, want)
	}
}

// A server that keeps no attachments has no history for anybody, which is said at
// once on both sides.
func TestHistoryWithoutAttachments(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	laptop := tn.linkVia(openLiar(t, tn.office.url), testConfig(filepath.Join(t.TempDir(), "laptop")), alice).made
	if laptop == nil {
		t.Fatal("not linked")
	}
	if err := alice.ExportHistory(tn.ctx, laptop.profile.Device, silent); !errors.Is(err, ErrNoAttachments) {
		t.Errorf("the old device: %v", err)
	}
	if _, err := laptop.ImportHistory(tn.ctx, time.Hour, silent); !errors.Is(err, ErrNoAttachments) {
		t.Errorf("the new device: %v", err)
	}
	tn.sync(alice, laptop) // and it holds nothing else up
}

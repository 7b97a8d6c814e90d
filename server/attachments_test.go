package server

import (
	"bytes"
	"crypto/rand"
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"connectrpc.com/connect/v2"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/server/blob"
	"github.com/posthorn/posthorn/server/blob/dir"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/memory"
)

// openFiles starts a server that keeps attachments in a folder.
func openFiles(t *testing.T, limits Limits) (*office, string) {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "blobs")
	return openOver(t, memory.New(), Options{OpenRegistration: true, Blobs: blobsIn(t, folder), Limits: limits}), folder
}

func blobsIn(t *testing.T, folder string) blob.Store {
	t.Helper()
	d, err := dir.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sealedFile is an upload as a client makes it.
type sealedFile struct {
	who   *person
	nonce [16]byte
	id    []byte
	data  []byte
}

func (p *person) newFile(size int) *sealedFile {
	f := &sealedFile{who: p, data: make([]byte, size)}
	_, _ = rand.Read(f.nonce[:])
	_, _ = rand.Read(f.data)
	return f
}

func (f *sealedFile) start() (*posthornv1.StartUploadResponse, error) {
	answer, err := f.who.line.attachments.StartUpload(bearer(f.who.t, f.who.token), &posthornv1.StartUploadRequest{Nonce: f.nonce[:], Size: uint64(len(f.data))})
	f.id = answer.GetId()
	return answer, err
}

func (f *sealedFile) mustStart() *sealedFile {
	f.who.t.Helper()
	if answer, err := f.start(); err != nil || len(answer.GetId()) != 16 || answer.GetOffset() != 0 {
		f.who.t.Fatalf("%v, %v", answer, err)
	}
	return f
}

// part sends the part at an offset.
func (f *sealedFile) part(offset int) (uint64, error) {
	return f.send(offset, f.data[offset:min(len(f.data), offset+blob.PartSize)])
}

func (f *sealedFile) send(offset int, data []byte) (uint64, error) {
	answer, err := f.who.line.attachments.UploadPart(bearer(f.who.t, f.who.token), &posthornv1.UploadPartRequest{Id: f.id, Offset: uint64(offset), Data: data})
	return answer.GetOffset(), err
}

func (f *sealedFile) mustSend() *sealedFile {
	f.who.t.Helper()
	for offset := 0; offset < len(f.data); offset += blob.PartSize {
		got, err := f.part(offset)
		if err != nil || got != uint64(min(len(f.data), offset+blob.PartSize)) {
			f.who.t.Fatalf("part at %d: %d, %v", offset, got, err)
		}
	}
	return f
}

func (f *sealedFile) finish(digest [48]byte) error {
	_, err := f.who.line.attachments.FinishUpload(bearer(f.who.t, f.who.token), &posthornv1.FinishUploadRequest{Id: f.id, Digest: digest[:]})
	return err
}

func (f *sealedFile) mustFinish() *sealedFile {
	f.who.t.Helper()
	if err := f.finish(sha512.Sum384(f.data)); err != nil {
		f.who.t.Fatal(err)
	}
	return f
}

func (p *person) fetchRange(id []byte, offset, length int) ([]byte, uint64, error) {
	answer, err := p.line.attachments.FetchAttachment(bearer(p.t, p.token), &posthornv1.FetchAttachmentRequest{Id: id, Offset: uint64(offset), Length: uint32(length)})
	return answer.GetData(), answer.GetSize(), err
}

func TestAttachmentsComeBackToAnybodyWithTheID(t *testing.T) {
	o, _ := openFiles(t, Limits{})
	alice, bob := o.join("alice"), o.join("bob")
	f := alice.newFile(2*blob.PartSize + 99).mustStart().mustSend().mustFinish()
	var got []byte
	for offset := 0; ; offset = len(got) {
		data, size, err := bob.fetchRange(f.id, offset, blob.PartSize)
		if err != nil || size != uint64(len(f.data)) {
			t.Fatalf("size %d, %v", size, err)
		}
		if len(data) == 0 {
			break
		}
		got = append(got, data...)
	}
	if !bytes.Equal(got, f.data) {
		t.Error("other bytes came back")
	}
	if data, _, err := bob.fetchRange(f.id, blob.PartSize-3, 7); err != nil || !bytes.Equal(data, f.data[blob.PartSize-3:blob.PartSize+4]) {
		t.Errorf("a range across parts: %d bytes, %v", len(data), err)
	}
}

// The upload goes on where it was after a restart of the server, whichever call
// the answer of was lost.
func TestUploadsGoOnAfterARestart(t *testing.T) {
	stores(t, func(t *testing.T, s store.Store) {
		folder := filepath.Join(t.TempDir(), "blobs")
		o := openOver(t, &kept{Store: s}, Options{OpenRegistration: true, Blobs: blobsIn(t, folder)})
		alice := o.join("alice")
		f := alice.newFile(2*blob.PartSize + 5).mustStart()
		if _, err := f.part(0); err != nil {
			t.Fatal(err)
		}
		o.close()
		again := openOver(t, s, Options{OpenRegistration: true, Blobs: blobsIn(t, folder)})
		alice.line, alice.audience = again.dial(), again.addr
		if err := alice.login(); err != nil {
			t.Fatal(err)
		}
		answer, err := f.start()
		if err != nil || answer.GetOffset() != blob.PartSize || answer.GetFinished() {
			t.Fatalf("%v, %v", answer, err)
		}
		if got, err := f.part(0); err != nil || got != blob.PartSize {
			t.Errorf("a repeated part: %d, %v", got, err)
		}
		for _, offset := range []int{blob.PartSize, 2 * blob.PartSize} {
			if _, err := f.part(offset); err != nil {
				t.Fatal(err)
			}
		}
		f.mustFinish().mustFinish()
		if answer, err := f.start(); err != nil || !answer.GetFinished() {
			t.Errorf("%v, %v", answer, err)
		}
	})
}

// kept is a store that its first server does not close.
type kept struct{ store.Store }

func (*kept) Close() error { return nil }

func TestV136UploadSizes(t *testing.T) {
	o, _ := openFiles(t, Limits{AttachmentSize: 1 << 20, AttachmentQuota: 100 << 20})
	alice := o.join("alice")
	for _, size := range []int{0, 1<<20 + 1<<16 + 2049} {
		_, err := alice.newFile(size).start()
		wantRefusal(t, err, connect.CodeFailedPrecondition, api.ReasonAttachmentSize)
	}
	alice.newFile(1<<20 + 1<<16 + 2048).mustStart()
}

// A file of the greatest size, and any below it, is taken once it is sealed.
func TestLargestFilesFitOnceSealed(t *testing.T) {
	s := &attachmentService{limits: DefaultLimits()}
	for _, limit := range []uint64{1, 1000, 4096, 1 << 16, 1<<20 + 1, 100 << 20, 1 << 30} {
		s.limits.AttachmentSize = limit
		for _, size := range []uint64{limit, limit - limit/7, limit - limit/100} {
			if err := s.fits(sealedSize(size)); err != nil {
				t.Errorf("%d bytes, limit %d: %v", size, limit, err)
			}
		}
	}
}

// sealedSize is SPEC §12.1 and §12.2, which this package has no code for.
func sealedSize(size uint64) uint64 {
	padded := uint64(1024)
	if size > padded {
		e := 0
		for size>>(e+1) > 0 {
			e++
		}
		log := 0
		for e>>(log+1) > 0 {
			log++
		}
		low := uint64(1)<<(e-log-1) - 1
		padded = (size + low) &^ low
	}
	return padded + (padded+65535)/65536*16
}

func TestV137PartsOfOtherLengthsRefused(t *testing.T) {
	o, folder := openFiles(t, Limits{})
	alice := o.join("alice")
	f := alice.newFile(blob.PartSize + 5).mustStart()
	for _, n := range []int{0, 1, blob.PartSize - 1, blob.PartSize + 1} {
		_, err := f.send(0, f.data[:n])
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	}
	for _, offset := range []int{1, 5, blob.PartSize, 1 << 40} {
		if got, err := f.send(offset, f.data[:5]); err != nil || got != 0 {
			t.Errorf("a part for %d: %d, %v", offset, got, err)
		}
	}
	if names, _ := os.ReadDir(filepath.Join(folder, "uploads")); len(names) != 0 {
		t.Error("refused parts lie on the disk")
	}
	if _, err := f.part(0); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, f.finish(sha512.Sum384(f.data)), connect.CodeInvalidArgument, api.ReasonBadRequest)
	for _, n := range []int{4, 6} {
		_, err := f.send(blob.PartSize, f.data[:n])
		wantRefusal(t, err, connect.CodeInvalidArgument, api.ReasonBadRequest)
	}
	if _, err := f.part(blob.PartSize); err != nil {
		t.Fatal(err)
	}
	f.mustFinish()
}

func TestV138OtherDigestRemovesTheUpload(t *testing.T) {
	o, folder := openFiles(t, Limits{AttachmentQuota: blob.PartSize + 5})
	alice := o.join("alice")
	f := alice.newFile(blob.PartSize + 5).mustStart().mustSend()
	digest := sha512.Sum384(f.data)
	digest[0] ^= 1
	wantRefusal(t, f.finish(digest), connect.CodeFailedPrecondition, api.ReasonBadDigest)
	_, _, err := alice.fetchRange(f.id, 0, 1)
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAttachment)
	wantRefusal(t, f.finish(sha512.Sum384(f.data)), connect.CodeNotFound, api.ReasonUnknownAttachment)
	if names, _ := os.ReadDir(filepath.Join(folder, "uploads")); len(names) != 0 {
		t.Error("the refused upload lies on the disk")
	}
	f.mustStart().mustSend().mustFinish() // it takes no room either
}

func TestV139Quota(t *testing.T) {
	o, _ := openFiles(t, Limits{AttachmentQuota: 10_000})
	alice, bob := o.join("alice"), o.join("bob")
	alice.newFile(6_000).mustStart()
	_, err := alice.newFile(4_001).start()
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonAttachmentQuota)
	alice.newFile(4_000).mustStart().mustSend().mustFinish()
	_, err = alice.newFile(1).start()
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonAttachmentQuota)
	bob.newFile(10_000).mustStart() // the quota is each account's own
}

func TestV139UnfinishedUploadsAreCounted(t *testing.T) {
	o, _ := openFiles(t, Limits{})
	alice := o.join("alice")
	for range maxUnfinished {
		alice.newFile(1).mustStart()
	}
	_, err := alice.newFile(1).start()
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonAttachmentQuota)
}

// An id that never was, another account's upload, an unfinished one and one
// whose bytes are gone cannot be told from each other.
func TestV140UnknownAttachmentsHaveOneAnswer(t *testing.T) {
	o, folder := openFiles(t, Limits{})
	alice, bob := o.join("alice"), o.join("bob")
	begun := alice.newFile(2 * blob.PartSize).mustStart()
	if _, err := begun.part(0); err != nil {
		t.Fatal(err)
	}
	gone := alice.newFile(10).mustStart().mustSend().mustFinish()
	if err := os.RemoveAll(filepath.Join(folder, "files")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(folder, "files"), 0o700); err != nil {
		t.Fatal(err)
	}
	var answers []string
	for _, id := range [][]byte{make([]byte, 16), begun.id, gone.id} {
		for _, who := range []*person{alice, bob} {
			_, _, err := who.fetchRange(id, 0, 100)
			wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAttachment)
			answers = append(answers, err.Error())
		}
	}
	for _, f := range []*sealedFile{{who: bob, id: begun.id, data: begun.data}, {who: bob, id: make([]byte, 16), data: begun.data}} {
		_, err := f.part(0)
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAttachment)
		answers = append(answers, err.Error())
		err = f.finish(sha512.Sum384(f.data))
		wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAttachment)
		answers = append(answers, err.Error())
	}
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("%q and %q", a, answers[0])
		}
	}
	// Bob did not disturb her.
	if got, err := begun.part(blob.PartSize); err != nil || got != 2*blob.PartSize {
		t.Errorf("%d, %v", got, err)
	}
	begun.mustFinish()
}

// Bytes that the disk lost are found out at the next part, and the client can
// begin again.
func TestV140LostUploadBeginsAgain(t *testing.T) {
	o, folder := openFiles(t, Limits{})
	f := o.join("alice").newFile(blob.PartSize + 5).mustStart()
	if _, err := f.part(0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "uploads", fmt.Sprintf("%x", f.id))); err != nil {
		t.Fatal(err)
	}
	_, err := f.part(blob.PartSize)
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAttachment)
	f.mustStart().mustSend().mustFinish()
}

// A call that was held up between the record and the bytes finds the upload
// finished by others, and leaves it alone.
func TestLatePartLeavesTheFinishedFile(t *testing.T) {
	o, _ := openFiles(t, Limits{})
	alice := o.join("alice")
	f := alice.newFile(blob.PartSize + 5).mustStart()
	if _, err := f.part(0); err != nil {
		t.Fatal(err)
	}
	s, who := o.srv.files, caller{account: alice.party.Account}
	seen, err := s.uploadOf(t.Context(), who, blob.ID(f.id), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.part(blob.PartSize); err != nil {
		t.Fatal(err)
	}
	f.mustFinish()
	_, err = s.store(t.Context(), seen, f.data[blob.PartSize:])
	if !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("the late part: %v", err)
	}
	if err := s.lost(t.Context(), who, seen, err); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("its answer: %v", err)
	}
	if _, size, err := alice.fetchRange(f.id, 0, 1); err != nil || size != uint64(len(f.data)) {
		t.Errorf("the finished file: %d bytes, %v", size, err)
	}
	if answer, err := f.start(); err != nil || !answer.GetFinished() {
		t.Errorf("its record: %v, %v", answer, err)
	}
}

func TestNobodyTakesAnothersID(t *testing.T) {
	nonce := [16]byte{1}
	a, b := uploadID(account.ID{1}, nonce), uploadID(account.ID{2}, nonce)
	if a == b || a == uploadID(account.ID{1}, [16]byte{2}) || a != uploadID(account.ID{1}, nonce) {
		t.Error("ids do not follow from account and nonce")
	}
}

func TestV85AttachmentFields(t *testing.T) {
	o, _ := openFiles(t, Limits{})
	alice := o.join("alice")
	ctx := bearer(t, alice.token)
	f := alice.newFile(10).mustStart()
	calls := map[string]func() error{
		"nonce": func() error {
			_, err := alice.line.attachments.StartUpload(ctx, &posthornv1.StartUploadRequest{Nonce: make([]byte, 15), Size: 1})
			return err
		},
		"size": func() error {
			_, err := alice.line.attachments.StartUpload(ctx, &posthornv1.StartUploadRequest{Nonce: f.nonce[:], Size: 11})
			return err
		},
		"part id": func() error {
			_, err := alice.line.attachments.UploadPart(ctx, &posthornv1.UploadPartRequest{Id: f.id[:15], Data: f.data})
			return err
		},
		"digest": func() error {
			_, err := alice.line.attachments.FinishUpload(ctx, &posthornv1.FinishUploadRequest{Id: f.id, Digest: make([]byte, 47)})
			return err
		},
		"no length": func() error { _, _, err := alice.fetchRange(f.id, 0, 0); return err },
		"length":    func() error { _, _, err := alice.fetchRange(f.id, 0, blob.PartSize+1); return err },
		"fetch id":  func() error { _, _, err := alice.fetchRange(nil, 0, 1); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			wantRefusal(t, call(), connect.CodeInvalidArgument, api.ReasonBadRequest)
		})
	}
}

func TestV89AttachmentBytes(t *testing.T) {
	o, _ := openFiles(t, Limits{AttachmentBytes: Rate{PerSecond: 1, Burst: blob.PartSize + 100}})
	f := o.join("alice").newFile(2 * blob.PartSize).mustStart()
	if _, err := f.part(0); err != nil {
		t.Fatal(err)
	}
	_, err := f.part(blob.PartSize)
	wantRefusal(t, err, connect.CodeResourceExhausted, api.ReasonRateLimited)
	if detailOf(t, err).GetRetryAfterMs() == 0 {
		t.Error("no time to wait is named")
	}
}

func TestServersWithoutBlobsSaySo(t *testing.T) {
	o := open(t)
	alice := o.join("alice")
	_, err := alice.newFile(10).start()
	wantRefusal(t, err, connect.CodeUnimplemented, api.ReasonNoAttachments)
	_, _, err = alice.fetchRange(make([]byte, 16), 0, 1)
	wantRefusal(t, err, connect.CodeUnimplemented, api.ReasonNoAttachments)
}

// Expiry by the server's own sweep: the record makes room at once, the bytes go
// with the sweep.
func TestAttachmentsExpire(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "blobs")
	s := &attachmentService{directory: newDirectory(memory.New()), blobs: blobsIn(t, folder), bytes: newLimiter(limitless().Bytes), limits: DefaultLimits()}
	now := time.Now()
	for _, row := range []struct {
		days int
		want uint64
	}{{0, 2}, {6, 2}, {8, 1}, {29, 1}, {31, 0}} { // a finished one and one that is not
		all := uploads{{size: 1, finished: true, changed: uint64(now.UnixMilli())}, {size: 1, changed: uint64(now.UnixMilli())}}
		if used, _ := all.alive(now.AddDate(0, 0, row.days), s.limits.AttachmentRetention).room(); used != row.want {
			t.Errorf("after %d days %d are counted, want %d", row.days, used, row.want)
		}
	}
	id := blob.ID{1}
	if err := s.blobs.WritePart(t.Context(), id, 0, []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.blobs.Finish(t.Context(), id, 1); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		days int
		want error
	}{{29, nil}, {31, blob.ErrNotFound}} {
		if err := s.sweep(t.Context(), now.AddDate(0, 0, row.days)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.blobs.Size(t.Context(), id); !errors.Is(err, row.want) {
			t.Errorf("after %d days: %v", row.days, err)
		}
	}
}

func TestDeletedAccountTakesItsAttachmentsAlong(t *testing.T) {
	o, folder := openFiles(t, Limits{})
	alice, bob := o.join("alice"), o.join("bob")
	f := alice.newFile(10).mustStart().mustSend().mustFinish()
	if _, err := alice.newFile(blob.PartSize + 1).mustStart().part(0); err != nil {
		t.Fatal(err)
	}
	kept := bob.newFile(10).mustStart().mustSend().mustFinish()
	if err := o.srv.Delete(t.Context(), "alice"); err != nil {
		t.Fatal(err)
	}
	_, _, err := bob.fetchRange(f.id, 0, 1)
	wantRefusal(t, err, connect.CodeNotFound, api.ReasonUnknownAttachment)
	if names, err := os.ReadDir(filepath.Join(folder, "uploads")); len(names) != 0 || err != nil {
		t.Errorf("%d unfinished uploads are left, %v", len(names), err)
	}
	if _, _, err := bob.fetchRange(kept.id, 0, 1); err != nil {
		t.Errorf("somebody else's: %v", err)
	}
	value, _, err := o.store.Get(t.Context(), uploadsKey(alice.party.Account))
	if all, bad := parseUploads(value); err != nil || bad != nil || len(all) != 0 {
		t.Errorf("the list still has %d files, %v", len(all), err)
	}
}

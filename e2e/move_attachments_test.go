package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/blob/s3/s3test"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// sendFile sends a random file and returns what was in it.
func (p *person) sendFile(to, name string, size int) []byte {
	p.t.Helper()
	path, data := randomFile(p.t, name, size)
	p.must("send", "@"+to, "-a", path)
	return data
}

// savesAll fetches every attachment anew and wants these contents, in any order.
func (p *person) savesAll(want ...[]byte) {
	p.t.Helper()
	p.must("read")
	ids := idsIn(p.must("attachment", "list", "--json"))
	if len(ids) != len(want) {
		p.t.Fatalf("%d attachments arrived, %d were sent", len(ids), len(want))
	}
	folder := p.t.TempDir()
	for _, id := range ids {
		p.must("attachment", "save", id, folder)
	}
	for _, data := range want {
		if !hasFile(folder, data) {
			p.t.Errorf("no saved file has the %d bytes that were sent", len(data))
		}
	}
}

// hasFile reports whether a folder has a file with this content.
func hasFile(folder string, data []byte) bool {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if got, err := os.ReadFile(filepath.Join(folder, e.Name())); err == nil && bytes.Equal(got, data) {
			return true
		}
	}
	return false
}

// TestAttachmentsMovedIntoABucket: a server with an embedded store and a folder
// goes on from a database and a bucket without a restart. What was sent before is
// fetched from there, what is sent after goes there, and the folder is not served
// from again.
func TestAttachmentsMovedIntoABucket(t *testing.T) {
	t.Parallel()
	gateway, database := s3test.Start(t), pgtest.New(t).URL("postgres")
	bucket := gateway.URL(gateway.Bucket(t))
	server := newDaemon(t, filepath.Join(t.TempDir(), "server"))
	server.env = gateway.Env()
	server.start()
	t.Cleanup(server.kill)
	alice, bob := contacts(t, server)
	before := alice.sendFile("bob", "before.bin", 3<<20+17)

	r := server.migrate(database, "--blobs-to", bucket, "--json")
	if r.code != 0 || !strings.Contains(r.stdout, `"copied":1,`) || !strings.Contains(r.stdout, `"mailboxes":2,`) {
		t.Fatalf("migrate: exit %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if err := os.RemoveAll(filepath.Join(server.data, "blobs")); err != nil { // so that nothing can come from there
		t.Fatal(err)
	}
	after := alice.sendFile("bob", "after.bin", 1<<20)
	bob.savesAll(before, after)

	server.kill()
	server.env = append(gateway.Env(), "POSTHORN_STORE="+database)
	server.refusesToServe("the attachments of this server were moved to", "POSTHORN_BLOBS")
	server.env = append(server.env, "POSTHORN_BLOBS="+bucket)
	server.start()
	bob.savesAll(before, after)
}

// TestDamagedAttachmentIsNotMoved: one wrong byte in one file is named, the old
// folder stays in use with everything in it, and once the file is back the same
// command takes up what is left.
func TestDamagedAttachmentIsNotMoved(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	alice, bob := contacts(t, server)
	sent := [][]byte{alice.sendFile("bob", "one.bin", 2<<20), alice.sendFile("bob", "two.bin", 1<<20)}
	finished, _ := server.kept()
	if len(finished) != 2 {
		t.Fatalf("the server has %d files", len(finished))
	}
	whole, err := os.ReadFile(finished[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[len(damaged)/2] ^= 1
	if err := os.WriteFile(finished[0], damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	r := server.migrate("", "--blobs-to", elsewhere)
	if r.code != 1 || !strings.Contains(r.stderr, filepath.Base(finished[0])) || !strings.Contains(r.stderr, "no attachment was moved away") {
		t.Errorf("a damaged file: exit %d, %q", r.code, r.stderr)
	}
	if err := os.WriteFile(finished[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	bob.savesAll(sent...) // from where they were
	if r := server.migrate("", "--blobs-to", elsewhere, "--json"); r.code != 0 || !strings.Contains(r.stdout, `"copied":1,`) || !strings.Contains(r.stdout, `"present":1,`) {
		t.Errorf("again: exit %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	if err := os.RemoveAll(filepath.Join(server.data, "blobs")); err != nil {
		t.Fatal(err)
	}
	bob.savesAll(sent...)
	if r := server.migrate("", "--blobs-to", elsewhere); r.code != 1 || !strings.Contains(r.stderr, "at this place already") {
		t.Errorf("a third time: exit %d, %q", r.code, r.stderr)
	}
	if r := server.migrate(""); r.code != 2 {
		t.Errorf("no place at all: exit %d, %q", r.code, r.stderr)
	}
}

// TestAttachmentsStayWhileOthersUseThem: what another node writes would be left
// behind, so nothing moves until there is none.
func TestAttachmentsStayWhileOthersUseThem(t *testing.T) {
	t.Parallel()
	database, shared := pgtest.New(t).URL("postgres"), filepath.Join(t.TempDir(), "shared")
	nodes := []*daemon{}
	for range 2 {
		n := newDaemon(t, filepath.Join(t.TempDir(), "server"), "--blobs", shared)
		n.env = []string{"POSTHORN_STORE=" + database}
		n.start()
		t.Cleanup(n.kill)
		nodes = append(nodes, n)
	}
	// Seeing each other and missing each other takes the nodes a while.
	moves := func(want bool) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
			r := nodes[0].migrate("", "--blobs-to", filepath.Join(t.TempDir(), "elsewhere"))
			refused := r.code == 1 && strings.Contains(r.stderr, "other servers use the same attachments")
			if !refused && r.code != 0 {
				t.Fatalf("migrate: exit %d, %q", r.code, r.stderr)
			}
			if refused != want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("refused: %v, for all of %v", refused, patience)
			}
		}
	}
	moves(false)
	nodes[1].kill()
	moves(true)
}

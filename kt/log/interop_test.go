package log

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	fnote "github.com/transparency-dev/formats/note"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/kt"
)

// server gives the files of a log out as posthornd does.
func files(t *testing.T, l *Log) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /kt/roots/{path...}", func(w http.ResponseWriter, r *http.Request) { l.Files(w, r, false, r.PathValue("path")) })
	mux.HandleFunc("GET /kt/updates/{path...}", func(w http.ResponseWriter, r *http.Request) { l.Files(w, r, true, r.PathValue("path")) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

func goTool(t *testing.T, name, module string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		machine.Lacks(t, "no %s here; go install %s", name, module)
	}
	return path
}

// Tessera's fsck, which we did not write, finds every tile and hash of both logs
// right.
func TestFsckOverBothLogs(t *testing.T) {
	tool := goTool(t, "fsck-tessera", "github.com/transparency-dev/tessera/cmd/fsck@v1.0.4 as fsck-tessera")
	o := fresh(t)
	l := open(t, o)
	var list []kt.Record
	for i := range 600 { // more than two bundles
		list = append(list, recordOf(fmt.Sprintf("user%d", i), 0))
	}
	if err := l.PublishAll(within(t), list); err != nil {
		t.Fatal(err)
	}
	url := files(t, l)
	updates, roots := l.Keys()
	for path, key := range map[string]string{"/kt/updates/": updates[0], "/kt/roots/": roots[0]} {
		if text, good := runFsck(t, tool, url+path, key); !good {
			t.Errorf("%s: %s", path, text)
		}
	}
}

// Our own check of a folder sees one wrong byte, wherever it is.
func TestVerifySeesOneWrongByte(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	var list []kt.Record
	for i := range 300 {
		list = append(list, recordOf(fmt.Sprintf("user%d", i), 0))
	}
	if err := l.PublishAll(within(t), list); err != nil {
		t.Fatal(err)
	}
	settled(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(within(t), o.Folder)
	if err != nil || r.Updates != 300 || r.Names != 300 || r.Roots < 3 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, file := range []string{
		"updates/tile/entries/000", "updates/tile/entries/001.p/44", "updates/tile/0/000", "updates/tile/0/001.p/44", "updates/tile/1/000.p/1",
		fmt.Sprintf("roots/tile/entries/000.p/%d", r.Roots), fmt.Sprintf("roots/tile/0/000.p/%d", r.Roots), "roots/checkpoint", "updates/checkpoint",
	} {
		name := filepath.Join(o.Folder, filepath.FromSlash(file))
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		wrong := bytes.Clone(raw)
		wrong[min(len(wrong)/3, 45)] ^= 1
		if err := os.WriteFile(name, wrong, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(within(t), o.Folder); err == nil {
			t.Errorf("one wrong byte in %s is not seen", file)
		}
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Verify(within(t), o.Folder); err != nil {
		t.Error(err)
	}
}

func runFsck(t *testing.T, tool, url, vkey string) (text string, good bool) {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte(vkey), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(within(t), tool, "--storage_url="+url, "--public_key="+key, "--ui=false", "--logtostderr").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out), strings.Contains(string(out), "checking log of size") && !strings.Contains(string(out), "fsck failed")
}

// Go's own code for checksum databases takes our checkpoint and proofs.
func TestGoSumdbCodeTakesTheLog(t *testing.T) {
	l := open(t, fresh(t))
	for i := range 5 {
		publish(t, l, recordOf(fmt.Sprintf("user%d", i), 0))
	}
	_, roots := l.Keys()
	v, err := note.NewVerifier(roots[0])
	if err != nil {
		t.Fatal(err)
	}
	reply, err := l.Answer(within(t), "user3", Asked{Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(reply.Answer.Checkpoint, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(n.Text, "\n")
	var size int64
	if _, err := fmt.Sscan(lines[1], &size); err != nil || lines[0] != l.Origin() {
		t.Fatalf("%q, %v", lines, err)
	}
	raw, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil {
		t.Fatal(err)
	}
	root := tlog.Hash(raw)
	var inclusion tlog.RecordProof
	for _, h := range reply.Answer.Inclusion {
		inclusion = append(inclusion, tlog.Hash(h))
	}
	if err := tlog.CheckRecord(inclusion, size, root, size-1, tlog.RecordHash(reply.Answer.Root.Marshal())); err != nil {
		t.Errorf("inclusion: %v", err)
	}
	var consistency tlog.TreeProof
	for _, h := range reply.Answer.Consistency {
		consistency = append(consistency, tlog.Hash(h))
	}
	var leaves [][]byte
	for _, e := range first(t, l, 3) {
		leaves = append(leaves, e.Entry)
	}
	if err := tlog.CheckTree(consistency, size, root, 3, treeOf(t, leaves)); err != nil {
		t.Errorf("consistency: %v", err)
	}
}

func first(t *testing.T, l *Log, n int) []Epoch {
	t.Helper()
	list, _, err := l.Epochs(within(t), 0)
	if err != nil || len(list) < n {
		t.Fatal(len(list), err)
	}
	return list[:n]
}

// treeOf is the root over some leaves, by Go's code.
func treeOf(t *testing.T, leaves [][]byte) tlog.Hash {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (list []tlog.Hash, err error) {
		for _, i := range indexes {
			list = append(list, stored[i])
		}
		return list, nil
	})
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(len(leaves)), read)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// litewitness is the witness of Filippo Valsorda's torchwood, a real process.
type litewitness struct {
	url  string
	vkey string
}

var verifierLine = regexp.MustCompile(`vkey=(\S+)`)

// startLitewitness runs one for a log. Its key is in an agent of ours, and its
// database has the two rows that say which log it watches.
func startLitewitness(t *testing.T, origin, vkey string) *litewitness {
	t.Helper()
	tool := goTool(t, "litewitness", "filippo.io/torchwood/cmd/litewitness@v0.9.0")
	machine.Tool(t, "sqlite3", "sqlite3")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := os.MkdirTemp("", "lw") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	fingerprint := serveAgent(t, filepath.Join(folder, "agent"), key)
	db := filepath.Join(folder, "db")
	empty := sha256.Sum256(nil)
	rows := fmt.Sprintf(`CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));
INSERT INTO log VALUES ('%s', 0, '%s'); INSERT INTO key VALUES ('%s', '%s');`,
		origin, base64.StdEncoding.EncodeToString(empty[:]), origin, vkey)
	if out, err := exec.CommandContext(within(t), "sqlite3", db, rows).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := &lineWatcher{found: make(chan string, 1)}
	cmd := exec.CommandContext(t.Context(), tool, "-db", db, "-name", "example.org/litewitness", "-ssh-agent", filepath.Join(folder, "agent"), "-key", fingerprint, "-listen", "127.0.0.1:0")
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	select {
	case key := <-said.found:
		return &litewitness{url: "http://" + listening(t, cmd.Process.Pid), vkey: key}
	case <-within(t).Done():
		t.Fatal("litewitness did not say its key")
		return nil
	}
}

// lineWatcher finds the verifier key in what the process says.
type lineWatcher struct {
	text  bytes.Buffer
	found chan string
}

func (w *lineWatcher) Write(b []byte) (int, error) {
	_, _ = w.text.Write(b)
	if m := verifierLine.FindSubmatch(w.text.Bytes()); m != nil {
		select {
		case w.found <- strings.Trim(string(m[1]), `"`):
		default:
		}
	}
	return len(b), nil
}

// serveAgent is an ssh-agent with one key, until the test ends.
func serveAgent(t *testing.T, socket string, key ed25519.PrivateKey) (fingerprint string) {
	t.Helper()
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, c) }()
		}
	}()
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return ssh.FingerprintSHA256(public)
}

var (
	socketLink = regexp.MustCompile(`^socket:\[(\d+)\]$`)
	tcpLine    = regexp.MustCompile(`(?m)^\s*\d+: 0100007F:([0-9A-F]{4}) 00000000:0000 0A (?:\S+\s+){5}(\d+)`)
)

// listening is the address that a process listens on. It chose a free port and
// does not say which.
func listening(t *testing.T, pid int) string {
	t.Helper()
	for ctx := within(t); ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		own := map[string]bool{}
		links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
		for _, link := range links {
			if to, err := os.Readlink(link); err == nil {
				if m := socketLink.FindStringSubmatch(to); m != nil {
					own[m[1]] = true
				}
			}
		}
		table, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
		if err != nil {
			machine.Lacks(t, "no /proc here, so nobody says where litewitness listens")
		}
		for _, m := range tcpLine.FindAllStringSubmatch(string(table), -1) {
			if own[m[2]] {
				var port uint16
				if _, err := fmt.Sscanf(m[1], "%x", &port); err != nil {
					t.Fatal(err)
				}
				return fmt.Sprintf("127.0.0.1:%d", port)
			}
		}
	}
	t.Fatal("litewitness does not listen")
	return ""
}

// A real foreign witness cosigns what we log, and nothing is served that it has
// not signed.
func TestLitewitnessCosigns(t *testing.T) {
	o := fresh(t)
	keys, err := fileKeys(o.KeysFolder, false)
	if err != nil {
		t.Fatal(err)
	}
	w := startLitewitness(t, keys.Origin+"/kt/roots", keys.Roots[0].Verifier)
	o.Interval = DefaultInterval
	o.Witnesses = fmt.Appendf(nil, "witness lite %s %s\nquorum lite\n", w.vkey, w.url)
	l := open(t, o)
	for i := range 3 {
		r := recordOf(fmt.Sprintf("user%d", i), 0)
		began := time.Now()
		publish(t, l, r)
		t.Logf("logged, cosigned and published in %v", time.Since(began).Round(time.Millisecond))
		v := proves(t, l, string(r.Name), &r, Asked{}, kt.Known{})
		if len(v.Checkpoint.Witnesses) != 1 || v.Checkpoint.Witnesses[0] != "lite" {
			t.Fatalf("signed by %v", v.Checkpoint.Witnesses)
		}
	}
	c, _, err := Checkpoint(within(t), o.Folder)
	if err != nil || len(c.Witnesses) != 1 {
		t.Errorf("in the folder: %v", err)
	}
	if _, err := fnote.NewVerifierForCosignatureV1(w.vkey); err != nil {
		t.Error(err)
	}
}

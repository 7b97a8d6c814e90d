package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// content is what the tests back up.
var content = map[string]string{
	"store/000001.log": "a log", "store/empty": "", "store/deep/er/file": strings.Repeat("x", 100_000),
	"blobs/files/ab/abcd": "sealed",
}

// folders writes content and a file that is skipped.
func folders(t testing.TB) []Folder {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{"store/LOCK": "skipped"}
	for name, text := range content {
		all[name] = text
	}
	for name, text := range all {
		at := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return []Folder{
		{Name: "store", Path: filepath.Join(root, "store"), Skip: []string{"LOCK"}},
		{Name: "blobs", Path: filepath.Join(root, "blobs")}, {Name: "tls", Path: filepath.Join(root, "none")},
	}
}

func backup(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(t.Context(), &b, folders(t)...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsPackedIsUnpacked(t *testing.T) {
	b, into := backup(t), t.TempDir()
	if err := Unpack(bytes.NewReader(b), into, "store", "blobs"); err != nil {
		t.Fatal(err)
	}
	found := 0
	err := filepath.WalkDir(into, func(at string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		found++
		name, _ := filepath.Rel(into, at)
		text, err := os.ReadFile(at)
		if want, ok := content[filepath.ToSlash(name)]; !ok || string(text) != want {
			t.Errorf("%s holds %.20q", name, text)
		}
		if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
		return err
	})
	if err != nil || found != len(content) {
		t.Errorf("%d files, %v", found, err)
	}
}

// TestV158DamagedBackup: every cut and every flipped bit is noticed.
func TestV158DamagedBackup(t *testing.T) {
	b := backup(t)
	refused := func(what string, damaged []byte) {
		t.Helper()
		if err := Verify(bytes.NewReader(damaged)); !errors.Is(err, ErrArchive) {
			t.Fatalf("%s: %v", what, err)
		}
	}
	for cut := 0; cut < len(b); cut += 1 + len(b)/997 {
		refused("cut", b[:cut])
	}
	for cut := max(0, len(b)-200); cut < len(b); cut++ {
		refused("cut near the end", b[:cut])
	}
	refused("longer", append(bytes.Clone(b), 0))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 1000 {
		damaged := bytes.Clone(b)
		damaged[rng.IntN(len(damaged))] ^= 1 << rng.IntN(8)
		refused("a flipped bit", damaged)
	}
	for at := range 200 {
		for bit := range 8 {
			damaged := bytes.Clone(b)
			damaged[at] ^= 1 << bit
			refused("a flipped bit near the start", damaged)
		}
	}
}

// seal makes a sound backup of any files.
func seal(files ...string) []byte {
	whole := []byte(magic)
	for _, name := range files {
		whole = append(whole, markFile, byte(len(name)>>8), byte(len(name)))
		whole = append(whole, name...)
		whole = append(whole, 0, 0, 0, 0, 0, 0, 0, 0)
		whole = append(whole, emptySum[:]...)
	}
	return finish(whole, uint64(len(files)))
}

// A backup takes files nowhere but where they belong.
func TestPathsOutOfTheFolder(t *testing.T) {
	for _, names := range [][]string{
		{"../out"}, {"store/../../out"}, {"/etc/out"}, {"store//x"}, {"store/"}, {"."}, {""}, {"store/./x"},
		{"store\\..\\x"}, {"C:x"}, {"store/a\x00"}, {"other/x"}, {"store/x", "store/x"}, {"posthornd.lock"},
	} {
		into := filepath.Join(t.TempDir(), "in")
		if err := os.Mkdir(into, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Unpack(bytes.NewReader(seal(names...)), into, "store"); !errors.Is(err, ErrArchive) {
			t.Errorf("%q: %v", names, err)
		}
		if left, _ := os.ReadDir(filepath.Dir(into)); len(left) != 1 {
			t.Errorf("%q: wrote beside the folder", names)
		}
	}
	into := t.TempDir()
	if err := Unpack(bytes.NewReader(seal("store/x", "store/y")), into, "store"); err != nil {
		t.Errorf("the same with good names: %v", err)
	}
}

func TestABackupEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(ctx, io.Discard, folders(t)...); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// FuzzVerify: any bytes can be judged, with no memory on credit, and what Verify
// takes Unpack can write, unless a file belongs nowhere. Both go through the
// same loop, whose readers' Read only counts.
func FuzzVerify(f *testing.F) {
	decodertest.Seed(f, "none", finish([]byte(magic), 0))
	decodertest.Seed(f, "two", seal("store/x", "blobs/y"))
	decodertest.Seed(f, "long-name", append([]byte(magic), 'F', 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := Verify(bytes.NewReader(b)); err != nil && !errors.Is(err, ErrArchive) {
			t.Fatal(err)
		}
		if Verify(bytes.NewReader(b)) == nil && Verify(bytes.NewReader(append(bytes.Clone(b), 0))) == nil {
			t.Fatal("a byte too many is taken")
		}
		if Verify(bytes.NewReader(b)) == nil {
			if err := Unpack(bytes.NewReader(b), t.TempDir(), "store", "blobs"); err != nil && !errors.Is(err, ErrArchive) {
				t.Fatal(err)
			}
		}
	})
}

var emptySum = sha256.Sum256(nil)

// finish puts the end behind records.
func finish(records []byte, files uint64) []byte {
	whole := binary.BigEndian.AppendUint64(append(bytes.Clone(records), markEnd), files)
	sum := sha256.Sum256(whole)
	return append(whole, sum[:]...)
}

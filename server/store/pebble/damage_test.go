package pebble_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// rounds is how often a test damages a store in each of its two states: in CI a
// thousand times in all.
func rounds() int { return machine.Count(50, 125, 500) }

// writeContent is what damaged stores held: boxes of envelopes and a few values.
func writeContent(t *testing.T, s store.Store) {
	for b := range byte(4) {
		must(t, s.Create(t.Context(), store.Box{b}, store.Limits{}))
		for i := range 25 {
			e := store.Envelope{Box: store.Box{b}, Data: []byte(text(b, i)), At: time.UnixMilli(1)}
			e.ID[0] = byte(i)
			out, err := s.Append(t.Context(), []store.Envelope{e})
			must(t, err)
			must(t, out[0].Err)
		}
		_, err := s.CAS(t.Context(), fmt.Sprint("key", b), 0, []byte(text(b, 0)))
		must(t, err)
	}
}

func text(b byte, i int) string { return strings.Repeat(fmt.Sprintf("box %d text %d ", b, i), 60) }

// readContent says how what it reads differs from what was written, or loud:
// that something was reported as unreadable.
func readContent(t *testing.T, s store.Store) (wrong string, loud bool) {
	for b := range byte(4) {
		msgs, head, err := s.Read(t.Context(), store.Box{b}, 0, 99, 1<<30)
		if err != nil {
			return "", true
		}
		if len(msgs) != 25 || head != 25 {
			return fmt.Sprintf("mailbox %d has %d envelopes and head %d", b, len(msgs), head), false
		}
		for i, m := range msgs {
			if string(m.Data) != text(b, i) || m.ID[0] != byte(i) {
				return fmt.Sprintf("mailbox %d: number %d differs", b, m.Seq), false
			}
		}
		val, _, err := s.Get(t.Context(), fmt.Sprint("key", b))
		if err != nil {
			return "", true
		}
		if string(val) != text(b, 0) {
			return "a directory value differs", false
		}
	}
	return "", false
}

// One bit is flipped somewhere in the files, over and over. The store may
// refuse to open, or a call may fail; what it must never do is answer wrongly
// or with less. That holds for a store that was closed and for one whose power
// was cut, apart from the last record of the log: nothing after it says that it
// was synced, so damage there looks like a write that was torn. It is attack
// A39 at the store. Whatever a call notices, Check has found before.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	damageFiles(t, flipOne)
}

// TestTruncations is TestBitFlips with files that lost their ends. A log that
// is cut short looks like one whose last writes were torn.
func TestTruncations(t *testing.T) {
	t.Parallel()
	damageFiles(t, truncateOne)
}

// damaging changes one file and says where. torn: the damage may look like a
// write that a power cut stopped.
type damaging func(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) (where string, torn bool)

func damageFiles(t *testing.T, damage damaging) {
	for _, clean := range []bool{true, false} {
		t.Run(fmt.Sprintf("closed=%v", clean), func(t *testing.T) {
			image := vfs.NewCrashableMem()
			s := folder{"store", pebble.Options{FS: image}}.Open(t)
			writeContent(t, s)
			if _, err := s.CAS(t.Context(), "the last record of the log", 0, nil); err != nil {
				t.Fatal(err)
			}
			cut := image.CrashClone(vfs.CrashCloneCfg{})
			must(t, s.Close())
			if !clean {
				image = cut
			}
			damageAll(t, image, damage)
		})
	}
}

func damageAll(t *testing.T, image *vfs.MemFS, damage damaging) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	noticed, kinds := 0, map[string]int{}
	for range rounds() {
		fs := image.CrashClone(vfs.CrashCloneCfg{})
		where, torn := damage(t, fs, rng)
		kinds[kindOfFile(where)]++
		if judge(t, fs, where, torn) {
			noticed++
		}
	}
	t.Logf("%d of %d were noticed, the others hit bytes that nothing depends on; files hit: %v", noticed, rounds(), kinds)
	if noticed == 0 {
		t.Error("no damage was noticed")
	}
}

// kindOfFile is the sort of file that was damaged: a log, a table, a manifest.
func kindOfFile(where string) string {
	name, _, _ := strings.Cut(path.Base(where), " ")
	if ext := path.Ext(name); ext != "" {
		return ext
	}
	kind, _, _ := strings.Cut(name, "-")
	return kind
}

// judge checks and opens a damaged store, and reports whether it noticed.
func judge(t *testing.T, fs *vfs.MemFS, where string, torn bool) (noticed bool) {
	report, unreadable := pebble.Check(t.Context(), "store", pebble.Options{FS: fs}, nil)
	named := unreadable != nil || report.Damaged > 0
	s, err := pebble.Open("store", pebble.Options{FS: fs})
	if err != nil {
		if !named {
			t.Errorf("%s: not opened (%v), but the check found nothing", where, err)
		}
		return true
	}
	defer s.Close()
	wrong, loud := readContent(t, s)
	if wrong != "" && !torn {
		t.Errorf("%s: %s", where, wrong)
	}
	if (loud || wrong != "") && !named && !torn {
		t.Errorf("%s: calls fail, but the check found nothing", where)
	}
	return loud
}

// someFile is a random file that is not empty.
func someFile(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) (name string, content []byte) {
	names, err := fs.List("store")
	must(t, err)
	for len(content) == 0 {
		name = fs.PathJoin("store", names[rng.IntN(len(names))])
		f, err := fs.Open(name)
		must(t, err)
		content, err = io.ReadAll(f)
		must(t, err)
		must(t, f.Close())
	}
	return name, content
}

func replace(t *testing.T, fs *vfs.MemFS, name string, content []byte) {
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(content)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// flipOne flips a random bit of a random file.
func flipOne(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) (where string, torn bool) {
	name, content := someFile(t, fs, rng)
	at := rng.IntN(len(content))
	content[at] ^= 1 << rng.IntN(8)
	replace(t, fs, name, content)
	inLastBlock := at>>15 == (len(content)-1)>>15
	return fmt.Sprintf("%s byte %d of %d", name, at, len(content)), strings.HasSuffix(name, ".log") && inLastBlock
}

// truncateOne cuts a random file anywhere.
func truncateOne(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) (where string, torn bool) {
	name, content := someFile(t, fs, rng)
	left := rng.IntN(len(content))
	replace(t, fs, name, content[:left])
	return fmt.Sprintf("%s cut to %d of %d", name, left, len(content)), strings.HasSuffix(name, ".log")
}

package pebble_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// flips is how many single-bit flips TestBitFlips makes in each state.
const flips = 400

// content is what TestBitFlips stores: boxes of envelopes and a few values.
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
			flipAll(t, image)
		})
	}
}

func flipAll(t *testing.T, image *vfs.MemFS) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 5))
	noticed := 0
	for range flips {
		fs := image.CrashClone(vfs.CrashCloneCfg{})
		where, inLastBlock := flipOne(t, fs, rng)
		report, unreadable := pebble.Check(t.Context(), "store", pebble.Options{FS: fs}, nil)
		named := unreadable != nil || report.Damaged > 0
		s, err := pebble.Open("store", pebble.Options{FS: fs})
		if err != nil {
			noticed++
			if !named {
				t.Errorf("%s: not opened (%v), but the check found nothing", where, err)
			}
			continue
		}
		wrong, loud := readContent(t, s)
		if wrong != "" && !inLastBlock {
			t.Errorf("%s: %s", where, wrong)
		}
		if loud {
			noticed++
		}
		if (loud || wrong != "") && !named && !inLastBlock {
			t.Errorf("%s: calls fail, but the check found nothing", where)
		}
		_ = s.Close()
	}
	t.Logf("%d of %d flips were noticed, the others hit bytes that nothing depends on", noticed, flips)
	if noticed == 0 {
		t.Error("no flip was noticed")
	}
}

// flipOne flips a random bit of a random file and says where.
func flipOne(t *testing.T, fs *vfs.MemFS, rng *rand.Rand) (where string, inLastLogBlock bool) {
	names, err := fs.List("store")
	must(t, err)
	for {
		name := fs.PathJoin("store", names[rng.IntN(len(names))])
		info, err := fs.Stat(name)
		must(t, err)
		if info.IsDir() || info.Size() == 0 {
			continue
		}
		f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
		must(t, err)
		defer f.Close()
		at, one := rng.Int64N(info.Size()), make([]byte, 1)
		if _, err := f.ReadAt(one, at); err != nil && err != io.EOF {
			t.Fatal(err)
		}
		one[0] ^= 1 << rng.IntN(8)
		_, err = f.WriteAt(one, at)
		must(t, err)
		must(t, f.Sync())
		last := strings.HasSuffix(name, ".log") && at>>15 == (info.Size()-1)>>15
		return fmt.Sprintf("%s byte %d of %d", name, at, info.Size()), last
	}
}

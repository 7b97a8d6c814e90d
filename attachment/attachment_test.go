package attachment

import (
	"bytes"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/posthorn/posthorn/internal/secret"
)

// sizes reach every boundary: of a chunk, of the padding, of the floor.
var sizes = []uint64{0, 1, 1023, 1024, 1025, ChunkSize - 1, ChunkSize, ChunkSize + 1, 3*ChunkSize - 7, 3 * ChunkSize, 1_000_003}

func fileOf(size uint64) []byte {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(size), 7})
	_, _ = source.Read(b)
	return b
}

func keyOf(b byte) *secret.Key { return &secret.Key{b, 31: b} }

func cipherOf(t testing.TB, key byte, size uint64) *Cipher {
	t.Helper()
	c, err := NewCipher(keyOf(key), size)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sealed(t testing.TB, c *Cipher, file []byte) ([]byte, [DigestSize]byte) {
	t.Helper()
	var out bytes.Buffer
	digest, err := Seal(&out, iotest.OneByteReader(bytes.NewReader(file)), c)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), digest
}

// chunks cuts sealed bytes.
func chunks(b []byte) [][]byte { return slices.Collect(slices.Chunk(b, SealedChunkSize)) }

func wantRefusal(t *testing.T, err error, check string, sentinel error) {
	t.Helper()
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Check != check || !errors.Is(err, sentinel) {
		t.Errorf("got %v, want %s %v", err, check, sentinel)
	}
}

func TestFilesComeBack(t *testing.T) {
	for _, size := range sizes {
		file, c := fileOf(size), cipherOf(t, 1, size)
		b, digest := sealed(t, c, file)
		if uint64(len(b)) != SealedSize(size) || digest != sha512.Sum384(b) {
			t.Errorf("%d bytes: sealed to %d, want %d, or a wrong digest", size, len(b), SealedSize(size))
		}
		var out bytes.Buffer
		if err := Open(&out, iotest.HalfReader(bytes.NewReader(b)), c, digest); err != nil || !bytes.Equal(out.Bytes(), file) {
			t.Errorf("%d bytes: got %d back, %v", size, out.Len(), err)
		}
		if bytes.Contains(b, file) && size > 16 {
			t.Errorf("%d bytes: the file is in the clear", size)
		}
	}
}

func TestChunksOpenInAnyOrder(t *testing.T) {
	size := uint64(3*ChunkSize - 7)
	file, c := fileOf(size), cipherOf(t, 1, size)
	b, _ := sealed(t, c, file)
	all := chunks(b)
	for _, i := range []uint64{2, 0, 1, 2} {
		got, err := c.OpenChunk([]byte("kept"), i, all[i])
		from := i * ChunkSize
		if want := file[from:min(size, from+ChunkSize)]; err != nil || string(got) != "kept"+string(want) {
			t.Errorf("chunk %d: %d bytes, %v", i, len(got), err)
		}
	}
}

func TestPaddedSizes(t *testing.T) {
	for _, row := range []struct{ size, want uint64 }{
		{0, 1024}, {1, 1024}, {1024, 1024}, {1025, 1088}, {1088, 1088}, {1089, 1152}, {65536, 65536}, {65537, 67584},
		{100 << 20, 100 << 20}, {100<<20 + 1, 102 << 20}, {1 << 30, 1 << 30}, {1<<30 + 1, 1<<30 + 32<<20}, {MaxSize, MaxSize},
	} {
		if got := PaddedSize(row.size); got != row.want {
			t.Errorf("PaddedSize(%d) = %d, want %d", row.size, got, row.want)
		}
	}
	var last uint64
	for size := uint64(1025); size < 1<<30; size += 1 + size/97 {
		got := PaddedSize(size)
		if got < size || got < last || float64(got-size) > 0.116*float64(size) {
			t.Fatalf("PaddedSize(%d) = %d", size, got)
		}
		if PaddedSize(got) != got {
			t.Fatalf("PaddedSize(%d) is no padded size", size)
		}
		last = got
	}
}

func TestSealedSizeCountsTheLastChunk(t *testing.T) {
	for _, row := range []struct{ size, chunks, sealed uint64 }{
		{0, 1, 1040}, {65536, 1, 65552}, {65537, 2, 67584 + 32}, {131072, 2, 131104}, {131073, 3, 135168 + 48},
	} {
		if Chunks(row.size) != row.chunks || SealedSize(row.size) != row.sealed {
			t.Errorf("%d bytes: %d chunks, %d sealed", row.size, Chunks(row.size), SealedSize(row.size))
		}
	}
}

func TestV130WrongSizesRefused(t *testing.T) {
	_, err := NewCipher(keyOf(1), MaxSize+1)
	wantRefusal(t, err, "V-130", ErrSize)
	if _, err := NewCipher(keyOf(1), MaxSize); err != nil {
		t.Errorf("the greatest size: %v", err)
	}
	size := uint64(2*ChunkSize + 1)
	file, c := fileOf(size), cipherOf(t, 1, size)
	for _, wrong := range [][]byte{file[:size-1], append(slices.Clone(file), 0), file[:ChunkSize], nil} {
		_, err := Seal(io.Discard, bytes.NewReader(wrong), c)
		wantRefusal(t, err, "V-130", ErrSize)
	}
	for i, plain := range map[uint64][]byte{0: file[:ChunkSize-1], 1: file[:ChunkSize-1], 2: file[:2], 3: file[:1]} {
		_, err := c.SealChunk(nil, i, plain)
		wantRefusal(t, err, "V-130", ErrSize)
	}
	b, digest := sealed(t, c, file)
	for _, wrong := range [][]byte{nil, b[:1], b[:SealedChunkSize], b[:2*SealedChunkSize], b[:len(b)-1], append(slices.Clone(b), 0)} {
		wantRefusal(t, Open(io.Discard, bytes.NewReader(wrong), c, digest), "V-130", ErrSize)
	}
	for i, chunk := range map[uint64][]byte{0: b[:SealedChunkSize-1], 1: b[:SealedChunkSize+1], 3: b[:16], 2: b[:15]} {
		_, err := c.OpenChunk(nil, i, chunk)
		wantRefusal(t, err, "V-130", ErrSize)
	}
	// There is no chunk behind the last, whatever its length.
	_, err = c.SealChunk(nil, Chunks(size), nil)
	wantRefusal(t, err, "V-130", ErrSize)
	for _, n := range []int{Overhead, SealedChunkSize} {
		_, err = c.OpenChunk(nil, Chunks(size), make([]byte, n))
		wantRefusal(t, err, "V-130", ErrSize)
	}
	o := NewOpener(c, digest)
	if _, err := o.Next(nil, b[:SealedChunkSize]); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, o.Close(), "V-130", ErrSize)
	wantRefusal(t, o.Skip(file[:7]), "V-130", ErrSize)
}

func TestV131ReorderedRepeatedDroppedAndForeignChunksRefused(t *testing.T) {
	size := uint64(4 * ChunkSize)
	file, c := fileOf(size), cipherOf(t, 1, size)
	b, digest := sealed(t, c, file)
	one := chunks(b)
	foreign, _ := sealed(t, cipherOf(t, 2, size), file)
	for name, wrong := range map[string][][]byte{
		"reordered":            {one[1], one[0], one[2], one[3]},
		"last first":           {one[3], one[0], one[1], one[2]},
		"repeated":             {one[0], one[0], one[1], one[3]},
		"dropped and repeated": {one[0], one[2], one[3], one[3]},
		"of another key":       {one[0], chunks(foreign)[1], one[2], one[3]},
	} {
		var out bytes.Buffer
		err := Open(&out, bytes.NewReader(slices.Concat(wrong...)), c, digest)
		wantRefusal(t, err, "V-131", ErrChunk)
		if !bytes.HasPrefix(file, out.Bytes()) {
			t.Errorf("%s: bytes that are not the file's were handed out", name)
		}
	}
	// A file that ends earlier, cut where a chunk ends, and said to be as long.
	short := cipherOf(t, 1, 3*ChunkSize)
	wantRefusal(t, Open(io.Discard, bytes.NewReader(b[:3*SealedChunkSize]), short, digest), "V-131", ErrChunk)
	// Another size with the same padded size and the same chunks.
	near := cipherOf(t, 1, size-1)
	wantRefusal(t, Open(io.Discard, bytes.NewReader(b), near, digest), "V-131", ErrChunk)
}

func TestV131AnyFlippedBitRefused(t *testing.T) {
	file, c := fileOf(100), cipherOf(t, 1, 100)
	b, _ := sealed(t, c, file)
	for bit := range 8 * len(b) {
		b[bit/8] ^= 1 << (bit % 8)
		dst := make([]byte, 3, 2000)
		got, err := c.OpenChunk(dst, 0, b)
		wantRefusal(t, err, "V-131", ErrChunk)
		if got != nil || bytes.Contains(dst[:1100], file[:16]) {
			t.Fatal("bytes of a chunk that does not verify were handed out")
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// The sender may be the one who is hostile: these seal what SealChunk would not.
func TestV132PaddingThatIsNotZeroRefused(t *testing.T) {
	size := uint64(ChunkSize + 5)
	c := cipherOf(t, 1, size)
	for _, at := range []int{5, paddedChunk(size, 1) - 1} {
		plain := make([]byte, paddedChunk(size, 1))
		plain[at] = 1
		dst := make([]byte, 0, ChunkSize)
		got, err := c.OpenChunk(dst, 1, c.aead.Seal(nil, c.nonce(1), plain, c.bound))
		wantRefusal(t, err, "V-132", ErrPadding)
		if got != nil || !bytes.Equal(dst[:cap(dst)], make([]byte, cap(dst))) {
			t.Error("refused bytes were handed out")
		}
	}
	plain := make([]byte, paddedChunk(size, 1))
	plain[4] = 1
	if got, err := c.OpenChunk(nil, 1, c.aead.Seal(nil, c.nonce(1), plain, c.bound)); err != nil || len(got) != 5 {
		t.Errorf("the file's last byte counts as padding: %v", err)
	}
}

func TestV133OtherDigestRefused(t *testing.T) {
	size := uint64(2 * ChunkSize)
	file, c := fileOf(size), cipherOf(t, 1, size)
	b, digest := sealed(t, c, file)
	wrong := digest
	wrong[47] ^= 1
	wantRefusal(t, Open(io.Discard, bytes.NewReader(b), c, wrong), "V-133", ErrDigest)

	// Kept chunks of an earlier run, one of which somebody has changed.
	for _, changed := range []bool{false, true} {
		o := NewOpener(c, digest)
		kept := slices.Clone(file[:ChunkSize])
		if changed {
			kept[77]++
		}
		if err := o.Skip(kept); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Next(nil, b[SealedChunkSize:]); err != nil {
			t.Fatal(err)
		}
		if err := o.Close(); !changed && err != nil {
			t.Error(err)
		} else if changed {
			wantRefusal(t, err, "V-133", ErrDigest)
		}
	}
}

func TestSameFileUnderTwoKeysSharesNothing(t *testing.T) {
	file := fileOf(5000)
	a, _ := sealed(t, cipherOf(t, 1, 5000), file)
	b, _ := sealed(t, cipherOf(t, 2, 5000), file)
	for i := 0; i+8 <= len(a); i += 8 {
		if bytes.Equal(a[i:i+8], b[i:i+8]) {
			t.Fatal("two sealed files have bytes in common")
		}
	}
}

func TestEqualChunksSealDifferently(t *testing.T) {
	size := uint64(4 * ChunkSize)
	b, _ := sealed(t, cipherOf(t, 1, size), make([]byte, size))
	all := chunks(b)
	for i := range all {
		for j := range i {
			if bytes.Equal(all[i][:32], all[j][:32]) {
				t.Errorf("chunks %d and %d seal alike", j, i)
			}
		}
	}
}

func TestFailuresOfTheSourceArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	size := uint64(2 * ChunkSize)
	c := cipherOf(t, 1, size)
	src := io.MultiReader(bytes.NewReader(fileOf(size)[:ChunkSize+5]), iotest.ErrReader(broken))
	if _, err := Seal(io.Discard, src, c); !errors.Is(err, broken) {
		t.Errorf("sealing: %v", err)
	}
	src = io.MultiReader(bytes.NewReader(fileOf(size)), iotest.ErrReader(broken))
	if _, err := Seal(io.Discard, src, c); !errors.Is(err, broken) {
		t.Errorf("sealing, at the end: %v", err)
	}
	b, digest := sealed(t, c, fileOf(size))
	src = io.MultiReader(bytes.NewReader(b[:SealedChunkSize+5]), iotest.ErrReader(broken))
	if err := Open(io.Discard, src, c, digest); !errors.Is(err, broken) {
		t.Errorf("opening: %v", err)
	}
	full := &fullDisk{}
	if err := Open(full, bytes.NewReader(b), c, digest); !errors.Is(err, errFull) {
		t.Errorf("opening: %v", err)
	}
	if _, err := Seal(full, bytes.NewReader(fileOf(size)), c); !errors.Is(err, errFull) {
		t.Errorf("sealing: %v", err)
	}
}

var errFull = errors.New("full")

type fullDisk struct{}

func (*fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestNothingPrintsTheKey(t *testing.T) {
	c := cipherOf(t, 0xab, 10)
	for _, v := range []any{c, NewSealer(c, nil), NewOpener(c, [DigestSize]byte{})} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
			if got := fmt.Sprintf(verb, v); !strings.Contains(got, "redacted") || len(got) > 40 {
				t.Errorf("%s of %T prints %q", verb, v, got)
			}
		}
	}
}

// A file of any size takes the memory of a few chunks.
func TestStreamsTakeLittleMemory(t *testing.T) {
	const size = 16 << 20
	c := cipherOf(t, 1, size)
	spent := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			pipe, writer := io.Pipe()
			digests := make(chan [DigestSize]byte, 1)
			go func() {
				digest, err := Seal(writer, io.LimitReader(zeros{}, size), c)
				_ = writer.CloseWithError(err)
				digests <- digest
			}()
			o := NewOpener(c, [DigestSize]byte{})
			in, plain := make([]byte, SealedChunkSize), make([]byte, 0, ChunkSize)
			for n := o.SealedLen(); n > 0; n = o.SealedLen() {
				if _, err := io.ReadFull(pipe, in[:n]); err != nil {
					b.Fatal(err)
				}
				if _, err := o.Next(plain, in[:n]); err != nil {
					b.Fatal(err)
				}
			}
			<-digests
		}
	})
	if spent.AllocedBytesPerOp() > 1<<20 {
		t.Errorf("16 MiB took %d bytes of memory", spent.AllocedBytesPerOp())
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

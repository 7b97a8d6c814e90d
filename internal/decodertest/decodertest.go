// Package decodertest is what the fuzz targets of all decoders have in common:
// the promises that a decoder keeps on any input, values made from fuzz bytes,
// and seeds that are kept in the repository.
//
// A decoder takes exactly the bytes that its encoder writes, gives back what
// was encoded, and costs no more memory and time than its input deserves.
//
// The package is for tests alone.
package decodertest

import (
	"bytes"
	"reflect"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// What one decoding may cost. A decoder that believes a length it has not
// checked goes far beyond it.
const (
	memoryPerByte = 64
	memoryAlways  = 1 << 20
	longest       = time.Second
)

// Canonical gives a decoder any bytes. It must not panic or take more than its
// share; and what it accepts, the encoder writes back byte for byte. It reports
// whether the bytes were accepted.
func Canonical[T any](t testing.TB, b []byte, decode func([]byte) (T, error), encode func(T) []byte) (value T, ok bool) {
	t.Helper()
	value, ok = Frugal(t, b, decode)
	if !ok {
		return value, false
	}
	if again := encode(value); !bytes.Equal(again, b) {
		t.Fatalf("accepted bytes have another encoding:\n%x\n%x", b, again)
	}
	return value, true
}

// Frugal is Canonical for a format that has several encodings of one value.
func Frugal[T any](t testing.TB, b []byte, decode func([]byte) (T, error)) (value T, ok bool) {
	t.Helper()
	input := bytes.Clone(b)
	before, start := allocated(), time.Now()
	value, err := decode(b)
	// The quick figures are coarse and the machine may be busy, so a suspicion
	// is measured again before it counts.
	if allocated()-before > allowance(b) && greedy(func() { _, _ = decode(b) }, allowance(b)) {
		t.Fatalf("decoding %d bytes takes more than %d bytes of memory", len(b), allowance(b))
	}
	if time.Since(start) > longest && slow(func() { _, _ = decode(b) }) {
		t.Fatalf("decoding %d bytes takes more than %v", len(b), longest)
	}
	if !bytes.Equal(b, input) {
		t.Fatal("decoding changed its input")
	}
	return value, err == nil
}

func allowance(b []byte) uint64 { return memoryAlways + memoryPerByte*uint64(len(b)) }

// RoundTrip encodes a value and wants it back.
func RoundTrip[T any](t testing.TB, value T, encode func(T) []byte, decode func([]byte) (T, error)) {
	t.Helper()
	encoded := encode(value)
	again, err := decode(encoded)
	if err != nil {
		t.Fatalf("what was encoded is refused: %v\n%x", err, encoded)
	}
	if !reflect.DeepEqual(again, value) {
		t.Fatalf("decoded to another value:\n%+v\n%+v", value, again)
	}
}

// allocated is how many bytes this process has allocated on the heap so far,
// give or take the blocks that are being filled.
func allocated() uint64 {
	sample := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample[:])
	return sample[0].Value.Uint64()
}

// greedy reports whether f allocates too much each time. Others who allocate
// meanwhile are counted with it.
func greedy(f func(), most uint64) bool {
	for range 5 {
		if exactly(f) <= most {
			return false
		}
	}
	return true
}

// exactly is how many bytes f allocates. It stops the world twice.
func exactly(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// slow reports whether f takes too long each time.
func slow(f func()) bool {
	for range 10 {
		start := time.Now()
		if f(); time.Since(start) <= longest {
			return false
		}
	}
	return true
}

package pebble_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// BenchmarkAppend measures durable appends of 1 KiB to 10,000 mailboxes beside
// the most that the disk allows: a bare file that gathers records and syncs
// them together. Only the ratio of the two in one run means anything.
func BenchmarkAppend(b *testing.B) {
	for _, writers := range []int{1, 16, 256} {
		b.Run(fmt.Sprintf("store/writers=%d", writers), func(b *testing.B) { benchStore(b, writers) })
		b.Run(fmt.Sprintf("file/writers=%d", writers), func(b *testing.B) { benchFile(b, writers) })
	}
}

const benchBoxes = 10_000

// share hands b.N rounds out to a number of writers and waits for them.
func share(b *testing.B, writers int, run func(i int64)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				run(i)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
}

func benchBox(i int64) (box store.Box) {
	binary.BigEndian.PutUint64(box[:], uint64(i)%benchBoxes*0x9e3779b97f4a7c15)
	return box
}

func benchStore(b *testing.B, writers int) {
	s, err := pebble.Open(b.TempDir(), pebble.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var wg sync.WaitGroup
	for w := range int64(100) {
		wg.Go(func() {
			for i := w; i < benchBoxes; i += 100 {
				if err := s.Create(b.Context(), benchBox(i), store.Limits{Envelopes: 1 << 30, Bytes: 1 << 50}); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	data := noise()
	share(b, writers, func(i int64) {
		e := store.Envelope{Box: benchBox(i), Sender: store.Sender{byte(i)}, Data: data, At: time.UnixMilli(1)}
		binary.BigEndian.PutUint64(e.ID[:], uint64(i))
		if out, err := s.Append(b.Context(), []store.Envelope{e}); err != nil || out[0].Err != nil {
			b.Error(out, err)
		}
	})
}

// noise is 1 KiB that does not compress.
func noise() []byte {
	data := make([]byte, 1024)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	return data
}

// fileLog is one file with group commit and nothing else.
type fileLog struct {
	f    *os.File
	mu   sync.Mutex
	next *fileBatch
	busy bool
}

type fileBatch struct {
	data []byte
	done chan struct{}
	err  error
}

// append returns when its record is synced. Whoever finds the file idle writes
// for all who come meanwhile.
func (l *fileLog) append(record []byte) error {
	l.mu.Lock()
	if l.next == nil {
		l.next = &fileBatch{done: make(chan struct{})}
	}
	b := l.next
	b.data = append(b.data, record...)
	lead := !l.busy
	l.busy = true
	l.mu.Unlock()
	if lead {
		l.flush()
	}
	<-b.done
	return b.err
}

func (l *fileLog) flush() {
	for {
		l.mu.Lock()
		b := l.next
		l.next, l.busy = nil, b != nil
		l.mu.Unlock()
		if b == nil {
			return
		}
		if _, b.err = l.f.Write(b.data); b.err == nil {
			b.err = l.f.Sync()
		}
		close(b.done)
	}
}

func benchFile(b *testing.B, writers int) {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	l := &fileLog{f: f}
	data := noise()
	share(b, writers, func(int64) {
		if err := l.append(data); err != nil {
			b.Error(err)
		}
	})
}

package pebble

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/posthorn/posthorn/server/store"
)

// The engine ends the replay of a log at the first chunk that does not read
// right, since a power cut may tear the last write. Damage to a chunk that had
// been synced looks the same to it, and would shorten mailboxes in silence. But
// every chunk says up to which offset the log was synced when it was written.
// So a sound chunk behind a broken one tells the two apart.
//
// A log is a row of 32 KiB blocks. A chunk lies within one block:
// u32 checksum, u16 length, u8 kind, u32 log number, u64 synced offset, payload;
// all little-endian.
const (
	logBlock    = 32 << 10
	chunkHeader = 19
	plainHeader = 11 // of a chunk without a synced offset
	firstPlain  = 5  // kinds 5..8 are plain chunks
	firstSynced = 9  // kinds 9..12 are chunks with a synced offset
	lastSynced  = 12
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkLogs refuses logs that lost something which had been synced.
func checkLogs(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		number, isLog := strings.CutSuffix(name, ".log")
		n, err := strconv.ParseUint(number, 10, 64)
		if !isLog || err != nil {
			continue
		}
		b, err := readAll(fs, fs.PathJoin(dir, name))
		if err != nil {
			return err
		}
		l := logImage{b, uint32(n)}
		if at := l.soundPrefix(); l.vouchedFor(at) {
			return fmt.Errorf("%w: log %s at byte %d", store.ErrCorrupt, name, at)
		}
	}
	return nil
}

func readAll(fs vfs.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// logImage is the content of one log file.
type logImage struct {
	b      []byte
	number uint32
}

// soundPrefix returns the offset of the first chunk that does not read right.
func (l logImage) soundPrefix() (at int) {
	for at < len(l.b) {
		room := logBlock - at%logBlock
		size, _, ok := l.chunk(at)
		switch {
		case ok:
			at += size
		case room < chunkHeader:
			at += room // too little room for a chunk, left empty
		default:
			return at
		}
	}
	return at
}

// vouchedFor says whether a sound chunk behind at claims that at was synced.
func (l logImage) vouchedFor(at int) bool {
	for i := at + 1; i+chunkHeader <= len(l.b); i++ {
		if _, synced, ok := l.chunk(i); ok && synced > uint64(at) {
			return true
		}
	}
	return false
}

// chunk reads the chunk at an offset.
func (l logImage) chunk(at int) (size int, synced uint64, ok bool) {
	room := min(logBlock-at%logBlock, len(l.b)-at)
	if room < plainHeader {
		return 0, 0, false
	}
	b := l.b[at : at+room]
	header := plainHeader
	switch kind := b[6]; {
	case kind < firstPlain || kind > lastSynced:
		return 0, 0, false
	case kind >= firstSynced:
		header = chunkHeader
	}
	size = header + int(binary.LittleEndian.Uint16(b[4:]))
	if size > room || binary.LittleEndian.Uint32(b[7:]) != l.number {
		return 0, 0, false
	}
	sum := crc32.Checksum(b[6:size], castagnoli)
	if (sum>>15|sum<<17)+0xa282ead8 != binary.LittleEndian.Uint32(b) {
		return 0, 0, false
	}
	if header == chunkHeader {
		synced = binary.LittleEndian.Uint64(b[plainHeader:])
	}
	return size, synced, true
}

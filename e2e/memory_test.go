//go:build linux && testhooks

package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A needle is one form in which a piece of a secret may lie somewhere.
type needle struct {
	secret int // index of the secret
	form   string
	bytes  []byte
}

// haystack looks for many needles at once. Every needle has at least 8 bytes.
type haystack struct {
	first   [1 << 16]bool // the needles' first two bytes
	needles map[uint64][]needle
	longest int
	found   map[int]string // by secret: where and in which form it was seen first
}

// piece is how much of a secret is enough to count as found.
const piece = 16

// newHaystack prepares a search for secrets. A secret counts as found when any
// aligned 16 bytes of it are: as they are, in reverse order (as big integers
// are kept), under the masks of HMAC, or in hexadecimal; or all of it in base64
// at any offset.
func newHaystack(secrets [][]byte) *haystack {
	h := &haystack{needles: map[uint64][]needle{}, found: map[int]string{}}
	for i, s := range secrets {
		for from := 0; from+piece <= len(s); from += piece {
			p := s[from : from+piece]
			reversed := slices.Clone(p)
			slices.Reverse(reversed)
			h.add(i, "raw", p)
			h.add(i, "reversed", reversed)
			h.add(i, "inner HMAC key", masked(p, 0x36))
			h.add(i, "outer HMAC key", masked(p, 0x5c))
			h.add(i, "hex", []byte(hex.EncodeToString(p)))
			h.add(i, "HEX", []byte(strings.ToUpper(hex.EncodeToString(p))))
		}
		for shift := range 3 {
			padded := append(make([]byte, shift), s...)
			for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				text := encoding.EncodeToString(padded)
				h.add(i, "base64", []byte(text[4:len(text)/4*4-4])) // only groups that hold nothing else
			}
		}
	}
	return h
}

func masked(b []byte, mask byte) []byte {
	out := slices.Clone(b)
	for i := range out {
		out[i] ^= mask
	}
	return out
}

func (h *haystack) add(secret int, form string, b []byte) {
	h.first[binary.BigEndian.Uint16(b)] = true
	key := binary.BigEndian.Uint64(b)
	h.needles[key] = append(h.needles[key], needle{secret, form, b})
	h.longest = max(h.longest, len(b))
}

// search looks through some memory; where is for the report.
func (h *haystack) search(where string, memory []byte) {
	for i := 0; i+8 <= len(memory); i++ {
		if !h.first[binary.BigEndian.Uint16(memory[i:])] {
			continue
		}
		for _, n := range h.needles[binary.BigEndian.Uint64(memory[i:])] {
			end := i + len(n.bytes)
			if end <= len(memory) && string(memory[i:end]) == string(n.bytes) && h.found[n.secret] == "" {
				h.found[n.secret] = n.form + " in " + where
			}
		}
	}
}

// searchStream searches all of r in overlapping pieces. A read that fails ends
// it: parts of a memory map cannot be read.
func (h *haystack) searchStream(where string, r io.Reader) (searched int64) {
	buffer := make([]byte, 1<<20)
	kept := 0
	for {
		n, err := io.ReadFull(r, buffer[kept:])
		h.search(where, buffer[:kept+n])
		searched += int64(n)
		if err != nil {
			return searched
		}
		kept = copy(buffer, buffer[len(buffer)-h.longest:])
	}
}

// searchProcess searches everything that a process has in memory and says how
// many bytes that was. fs.ErrPermission says that this system does not let one
// process look into another one.
func (h *haystack) searchProcess(pid int) (searched int64, err error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer maps.Close()
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return 0, err
	}
	defer memory.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil {
			return searched, err
		}
		if strings.HasPrefix(mode, "r") && !strings.Contains(lines.Text(), "[v") {
			searched += h.searchStream(lines.Text(), io.NewSectionReader(memory, int64(from), int64(to-from)))
		}
	}
	if searched == 0 {
		return 0, fs.ErrPermission
	}
	return searched, nil
}

// searchFolder searches every file below a folder and the names of the files.
func (h *haystack) searchFolder(folder string) (searched int64, err error) {
	err = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		h.search("a file name", []byte(path))
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		searched += h.searchStream(filepath.Base(path), f)
		return f.Close()
	})
	if err == nil && searched == 0 {
		err = errors.New("the folder is empty")
	}
	return searched, err
}

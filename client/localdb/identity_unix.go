//go:build unix

package localdb

import (
	"encoding/binary"
	"os"
	"syscall"
)

// fileIdentity is the device and inode number of a file.
func fileIdentity(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	id := make([]byte, 0, 16)
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		id = binary.BigEndian.AppendUint64(id, uint64(s.Dev))
		id = binary.BigEndian.AppendUint64(id, s.Ino)
	}
	return id, nil
}

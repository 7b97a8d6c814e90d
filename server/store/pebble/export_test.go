package pebble

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// SetFormat marks a store as written by another version, for tests.
func SetFormat(s *Store, version uint32) error {
	return s.db.Set([]byte{keyFormat}, binary.BigEndian.AppendUint32(nil, version), pebble.Sync)
}

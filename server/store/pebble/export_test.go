package pebble

import (
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"
)

// SetFormat marks a store as written by another version, for tests.
func SetFormat(s *Store, version uint32) error {
	return s.db.Set([]byte{keyFormat}, binary.BigEndian.AppendUint32(nil, version), pebble.Sync)
}

// Put sets a record behind the store's back, for tests.
func Put(s *Store, key, val []byte) error { return s.db.Set(key, val, pebble.Sync) }

// Remove deletes a record behind the store's back.
func Remove(s *Store, key []byte) error { return s.db.Delete(key, pebble.Sync) }

// Keys of records, for tests that damage them.
var (
	HeadKey    = headKey
	MessageKey = messageKey
	ShareKey   = shareKey
	ValueKey   = valueKey
	PoolKey    = poolKey
	ItemKey    = itemKey
	TallyKey   = tallyKey
)

// Uncount makes a store one of the format without counters.
func Uncount(s *Store) error {
	if err := s.db.DeleteRange([]byte{keyTally}, successor([]byte{keyTally}), pebble.Sync); err != nil {
		return err
	}
	if err := Remove(s, []byte{keyOpen}); err != nil {
		return err
	}
	return SetFormat(s, uncountedFormat)
}

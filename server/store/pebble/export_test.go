package pebble

import (
	"context"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/posthorn/posthorn/server/store"
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

// Tailless makes a store one of the format whose appends wrote head and shares.
func Tailless(s *Store) error {
	if err := saveAll(s); err != nil {
		return err
	}
	return SetFormat(s, taillessFormat)
}

// saveAll ends the tails of all mailboxes.
func saveAll(s *Store) error {
	var boxes []store.Box
	err := s.every(keyHead, func(key, _ []byte) error {
		boxes = append(boxes, store.Box(key))
		return nil
	})
	if err != nil {
		return err
	}
	return s.commit(context.Background(), func(t *txn) error {
		for _, box := range boxes {
			if h, err := t.head(box); err == nil {
				t.change(box, h)
			} else if !missing(err) {
				return err
			}
		}
		return nil
	})
}

// Uncount makes a store one of the format without counters and tails.
func Uncount(s *Store) error {
	if err := saveAll(s); err != nil {
		return err
	}
	if err := s.db.DeleteRange([]byte{keyTally}, successor([]byte{keyTally}), pebble.Sync); err != nil {
		return err
	}
	if err := Remove(s, []byte{keyOpen}); err != nil {
		return err
	}
	return SetFormat(s, uncountedFormat)
}

package pebble

import (
	"encoding/binary"
	"fmt"

	"github.com/posthorn/posthorn/server/store"
)

// Every key begins with one byte that says what it is. Numbers are big-endian,
// so that byte order is number order.
const (
	keyFormat  = 'f' // f                     -> u32 format version
	keyHead    = 'h' // h, box                -> head record
	keyMessage = 'm' // m, box, u64 seq       -> message record
	keyShare   = 's' // s, box, sender        -> share record
	keyValue   = 'd' // d, directory key      -> u64 version, value
	keyPool    = 'q' // q, pool name          -> u64 first, u64 next
	keyItem    = 'k' // k, v16 pool, u64 n    -> value
	keyTally   = 't' // t, u64 minute         -> u64 how many envelopes of that minute wait
	keyOpen    = 'o' // o                     -> u64 how many mailboxes are open
)

const boxSize = len(store.Box{})

func headKey(box store.Box) []byte { return append([]byte{keyHead}, box[:]...) }

func messageKey(box store.Box, seq uint64) []byte {
	key := make([]byte, 0, 1+boxSize+8)
	key = append(append(key, keyMessage), box[:]...)
	return binary.BigEndian.AppendUint64(key, seq)
}

func shareKey(box store.Box, sender store.Sender) []byte {
	key := append([]byte{keyShare}, box[:]...)
	return append(key, sender[:]...)
}

func valueKey(name string) []byte { return append([]byte{keyValue}, name...) }

func poolKey(pool string) []byte { return append([]byte{keyPool}, pool...) }

func itemKey(pool string, n uint64) []byte {
	key := binary.BigEndian.AppendUint16([]byte{keyItem}, uint16(len(pool)))
	return binary.BigEndian.AppendUint64(append(key, pool...), n)
}

// boxRange returns the bounds of all keys of one kind for one mailbox.
func boxRange(kind byte, box store.Box) (from, to []byte) {
	from = append([]byte{kind}, box[:]...)
	return from, successor(from)
}

// successor returns the smallest key above every key that begins with prefix.
// A prefix here starts with a letter, so there always is one.
func successor(prefix []byte) []byte {
	next := append([]byte(nil), prefix...)
	for i := len(next) - 1; ; i-- {
		if next[i]++; next[i] != 0 {
			return next[:i+1]
		}
	}
}

// damaged is the error for a record that does not read as it was written.
func damaged(what string) error {
	return fmt.Errorf("%w: unreadable %s", store.ErrCorrupt, what)
}

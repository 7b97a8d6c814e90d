package pebble

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/server/store"
)

// value is a directory value with its version.
type value struct {
	version uint64
	content []byte
}

func (v value) marshal() []byte { return marshalValue(v.version, v.content) }

func readValue(b []byte) (v value, err error) {
	v.version, v.content, err = parseValue(b)
	return v, err
}

// envelopeOf is the record of a message as it was stored.
func envelopeOf(m store.Msg) []byte {
	return marshalMessage(store.Envelope{ID: m.ID, Sender: m.Sender, At: m.At, Data: m.Data})
}

// place is the key of a value in a pool.
type place struct {
	pool string
	n    uint64
}

func (i place) marshal() []byte { return itemKey(i.pool, i.n)[1:] }

func readPlace(b []byte) (i place, err error) {
	ok := false
	if i.pool, i.n, ok = parseItemKey(b); !ok {
		err = damaged("key")
	}
	return i, err
}

func readMessage(b []byte) (store.Msg, error) { return parseMessage(7, b) }

// FuzzRecords gives the bytes of one record to every parser of this package:
// parseHead, parseShare, parseMessage, parseValue, parsePool, parseItemKey and
// parseCount.
// What one of them accepts is written back as it was.
func FuzzRecords(f *testing.F) {
	decodertest.Seed(f, "head", newHead(store.Limits{Envelopes: 3, Bytes: 4}).marshal())
	decodertest.Seed(f, "head-gone", (&head{gone: true}).marshal())
	decodertest.Seed(f, "share", share{2, 3}.marshal())
	decodertest.Seed(f, "message", marshalMessage(store.Envelope{ID: store.EnvelopeID{1}, At: time.UnixMilli(5), Data: []byte("x")}))
	decodertest.Seed(f, "value", marshalValue(9, []byte("v")))
	decodertest.Seed(f, "pool", pool{1, 2}.marshal())
	decodertest.Seed(f, "item", place{"pool", 3}.marshal())
	decodertest.Seed(f, "count", marshalCount(4))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, parseHead, (*head).marshal)
		decodertest.Canonical(t, b, parseShare, share.marshal)
		decodertest.Canonical(t, b, readMessage, envelopeOf)
		decodertest.Canonical(t, b, readValue, value.marshal)
		decodertest.Canonical(t, b, parsePool, pool.marshal)
		decodertest.Canonical(t, b, readPlace, place.marshal)
		decodertest.Canonical(t, b, parseCount, marshalCount)
		roundTrips(t, decodertest.From(b))
	})
}

// roundTrips draws one record of each kind.
func roundTrips(t *testing.T, s *decodertest.Source) {
	h := &head{first: s.U64() >> 1, bytes: s.U64(), expired: s.U64(), limits: store.Limits{Envelopes: s.U32(), Bytes: s.U64()}, gone: s.Bool()}
	h.last = h.first + uint64(s.U32())
	h.durable = h.last // what is on disk is durable
	decodertest.RoundTrip(t, h, (*head).marshal, parseHead)
	decodertest.RoundTrip(t, share{s.U32(), s.U64()}, share.marshal, parseShare)
	decodertest.RoundTrip(t, pool{s.U64() >> 1, s.U64() | 1<<63}, pool.marshal, parsePool)
	decodertest.RoundTrip(t, value{s.U64(), s.Bytes(100)}, value.marshal, readValue)
	decodertest.RoundTrip(t, s.U64(), marshalCount, parseCount)
	decodertest.RoundTrip(t, place{string(s.Bytes(100)), s.U64()}, place.marshal, readPlace)
	m := store.Msg{Seq: 7, At: time.UnixMilli(int64(s.U64())).UTC(), Data: s.Bytes(100)}
	s.Fill(m.ID[:])
	s.Fill(m.Sender[:])
	decodertest.RoundTrip(t, m, envelopeOf, readMessage)
}

// sealChunk writes the checksum that makes b a sound chunk of log 1.
func sealChunk(b []byte) []byte {
	binary.LittleEndian.PutUint32(b[7:], 1)
	binary.LittleEndian.PutUint16(b[4:], uint16(len(b)-chunkHeader))
	sum := crc32.Checksum(b[6:], castagnoli)
	binary.LittleEndian.PutUint32(b, (sum>>15|sum<<17)+0xa282ead8)
	return b
}

func chunkOf(payload string, synced uint64) []byte {
	b := append(make([]byte, chunkHeader), payload...)
	b[6] = firstSynced
	binary.LittleEndian.PutUint64(b[plainHeader:], synced)
	return sealChunk(b)
}

// FuzzLogImage: any bytes are a log that can be judged. Chunks in front of the
// first bad byte are sound, and a sound log is never called damaged.
func FuzzLogImage(f *testing.F) {
	sound := append(chunkOf("one", 0), chunkOf("two", 22)...)
	torn := append(bytes.Clone(sound), "torn"...)
	lost := bytes.Clone(sound)
	lost[20] ^= 1
	decodertest.Seed(f, "sound", sound)
	decodertest.Seed(f, "torn", torn)
	decodertest.Seed(f, "lost", lost)
	f.Fuzz(func(t *testing.T, b []byte) {
		l := logImage{b, 1}
		at := l.soundPrefix()
		if at > len(b)+plainHeader || l.vouchedFor(len(b)) {
			t.Fatalf("%d of %d bytes are sound", at, len(b))
		}
		if at < len(b) {
			if _, _, ok := l.chunk(at); ok {
				t.Fatal("the prefix stops at a sound chunk")
			}
		}
		if s := append(chunkOf("synced", 0), b...); (logImage{s, 1}).soundPrefix() < chunkHeader+6 {
			t.Fatal("what follows a sound chunk changes it")
		}
	})
}

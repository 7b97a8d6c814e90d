package server

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// drawUploads is the files of an account; nil for none, as a record says it.
func drawUploads(s *decodertest.Source) (all uploads) {
	for range s.Below(5) {
		u := upload{size: s.U64(), changed: s.U64(), finished: s.Bool(), hash: s.Bytes(maxHashState)}
		u.offset = u.size / 2
		s.Fill(u.id[:])
		all = append(all, u)
	}
	return all
}

// FuzzUploads: an account's list that can be read is written back as it was,
// and the other way round.
func FuzzUploads(f *testing.F) {
	decodertest.Seed(f, "uploads", uploads{{size: 9, offset: 3, hash: []byte{1}}, {size: 9, offset: 9, finished: true}}.marshal())
	decodertest.Seed(f, "many-missing", []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, parseUploads, uploads.marshal)
		decodertest.RoundTrip(t, drawUploads(decodertest.From(b)), uploads.marshal, parseUploads)
	})
}

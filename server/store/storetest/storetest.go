// Package storetest is the contract of package store as tests. Every backend
// runs it; one that passes can carry a server. The cases are named after the
// numbered promises in the text of package store.
package storetest

import (
	"context"
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/store"
)

// Opener opens one store. Every Open after a Close returns a store on the same
// content.
type Opener interface {
	Open(t *testing.T) store.Store
}

// Run runs the suite. fresh returns an Opener with no content.
func Run(t *testing.T, fresh func(t *testing.T) Opener) {
	groups := map[string]map[string]func(*suite){
		"mailbox":    mailboxCases,
		"repeats":    repeatCases,
		"acks":       ackCases,
		"quota":      quotaCases,
		"retention":  retentionCases,
		"directory":  directoryCases,
		"overview":   overviewCases,
		"concurrent": concurrentCases,
		"submit":     submitCases,
		"random":     {"same answers as the model": againstModel},
	}
	for group, cases := range groups {
		for name, run := range cases {
			t.Run(group+"/"+name, func(t *testing.T) {
				s := &suite{T: t, ctx: t.Context(), opener: fresh(t)}
				s.Store = s.opener.Open(t)
				t.Cleanup(func() { _ = s.Store.Close() })
				run(s)
			})
		}
	}
}

// suite is one test with the store that it tests.
type suite struct {
	*testing.T
	store.Store
	ctx    context.Context
	opener Opener
	boxes  uint64 // mailboxes named so far
	ids    uint64 // envelopes made so far
}

// all is a limit that no test reaches.
const all = math.MaxInt

// noon is the time at which tests begin.
var noon = time.UnixMilli(1_700_000_000_000).UTC()

// reopen closes the store and opens it again.
func (s *suite) reopen() {
	s.Helper()
	if err := s.Store.Close(); err != nil {
		s.Fatalf("close: %v", err)
	}
	s.Store = s.opener.Open(s.T)
}

// unused names a mailbox that does not exist.
func (s *suite) unused() (box store.Box) {
	s.boxes++
	binary.BigEndian.PutUint64(box[8:], s.boxes)
	return box
}

// box opens a mailbox.
func (s *suite) box(limits store.Limits) store.Box {
	s.Helper()
	box := s.unused()
	s.ok(s.Create(s.ctx, box, limits))
	return box
}

// from names a sender.
func from(n byte) store.Sender { return store.Sender{n} }

// envelope makes an envelope that is like no other, from sender 1 at noon.
func (s *suite) envelope(box store.Box, data string) store.Envelope {
	s.ids++
	e := store.Envelope{Box: box, Sender: from(1), Data: []byte(data), At: noon}
	binary.BigEndian.PutUint64(e.ID[8:], s.ids)
	return e
}

// append stores envelopes in one call and returns the answers.
func (s *suite) append(envs ...store.Envelope) []store.Appended {
	s.Helper()
	out, err := s.Append(s.ctx, envs)
	s.ok(err)
	if len(out) != len(envs) {
		s.Fatalf("%d answers for %d envelopes", len(out), len(envs))
	}
	return out
}

// send stores one envelope for each text, each in its own call.
func (s *suite) send(box store.Box, texts ...string) {
	s.Helper()
	for _, text := range texts {
		if got := s.append(s.envelope(box, text))[0]; got.Err != nil {
			s.Fatalf("append %q: %v", text, got.Err)
		}
	}
}

// texts reads a whole mailbox above a number.
func (s *suite) texts(box store.Box, after uint64) (texts []string) {
	s.Helper()
	msgs, _, err := s.Read(s.ctx, box, after, all, all)
	s.ok(err)
	for _, m := range msgs {
		texts = append(texts, string(m.Data))
	}
	return texts
}

// ok fails the test on an error.
func (s *suite) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

package pq3_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/pq3"
	"github.com/posthorn/posthorn/pq3/pq3test"
)

// filled is n bytes of choices.
func filled(s *decodertest.Source, n int) []byte {
	b := make([]byte, n)
	s.Fill(b)
	return b
}

// paddedLengths are the ciphertext lengths up to a little above those that must
// carry objects.
func paddedLengths() (all []int) {
	for n := 128; n <= 5<<10; n++ {
		if pq3.PaddedSize(n) == n {
			all = append(all, n)
		}
	}
	return all
}

// drawFields is a message of either suite that a parser must take, with any
// contents.
func drawFields(s *decodertest.Source, lengths []int) pq3.Fields {
	f := pq3.Fields{Suite: bothSuites[s.Below(2)], Flags: 6, Epoch: uint32(s.Below(2)) * s.U32()}
	if f.Epoch != 0 {
		f.Flags = s.U8() & 3
	}
	s.Fill(f.Session[:])
	f.Index, f.Previous = uint32(s.Below(500)), uint32(s.Below(501))
	f.RatchetKey, f.AuthData = filled(s, 32), s.Bytes(1024)
	f.Ciphertext = filled(s, lengths[s.Below(len(lengths))])
	if f.Flags == 0 {
		return f
	}
	f.Digest = filled(s, 8)
	if s.Bool() || len(f.Ciphertext) >= 4096 {
		f.Flags |= 0x80
		drawObjects(s, &f)
	}
	return f
}

func drawObjects(s *decodertest.Source, f *pq3.Fields) {
	if f.Flags&1 != 0 {
		f.KEMKey = filled(s, 1184)
	}
	switch {
	case f.Epoch == 0:
		f.KEMCiphertext, f.PrekeyHash, f.StartTime = filled(s, 1568), filled(s, 48), filled(s, 8)
		if f.Suite == account.PQ3A {
			f.StartSignature = filled(s, 3309)
		}
	case f.Flags&2 != 0:
		f.KEMCiphertext = filled(s, 1088)
	}
}

// FuzzParseMessage: whatever parses has exactly one form (I11), and every
// well-formed message parses to what it is.
func FuzzParseMessage(f *testing.F) {
	for _, name := range []string{"start", "advertises", "answers", "answers-and-advertises", "plain", earlierEpoch} {
		decodertest.Seed(f, "PQ3-"+name, named(account.PQ3, name).wire)
	}
	decodertest.Seed(f, "PQ3A-start", named(account.PQ3A, "start").wire) // the others look like those of PQ3
	lengths := paddedLengths()
	f.Fuzz(func(t *testing.T, wire []byte) {
		if _, ok := decodertest.Canonical(t, wire, pq3.ParseMessage, pq3.Remarshal); ok {
			return
		}
		s := decodertest.From(wire)
		fields := drawFields(s, lengths)
		again := pq3.Assemble(fields, filled(s, 32), filled(s, 64))
		if _, ok := decodertest.Canonical(t, again, pq3.ParseMessage, pq3.Remarshal); !ok || !reflect.DeepEqual(pq3.FieldsOf(again), fields) {
			t.Fatalf("a well-formed message is refused or read as another one: %+v", fields)
		}
	})
}

// FuzzUnpad: a frame has one plaintext, and a plaintext one frame.
func FuzzUnpad(f *testing.F) {
	decodertest.Seed(f, "short", []byte("\x00\x00\x00\x02hi"))
	decodertest.Seed(f, "dirty", []byte("\x00\x00\x00\x02hi\x00\x01"))
	decodertest.Seed(f, "four-gigabytes", []byte{0xff, 0xff, 0xff, 0xff})
	decodertest.Seed(f, "two-sizes", append([]byte{0, 0, 0, 100}, make([]byte, 130)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame := make([]byte, pq3.PaddedSize(len(b)))
		copy(frame, b)
		decodertest.Canonical(t, frame, pq3.Unpad, pq3.Pad)
		if again, err := pq3.Unpad(pq3.Pad(b)); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x, %v", b, again, err)
		}
	})
}

// FuzzOpenControl: a control message has one form, and opens if it is byte for
// byte the one that was signed.
func FuzzOpenControl(f *testing.F) {
	alice, bob := pq3test.NewEndpoint("alice", pq3.Policy{}), pq3test.NewEndpoint("bob", pq3.Policy{})
	about, err := pq3.ParseMessage(cases(account.PQ3A)[0].wire)
	if err != nil {
		f.Fatal(err)
	}
	var all [][]byte
	for i, name := range []string{"session-unknown", "objects-wanted"} {
		sealed, err := pq3.SealControl(bob.Identity, alice.Party(), pq3.ControlAbout(about, pq3.ControlType(i+1), pq3test.Now, bob.Ent), bob.Ent)
		if err != nil {
			f.Fatal(err)
		}
		decodertest.Seed(f, name, sealed)
		all = append(all, sealed)
	}
	decodertest.Seed(f, "unsigned", all[0][:90])
	f.Fuzz(func(t *testing.T, b []byte) {
		c, ok := decodertest.Frugal(t, b, pq3.ParseControl)
		if !ok {
			return
		}
		if !bytes.Equal(pq3.MarshalControl(c), b[:90]) {
			t.Fatal("a control message has a second form")
		}
		genuine := bytes.Equal(b, all[0]) || bytes.Equal(b, all[1])
		if !genuine && b[len(b)-1]%8 != 0 {
			return // a signature takes its time: one in eight is enough
		}
		got, err := pq3.OpenControl(alice.Identity, bob.Party(), b, pq3test.Now)
		if genuine != (err == nil) || genuine && *got != *c {
			t.Fatalf("genuine is %v, error is %v", genuine, err)
		}
	})
}

// FuzzParsePrekey: the stored private half of a bundle. What is none is read as
// the choice of one.
func FuzzParsePrekey(f *testing.F) {
	bob := pq3test.NewIdentity("bob", bothSuites...)
	var pool []*pq3.Prekey
	for i := range 8 {
		life := time.Duration(1+i) * time.Hour
		prekey, err := pq3.NewPrekey(bob, bothSuites[i%2], pq3test.Now, pq3test.Now.Add(life), pq3test.NewEntropy(life.String()))
		if err != nil {
			f.Fatal(err)
		}
		pool = append(pool, prekey)
	}
	decodertest.Seed(f, "prekey", pool[0].Marshal())
	decodertest.Seed(f, "other-scalar", flipped(pool[0].Marshal(), 5))
	decodertest.Seed(f, "drawn", []byte{3})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := decodertest.Canonical(t, b, pq3.ParsePrekey, (*pq3.Prekey).Marshal); !ok && len(b) == 1 {
			decodertest.RoundTrip(t, pool[int(b[0])%len(pool)], (*pq3.Prekey).Marshal, pq3.ParsePrekey)
		}
	})
}

// drawState is a stored session in any stage, written after SPEC §10.1.
func drawState(s *decodertest.Source, suite account.Suite, binding []byte) []byte {
	bits, epoch := s.U8()&3, uint32(s.Below(2))*s.U32()
	sending := epoch%2 == 0 == (bits&1 != 0)
	if bits&2 == 0 { // without a receiving chain it is the initiator's epoch 0
		bits, epoch, sending = 1, 0, true
	}
	b := append([]byte{1, byte(suite), bits}, binding...)
	b = append(b, filled(s, 8+5*8)...)
	b = binary.BigEndian.AppendUint32(b, epoch)
	b = append(b, filled(s, 3*4+32)...)
	if sending {
		b = appendSending(b, s, suite, epoch)
	}
	if bits&2 != 0 {
		b = appendReceiving(b, s, sending)
	}
	return b
}

func appendSending(b []byte, s *decodertest.Source, suite account.Suite, epoch uint32) []byte {
	scalar := append([]byte{1}, filled(s, 31)...) // below the group order, and not zero
	flags := s.U8() & 7
	b = append(append(b, filled(s, 32+8)...), scalar...)
	b = append(b, flags)
	size := 0
	for i, n := range []int{1184, 1088, 48 + 8} {
		if flags>>i&1 != 0 {
			size += n
		}
	}
	if flags&2 != 0 && epoch == 0 {
		size += 1568 - 1088
	}
	if flags&4 != 0 && suite == account.PQ3A {
		size += 3309
	}
	if flags&1 != 0 {
		size += 64 + 8
	}
	return append(b, filled(s, size)...)
}

func appendReceiving(b []byte, s *decodertest.Source, sending bool) []byte {
	flags := s.U8() & 7
	b = append(b, filled(s, 32+8+32)...)
	b = append(b, flags)
	if flags != 0 {
		b = append(b, filled(s, 48)...)
	}
	if flags&1 != 0 && !sending {
		b = append(b, filled(s, 1184)...)
	}
	return b
}

// drawSkipped is a list of skipped keys in blocks of any size.
func drawSkipped(s *decodertest.Source) (b []byte) {
	index := uint32(0)
	for range s.Below(4) {
		n := 1 + s.Below(40)
		b = binary.BigEndian.AppendUint16(append(b, 1), uint16(n))
		for range n {
			index += 1 + uint32(s.U8())
			b = binary.BigEndian.AppendUint32(b, 2)
			b = binary.BigEndian.AppendUint32(b, index)
			b = append(b, filled(s, 8+32)...)
		}
	}
	return b
}

// stored is both parts of a session on disk.
type stored struct{ state, skipped []byte }

func storedOf(s *pq3.Session) stored { return stored{s.MarshalState(), s.MarshalSkipped()} }

// reader restores sessions between Alice and Bob, in both suites.
func reader() (restore func(stored) (*pq3.Session, error), bindings map[account.Suite][]byte) {
	alice, bob := pq3test.NewIdentity("alice", bothSuites...), pq3test.NewIdentity("bob", bothSuites...)
	bindings = map[account.Suite][]byte{}
	for _, suite := range bothSuites {
		bindings[suite] = pq3.Binding(alice, bob.Party(), suite)
	}
	return func(s stored) (*pq3.Session, error) {
		return pq3.RestoreSession(alice, bob.Party(), pq3.Policy{}, s.state, s.skipped)
	}, bindings
}

// FuzzRestoreSession: RestoreSession reads stored bytes strictly, and every
// session that can be stored is read back.
func FuzzRestoreSession(f *testing.F) {
	restore, bindings := reader()
	for i, name := range []string{"initiator", "both-chains", "receiving"} {
		s := decodertest.From([]byte{[]byte{1, 3, 3}[i], 1, 0, 0, 0, []byte{0, 2, 1}[i]})
		decodertest.Seed(f, name, drawState(s, account.PQ3, bindings[account.PQ3]), drawSkipped(decodertest.From([]byte{1, 2})))
	}
	decodertest.Seed(f, "out-of-order", []byte{1}, append([]byte{1, 0, 2}, make([]byte, 96)...))
	f.Fuzz(func(t *testing.T, state, skipped []byte) {
		suite := bothSuites[len(state)%2]
		for _, in := range []stored{
			{state, skipped},
			{drawState(decodertest.From(state), suite, bindings[suite]), drawSkipped(decodertest.From(skipped))},
		} {
			s, ok := decodertest.Frugal(t, append(bytes.Clone(in.state), in.skipped...), func([]byte) (*pq3.Session, error) { return restore(in) })
			if !ok && len(in.state) > 0 && &in.state[0] == &state[0] || !ok && len(state) == 0 && len(in.state) == 0 {
				continue
			}
			if !ok {
				t.Fatalf("a sound state is refused: %x %x", in.state, in.skipped)
			}
			if again := storedOf(s); !bytes.Equal(again.state, in.state) || !bytes.Equal(again.skipped, in.skipped) {
				t.Fatal("accepted state is not canonical")
			}
		}
	})
}

// FuzzRestoredSession: whatever a disk can make the reader accept, the session
// seals, opens and reports without a panic, and refuses with a reason.
func FuzzRestoredSession(f *testing.F) {
	restore, bindings := reader()
	all := append(cases(account.PQ3), cases(account.PQ3A)...)
	decodertest.Seed(f, "initiator", []byte{1}, uint8(0))
	decodertest.Seed(f, "receiving", []byte{3, 1, 0, 0, 0, 1}, uint8(1))
	decodertest.Seed(f, "last-epoch", []byte{2, 1, 0xff, 0xff, 0xff, 0xff}, uint8(8))
	f.Fuzz(func(t *testing.T, choices []byte, which uint8) {
		src, suite := decodertest.From(choices), bothSuites[which%2]
		s, err := restore(stored{drawState(src, suite, bindings[suite]), drawSkipped(src)})
		if err != nil {
			t.Fatal(err)
		}
		var refusal *pq3.Error
		refusedOr := func(err error) {
			if err != nil && !errors.As(err, &refusal) {
				t.Fatalf("no reason: %v", err)
			}
		}
		now := pq3test.Now
		s.Status(now)
		m, _ := pq3.ParseMessage(all[int(which)%len(all)].wire)
		_, _, err = s.Open(now, m)
		refusedOr(err)
		prepared, err := s.Prepare(pq3test.NewEntropy("a"))
		if refusedOr(err); err != nil {
			return
		}
		next, wire, err := prepared.Seal(pq3test.NewEntropy("b"), now, choices[:min(len(choices), 300)], nil)
		if refusedOr(err); err != nil {
			return
		}
		if _, err := restore(storedOf(next)); err != nil {
			t.Fatalf("what follows a restored session is not read back: %v", err)
		}
		pq3.KindOf(wire)
	})
}

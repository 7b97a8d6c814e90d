package content

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// drawMessage is a message that the rules allow.
func drawMessage(s *decodertest.Source) Message {
	m := Message{SentAt: s.U64()}
	k := []kind{kindText, kindReceipt, kindRekey, kindRekeyReply, kindObjectsWanted, kindObjects, kindFiles, kindVerification, kindGossip, kindSync}[s.Below(10)]
	s.Fill(m.ID[:])
	switch k {
	case kindText:
		m.Body = Text{strings.ToValidUTF8(string(s.Bytes(1000)), "�") + "."}
	case kindReceipt:
		m.Body = drawReceipt(s)
	case kindRekey:
		m.Body = Rekey{}
	case kindRekeyReply:
		m.Body = RekeyReply{}
	case kindObjectsWanted:
		w := ObjectsWanted{Epoch: s.U32()}
		s.Fill(w.Session[:])
		s.Fill(w.Digest[:])
		m.Body = w
	case kindFiles:
		m.Body = drawFiles(s)
	case kindSync:
		m.Body = Sync{What: uint8(1 + s.Below(255)), Data: append(s.Bytes(1000), 1)}
	case kindGossip:
		g := Gossip{}
		s.Fill(g.Head[:])
		m.Body = g
	case kindVerification:
		v := Verification{Step: uint8(1 + s.Below(4)), Data: append(s.Bytes(MaxVerificationStep-1), 1)}
		s.Fill(v.Run[:])
		m.Body = v
	default:
		m.Body = Objects{}
	}
	return m
}

func drawFiles(s *decodertest.Source) Files {
	f := Files{Files: make([]File, 1+s.Below(MaxFiles))}
	for i := range f.Files {
		file := &f.Files[i]
		s.Fill(file.ID[:])
		file.ID[0] = byte(i) // or two could be the same
		s.Fill(file.Key[:])
		s.Fill(file.Digest[:])
		file.Size = s.U64() % (MaxFileSize + 1)
		file.Name = strings.ToValidUTF8(string(s.Bytes(80)), "�") + "."
		file.Type = []string{"", "a/b", "image/svg+xml"}[s.Below(3)]
	}
	if s.Bool() {
		f.Text = strings.ToValidUTF8(string(s.Bytes(1000)), "�") + "."
	}
	return f
}

func drawReceipt(s *decodertest.Source) Receipt {
	ids := make([]ID, 1+s.Below(MaxReceipts))
	for i := range ids {
		s.Fill(ids[i][:])
	}
	slices.SortFunc(ids, compareIDs)
	return Receipt{slices.Compact(ids)}
}

// encoded is Encode for messages that can be encoded.
func encoded(m Message) []byte {
	b, err := Encode(m)
	if err != nil {
		panic(err)
	}
	return b
}

// FuzzDecode: whatever decodes encodes to the same bytes again, and whatever
// can be said is read as it was said. Bytes that do not decode are read as
// choices of a message.
func FuzzDecode(f *testing.F) {
	for i, m := range messages() {
		if b := encoded(m); len(b) < 1000 {
			decodertest.Seed(f, []string{"text", "unicode", "long", "receipt", "rekey", "rekey-reply", "objects-wanted", "objects", "files", "files-alone", "verification", "sync", "gossip"}[i], b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, ok := decodertest.Canonical(t, b, Decode, encoded); !ok {
			decodertest.RoundTrip(t, drawMessage(decodertest.From(b)), encoded, Decode)
		}
	})
}

// FuzzEncode: whatever a caller hands over, Encode refuses it by a rule or
// makes something that Decode takes.
func FuzzEncode(f *testing.F) {
	decodertest.Seed(f, "broken-text", false, []byte("ok\xc3"))
	decodertest.Seed(f, "empty-text", false, []byte{})
	decodertest.Seed(f, "same-id-twice", true, make([]byte, 32))
	f.Fuzz(func(t *testing.T, receipt bool, b []byte) {
		m := Message{Body: Text{string(b)}}
		if receipt {
			ids := make([]ID, len(b)/16)
			for i := range ids {
				ids[i] = ID(b[16*i:])
			}
			m.Body = Receipt{ids}
		}
		encoded, err := Encode(m)
		var refusal *Error
		if err != nil && !errors.As(err, &refusal) {
			t.Fatalf("refused without a rule: %v", err)
		}
		if err != nil {
			return
		}
		again, err := Decode(encoded)
		if text, ok := again.Body.(Text); err != nil || ok && text.Text != string(b) {
			t.Fatalf("encoded, but decodes to %v, %v", again, err)
		}
	})
}

// FuzzParseFileID: so has that of a file.
func FuzzParseFileID(f *testing.F) {
	decodertest.Seed(f, "id", "ab000000000000000000000000000001")
	decodertest.Seed(f, "upper-case", "AB000000000000000000000000000001")
	f.Fuzz(func(t *testing.T, s string) {
		parse := func(b []byte) (FileID, error) { return ParseFileID(string(b)) }
		decodertest.Canonical(t, []byte(s), parse, func(id FileID) []byte { return []byte(id.String()) })
	})
}

// FuzzParseID: an id has one text.
func FuzzParseID(f *testing.F) {
	decodertest.Seed(f, "id", "ab000000000000000000000000000001")
	decodertest.Seed(f, "upper-case", "AB000000000000000000000000000001")
	decodertest.Seed(f, "too-long", strings.Repeat("0", 34))
	f.Fuzz(func(t *testing.T, s string) {
		parse := func(b []byte) (ID, error) { return ParseID(string(b)) }
		decodertest.Canonical(t, []byte(s), parse, func(id ID) []byte { return []byte(id.String()) })
		var id ID
		copy(id[:], s)
		if again, err := ParseID(id.String()); err != nil || !bytes.Equal(again[:], id[:]) {
			t.Fatal("an id is not read back")
		}
	})
}

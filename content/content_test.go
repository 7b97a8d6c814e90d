package content

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/internal/secret"
)

func messages() []Message {
	id := func(b byte) (id ID) { id[0], id[15] = b, b; return id }
	return []Message{
		{ID: id(1), SentAt: 1, Body: Text{"hello"}},
		{ID: id(2), SentAt: 1 << 40, Body: Text{"línea\nзвук 🎺\x00\u202e"}},
		{ID: id(3), Body: Text{strings.Repeat("x", MaxText)}},
		{ID: id(4), Body: Receipt{[]ID{id(1), id(2), id(9)}}},
		{ID: id(5), Body: Rekey{}},
		{ID: id(6), Body: RekeyReply{}},
		{ID: id(7), Body: ObjectsWanted{Session: [8]byte{1, 2}, Epoch: 7, Digest: [8]byte{3}}},
		{ID: id(8), Body: Objects{}},
		{ID: id(9), SentAt: 9, Body: Files{Files: files(1), Text: "The minutes"}},
		{ID: id(10), Body: Files{Files: files(3)}},
		{ID: id(11), SentAt: 3, Body: Verification{Run: [16]byte{1, 15: 9}, Step: 1, Data: []byte("commitment")}},
		{ID: id(13), Body: Sync{What: 1, Data: []byte("news")}},
		{ID: id(12), Body: Gossip{Head: [108]byte{1, 107: 9}}},
	}
}

// files are n files that the rules allow.
func files(n int) []File {
	all := make([]File, n)
	for i := range all {
		all[i] = File{
			ID: FileID{byte(i + 1)}, Key: secret.Key{byte(i), 31: 7}, Digest: [48]byte{47: byte(i)},
			Size: 1 << (10 * i), Name: "minutes №1.pdf", Type: "application/pdf",
		}
	}
	all[n-1].Type = ""
	return all
}

// endsInText is how long the part is that a text follows, which may end
// anywhere; 0 if none follows.
func endsInText(m Message, encoded []byte) int {
	switch body := m.Body.(type) {
	case Text:
		return headerSize
	case Files:
		return len(encoded) - len(body.Text)
	}
	return 0
}

func TestEveryBodySurvivesARoundTrip(t *testing.T) {
	for _, want := range messages() {
		encoded, err := Encode(want)
		if err != nil {
			t.Fatalf("%T: %v", want.Body, err)
		}
		got, err := Decode(encoded)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%T: got %+v, %v", want.Body, got, err)
		}
	}
}

func TestV70TruncatedOrLongerMessageRefused(t *testing.T) {
	for _, m := range messages() {
		encoded, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		for n := range min(len(encoded), 600) {
			if from := endsInText(m, encoded); from > 0 && n >= from && n > headerSize {
				break // a shorter text is another valid text
			}
			if _, err := Decode(encoded[:n]); err == nil {
				t.Errorf("%T accepted after %d of %d bytes", m.Body, n, len(encoded))
			}
		}
		if _, err := Decode(append(encoded, 0)); err == nil && endsInText(m, encoded) == 0 {
			t.Errorf("%T accepted with a byte too many", m.Body)
		}
	}
	refused(t, []byte{2, 1}, "V-70", ErrMalformed)
	refused(t, nil, "V-70", ErrMalformed)
}

func TestV71UnknownKindRefused(t *testing.T) {
	for k := range 256 {
		if k >= int(kindText) && k <= int(kindFiles) || k == int(kindSync) || k == int(kindGossip) || k == int(kindVerification) {
			continue
		}
		b := make([]byte, headerSize)
		b[0], b[1] = version, byte(k)
		refused(t, b, "V-71", ErrMalformed)
	}
}

func TestV72TextOverTheLimitRefused(t *testing.T) {
	_, err := Encode(Message{Body: Text{strings.Repeat("x", MaxText+1)}})
	wantRefusal(t, err, "V-72", ErrTextTooLong)
	encoded, _ := Encode(messages()[2])
	refused(t, append(encoded, 'x'), "V-72", ErrTextTooLong)
}

func TestV73EmptyOrBrokenTextRefused(t *testing.T) {
	for _, text := range []string{"", "\xff", "ok\xc3"} {
		_, err := Encode(Message{Body: Text{text}})
		wantRefusal(t, err, "V-73", ErrText)
	}
	encoded, _ := Encode(messages()[0])
	refused(t, encoded[:headerSize], "V-73", ErrText)
	refused(t, append(encoded, 0xff), "V-73", ErrText)
}

func TestV74ReceiptForNoneTooManyOrTwiceRefused(t *testing.T) {
	many := make([]ID, MaxReceipts+1)
	for i := range many {
		many[i][0], many[i][1] = byte(i>>8), byte(i)
	}
	for _, ids := range [][]ID{nil, many, {many[1], many[1]}} {
		_, err := Encode(Message{Body: Receipt{ids}})
		wantRefusal(t, err, "V-74", ErrReceipt)
	}
	encoded, err := Encode(Message{Body: Receipt{[]ID{many[2], many[1]}}})
	if err != nil {
		t.Fatalf("unsorted ids are sorted by Encode: %v", err)
	}
	first, second := encoded[headerSize+2:headerSize+18], encoded[headerSize+18:]
	swapped := append(append(bytes.Clone(encoded[:headerSize+2]), second...), first...)
	refused(t, swapped, "V-74", ErrReceipt)
}

func TestEncodeLeavesTheCallersReceiptAlone(t *testing.T) {
	ids := []ID{{9}, {1}}
	if _, err := Encode(Message{Body: Receipt{ids}}); err != nil || ids[0] != (ID{9}) {
		t.Fatalf("ids became %v, %v", ids, err)
	}
}

func TestIDReadsItsOwnText(t *testing.T) {
	id := ID{0xab, 15: 0x01}
	if got, err := ParseID(id.String()); err != nil || got != id {
		t.Fatalf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("g", 32), strings.Repeat("a", 34), strings.ToUpper(id.String())} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q accepted", bad)
		}
	}
}

func refused(t *testing.T, b []byte, check string, sentinel error) {
	t.Helper()
	_, err := Decode(b)
	wantRefusal(t, err, check, sentinel)
}

func wantRefusal(t *testing.T, err error, check string, sentinel error) {
	t.Helper()
	var refusal *Error
	if !errors.As(err, &refusal) || refusal.Check != check || !errors.Is(err, sentinel) {
		t.Errorf("got %v, want %s %v", err, check, sentinel)
	}
}

func TestV220NewsWithoutKindOrDataRefused(t *testing.T) {
	for _, s := range []Sync{{What: 0, Data: []byte("x")}, {What: 1}, {What: 1, Data: make([]byte, MaxSync+1)}} {
		if _, err := Encode(Message{Body: s}); !errors.Is(err, ErrSync) {
			t.Errorf("kind %d with %d bytes: %v", s.What, len(s.Data), err)
		}
	}
	b := append(make([]byte, headerSize), 0, 0, 0, 0, 1, 7)
	b[0], b[1] = version, byte(kindSync)
	refused(t, b, "V-220", ErrSync)
}

package localdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/secret"
)

// FuzzUnpackList: any list comes back, and no bytes are two lists.
func FuzzUnpackList(f *testing.F) {
	decodertest.Seed(f, "three", packList([][]byte{[]byte("a"), {}, []byte("bc")}))
	decodertest.Seed(f, "four-gigabytes", []byte{0xff, 0xff, 0xff, 0xff, 1})
	decodertest.Seed(f, "half-a-length", []byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		decodertest.Canonical(t, b, unpackList, packList)
		var list [][]byte
		for s := decodertest.From(b); !s.Empty(); {
			list = append(list, s.Bytes(300))
		}
		decodertest.RoundTrip(t, list, packList, unpackList)
	})
}

// FuzzParseKeyFile: a key file is JSON that people may have touched, so one
// value has several forms; but what is accepted can be unwrapped at a bounded
// cost, and is written and read back as it is.
func FuzzParseKeyFile(f *testing.F) {
	passphrase := &wrappedKey{Format: 1, Source: fromPassphrase, KDF: &cheap, Salt: make([]byte, 32), Wrapped: make([]byte, 60)}
	keyStore := &wrappedKey{Format: 1, Source: fromKeyStore, Entry: "00ff", Wrapped: make([]byte, 60)}
	decodertest.Seed(f, "passphrase", keyFileOf(passphrase))
	decodertest.Seed(f, "keystore", keyFileOf(keyStore))
	decodertest.Seed(f, "newer", []byte(`{"format":2}`))
	decodertest.Seed(f, "costly", []byte(`{"format":1,"source":"passphrase","argon2id":{"time":4294967295,"memory_kib":4294967295,"threads":255},"salt":"","wrapped":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		w, ok := decodertest.Frugal(t, b, parseKeyFile)
		if !ok {
			return
		}
		if w.Source == fromPassphrase && (w.KDF.MemoryKiB > 4<<20 || w.KDF.Time > 1000 || w.KDF.Threads < 1) {
			t.Fatalf("a file can ask for %+v", *w.KDF)
		}
		decodertest.RoundTrip(t, mustParse(t, keyFileOf(w)), keyFileOf, parseKeyFile)
	})
}

// mustParse reads w back once: JSON has two forms of an empty field.
func mustParse(t *testing.T, b []byte) *wrappedKey {
	t.Helper()
	w, err := parseKeyFile(b)
	if err != nil {
		t.Fatalf("what was written is refused: %v", err)
	}
	return w
}

func keyFileOf(w *wrappedKey) []byte {
	b, err := w.marshal()
	if err != nil {
		panic(err)
	}
	return b
}

// FuzzParseRepair: the counters of a device come back, and its id is never
// taken from the record.
func FuzzParseRepair(f *testing.F) {
	decodertest.Seed(f, "counters", []byte(`{"UnknownSentAt":1,"AskedSession":[1,2,3,4,5,6,7,8],"ActedCount":3}`))
	decodertest.Seed(f, "device-inside", []byte(`{"Device":[1]}`))
	decodertest.Seed(f, "long-session", []byte(`{"AskedSession":[1,2,3,4,5,6,7,8,9]}`))
	device := account.DeviceID{1}
	parse := func(b []byte) (Repair, error) { return parseRepair(device, b) }
	encode := func(r Repair) []byte {
		b, err := json.Marshal(r)
		if err != nil {
			panic(err)
		}
		return b
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, ok := decodertest.Frugal(t, b, parse); ok {
			decodertest.RoundTrip(t, r, encode, parse)
		}
		s := decodertest.From(b)
		drawn := Repair{Device: device, UnknownSentAt: s.U64(), ActedCount: int(s.U32()), AskedEpoch: s.U32(), AnsweredAt: s.U64(), HeartbeatAt: s.U64()}
		s.Fill(drawn.AskedSession[:])
		decodertest.RoundTrip(t, drawn, encode, parse)
	})
}

// FuzzSealer: a sealed column opens if it is the one that was sealed, at its own
// place, and then it is what was sealed. Keys that were opened are remembered for
// erasure, whether or not they opened.
func FuzzSealer(f *testing.F) {
	s, err := newSealer(&secret.Key{1})
	if err != nil {
		f.Fatal(err)
	}
	genuine := s.seal("sessions.state", []byte("row"), []byte("secret"))
	decodertest.Seed(f, "changed-bit", "sessions.state", []byte("row"), uint16(3), uint8(1))
	decodertest.Seed(f, "genuine", "sessions.state", []byte("row"), uint16(0), uint8(0))
	decodertest.Seed(f, "moved-boundary", "sessions.stat", []byte("e\x00row"), uint16(0), uint8(0))
	decodertest.Seed(f, "short", "sessions.state", []byte("row"), uint16(0x8003), uint8(0))
	f.Fuzz(func(t *testing.T, column string, key []byte, at uint16, change uint8) {
		b := bytes.Clone(genuine)
		b[int(at)%len(b)] ^= change
		if at >= 0x8000 {
			b = b[:int(at)%len(b)]
		}
		tx := &Tx{rows: s}
		plain, err := tx.openKeys(column, key, b)
		if len(tx.opened) != 1 || !bytes.Equal(tx.opened[0], plain) {
			t.Fatal("what was opened is not remembered for erasure")
		}
		same := bytes.Equal(b, genuine) && column == "sessions.state" && string(key) == "row"
		if same != (err == nil) || same && string(plain) != "secret" {
			t.Fatalf("%q %q opens as %q, %v", column, key, plain, err)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		again, err := s.open("c", key, s.seal("c", key, []byte(column)))
		if err != nil || string(again) != column {
			t.Fatalf("sealed %q, opened %q, %v", column, again, err)
		}
	})
}

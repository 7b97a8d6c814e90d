package log

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/kt"
)

func FuzzParseEpoch(f *testing.F) {
	decodertest.Seed(f, "config", epochRecord{entry: kt.Config{Counter: 1}.Marshal()}.marshal())
	decodertest.Seed(f, "root", epochRecord{entry: kt.Root{Updates: 1}.Marshal(), updates: []kt.Update{{Version: 3}}}.marshal())
	decodertest.Seed(f, "policy", epochRecord{entry: kt.Root{Standing: kt.Standing{Number: 1}}.Marshal(), policy: []byte("quorum none\n")}.marshal())
	decodertest.Seed(f, "credit", []byte{0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		decodertest.Canonical(t, raw, parseEpoch, epochRecord.marshal)
	})
}

func FuzzParseHead(f *testing.F) {
	decodertest.Seed(f, "head", headRecord{7, 8, []byte("checkpoint")}.marshal())
	f.Fuzz(func(t *testing.T, raw []byte) {
		decodertest.Canonical(t, raw, parseHead, headRecord.marshal)
	})
}

func FuzzParseLabel(f *testing.F) {
	decodertest.Seed(f, "two", labelRecord{{version: 0}, {version: 1, record: recordOf("alice", 1)}}.marshal())
	decodertest.Seed(f, "credit", []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		decode := func(b []byte) (labelRecord, error) { return parseLabel("alice", b) }
		l, ok := decodertest.Canonical(t, raw, decode, labelRecord.marshal)
		if !ok || len(l) == 0 {
			return
		}
		last := l[len(l)-1].value()
		if l.ending(last) == nil {
			t.Fatal("a version does not end in its own value")
		}
		l.since(0, last) // it ends
		l.without(l.ending(last))
	})
}

func FuzzParseKeys(f *testing.F) {
	good, err := json.Marshal(storedKeys{Schema: keysSchema, VRF: make([]byte, 32)})
	if err != nil {
		f.Fatal(err)
	}
	decodertest.Seed(f, "keys", good)
	decodertest.Seed(f, "short", []byte(`{"schema":"posthornd.log-keys/1","vrf":"AA=="}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, ok := decodertest.Frugal(t, raw, parseKeys)
		if ok && len(k.VRF) != 32 {
			t.Fatal("a key of another length")
		}
		if ok {
			_, _ = signers(k.Roots, time.Now) // whatever it holds, nothing panics
		}
	})
}

package witness

import (
	"encoding/json"
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

func FuzzParseRequest(f *testing.F) {
	decodertest.Seed(f, "none", []byte("old 0\n\norigin\n1\nAAAA\n"))
	decodertest.Seed(f, "proof", []byte("old 3\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\norigin\n"))
	decodertest.Seed(f, "zero", []byte("old 00\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, ok := decodertest.Frugal(t, raw, parseRequest)
		if !ok {
			return
		}
		if len(r.proof) > maxProof {
			t.Fatal("a proof that no log needs")
		}
		for _, h := range r.proof {
			if len(h) != 32 {
				t.Fatal("a hash of another length")
			}
		}
	})
}

func FuzzParseState(f *testing.F) {
	s, err := newState("example.org/witness")
	if err != nil {
		f.Fatal(err)
	}
	s.Keys = [2]keyPair{} // no keys in a seed
	s.Logs["example.org/log"] = logged{7, make([]byte, 32)}
	raw, err := json.Marshal(s)
	if err != nil {
		f.Fatal(err)
	}
	decodertest.Seed(f, "state", raw)
	decodertest.Seed(f, "short-root", []byte(`{"schema":"posthornd.witness/1","logs":{"a":{"size":1,"root":"AA=="}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, ok := decodertest.Frugal(t, raw, parseState)
		for _, l := range s.Logs {
			if ok && len(l.Root) != 32 {
				t.Fatal("a root of another length")
			}
		}
	})
}

package postgres

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
)

// FuzzKnown gives parseKnown any bytes. What it accepts is written and read
// again as the same.
func FuzzKnown(f *testing.F) {
	decodertest.Seed(f, "known", known{"7300000000000000001", 3, 2}.marshal())
	decodertest.Seed(f, "cut", []byte(`{"system":"73`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, ok := decodertest.Frugal(t, b, parseKnown); ok {
			if again, err := parseKnown(k.marshal()); err != nil || again != k {
				t.Errorf("%+v became %+v, %v", k, again, err)
			}
		}
	})
}

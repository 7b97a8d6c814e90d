package recovery

import (
	"testing"

	"github.com/posthorn/posthorn/internal/decodertest"
	"github.com/posthorn/posthorn/internal/secret"
)

func FuzzParse(f *testing.F) {
	s := counted()
	decodertest.Seed(f, "phrase", Words(&s))
	decodertest.Seed(f, "slip", "zone "+Words(&secret.Key{})[5:])
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(Words(&got)); err != nil || again != got {
			t.Fatalf("%q was read as another secret than it writes", text)
		}
	})
}

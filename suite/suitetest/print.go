package suitetest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
)

// Unprinted wants no verb of package fmt to show any 16 bytes in a row of the
// secrets, raw, in hexadecimal or as a list of numbers.
func Unprinted(t T, value any, secrets ...[]byte) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		shown := fmt.Sprintf(verb, value)
		for _, s := range secrets {
			part := s[:min(16, len(s))]
			if bytes.Contains([]byte(shown), part) || strings.Contains(shown, hex.EncodeToString(part)) || strings.Contains(shown, strings.Trim(fmt.Sprint(part), "[]")) {
				t.Fatalf("%T shows a secret under %s", value, verb)
			}
		}
	}
}

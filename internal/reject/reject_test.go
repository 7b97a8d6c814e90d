package reject

import (
	"errors"
	"fmt"
	"testing"
)

func TestErrorNamesSentinelDetailAndCheck(t *testing.T) {
	sentinel := errors.New("pkg: refused")
	for want, err := range map[string]error{
		"pkg: refused: too long (V-17)": New("V-17", sentinel, "too long"),
		"pkg: refused (V-17)":           New("V-17", sentinel, ""),
	} {
		var refusal *Error
		if err.Error() != want || !errors.Is(err, sentinel) || !errors.As(fmt.Errorf("outer: %w", err), &refusal) || refusal.Check != "V-17" {
			t.Errorf("got %q, want %q", err, want)
		}
	}
}

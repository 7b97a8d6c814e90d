package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A client whose clock is a day off in either direction uses its token for as
// long as the server grants it, instead of logging in before every call.
func TestTokenLivesByElapsedTime(t *testing.T) {
	here := time.Now()
	for _, off := range []time.Duration{0, 26 * time.Hour, -26 * time.Hour} {
		server := here.Add(-off)
		issued := moment{server: server, here: here}.token("bearer", uint64(server.Add(15*time.Minute).UnixMilli()))
		if !issued.usable(here.Add(13 * time.Minute)) {
			t.Errorf("clock off by %v: the token is not used", off)
		}
		if issued.usable(here.Add(15 * time.Minute)) {
			t.Errorf("clock off by %v: the token is used beyond its end", off)
		}
	}
}

func TestA52ClientPrintsNoToken(t *testing.T) {
	c := &Client{token: token{text: "bearer-of-news"}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, c); strings.Contains(text, "news") || strings.Contains(text, "6e657773") {
			t.Errorf("%s prints the token", verb)
		}
	}
}

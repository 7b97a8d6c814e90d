package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/invite"
)

// made is what invite create --json prints.
type made struct {
	Schema, ID, URL string
	Expires         time.Time `json:"expires_at"`
}

func createInvite(t *testing.T, data string, more ...string) (made, string) {
	t.Helper()
	code, out, complaint := command(t, append([]string{"invite", "create", "--data", data, "--json"}, more...)...)
	var m made
	if code == 0 {
		if err := json.Unmarshal([]byte(out), &m); err != nil || m.Schema != "posthornd.invite/1" {
			t.Fatalf("%q, %v", out, err)
		}
	}
	return m, complaint
}

// An invite names the server as the operator says, or else as the server knows.
func TestInvitesNameTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		serve, create []string
		server        string // "": the address it listens on
		pinned        bool
	}{
		"as it listens":    {},
		"as told":          {create: []string{"--address", "https://chat.example:99/"}, server: "https://chat.example:99"},
		"public, a proxy":  {serve: []string{"--behind-proxy", "--public-address", "chat.example"}, server: "https://chat.example"},
		"self-signed":      {serve: []string{"--tls-self-signed"}, pinned: true},
		"public, own cert": {serve: []string{"--tls-self-signed", "--public-address", "192.0.2.1:443"}, server: "https://192.0.2.1:443", pinned: true},
	} {
		t.Run(name, func(t *testing.T) {
			data := t.TempDir()
			s := start(t, data, c.serve...)
			defer s.end()
			m, complaint := createInvite(t, data, c.create...)
			link, err := invite.Parse(m.URL)
			if want := map[bool]string{true: s.url, false: c.server}[c.server == ""]; err != nil || link.Server != want || (link.Pin != nil) != c.pinned {
				t.Errorf("%s, want %s, %v %s", m.URL, want, err, complaint)
			}
			if left := time.Until(m.Expires); left < inviteLife-time.Hour || left > inviteLife {
				t.Errorf("it ends in %v", left)
			}
		})
	}
}

func TestInvitesThatCannotBeMade(t *testing.T) {
	data := t.TempDir()
	s := start(t, data, "--behind-proxy")
	defer s.end()
	for says, args := range map[string][]string{
		"does not know by which address":    nil,
		"V-150":                             {"--address", "http://chat.example"},
		"more than nothing and at most a y": {"--address", "https://chat.example", "--expires", "-1h"},
	} {
		if m, complaint := createInvite(t, data, args...); m.URL != "" || !strings.Contains(complaint, says) || !strings.Contains(complaint, "posthornd: hint: ") {
			t.Errorf("%v: %+v, %q", args, m, complaint)
		}
	}
	if code, _, complaint := command(t, "invite", "revoke", "--data", data, "00"); code != exitUser || !strings.Contains(complaint, "no invite has this id") {
		t.Errorf("revoking nothing: exit %d, %q", code, complaint)
	}
	if code, out, _ := command(t, "invite", "list", "--data", data, "--json"); code != 0 || out != `{"schema":"posthornd.invites/1","invites":[]}`+"\n" {
		t.Errorf("exit %d, %q", code, out)
	}
}

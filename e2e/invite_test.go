package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// operate runs a command of posthornd on a server's data folder.
func (d *daemon) operate(args ...string) (out string, code int) {
	d.t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "posthornd"), append(args, "--data", d.data)...)
	var complaints strings.Builder
	cmd.Stderr = &complaints
	b, err := cmd.Output()
	if err != nil {
		d.t.Logf("posthornd %s: %v\n%s", args[0], err, complaints.String())
	}
	return string(b), exitCode(err)
}

// invite makes an invite and returns its id and link.
func (d *daemon) invite(more ...string) (id, url string) {
	d.t.Helper()
	out, code := d.operate(append([]string{"invite", "create", "--json"}, more...)...)
	var made struct{ ID, URL, ExpiresAt string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 || made.URL == "" {
		d.t.Fatalf("exit %d, %q, %v", code, out, err)
	}
	return made.ID, made.URL
}

// startClosed runs a server that makes accounts by invite only.
func startClosed(t *testing.T, options ...string) *daemon {
	t.Helper()
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"), options...)
	d.closed = true
	for _, o := range options {
		d.secure = d.secure || o == "--tls-self-signed"
	}
	d.start()
	t.Cleanup(d.kill)
	return d
}

// An invite is all that somebody needs: where the server is, the way in, and
// which certificate it shows. A server that shows another one later is not
// spoken to.
func TestAnInviteToASelfSignedServer(t *testing.T) {
	t.Parallel()
	server := startClosed(t, "--tls-self-signed")
	alice, bob := newPerson(t, "alice"), newPerson(t, "bob")
	if got := alice.run("register", "alice", "--server", server.url()); got.code != 4 || !strings.Contains(got.stderr, "certificate") {
		t.Errorf("without the invite's hash: %+v", got)
	}
	_, first := server.invite()
	_, second := server.invite("--expires", "1h")
	if !strings.HasPrefix(first, server.url()+"/i/") || !strings.Contains(first, "#sha256=") {
		t.Fatalf("the link is %s", first)
	}
	alice.must("register", "alice", "--invite", first)
	bob.must("register", "bob", "--invite", second)
	alice.must("send", "@bob", "hello through a pinned certificate")
	if got := bob.must("read"); !strings.Contains(got, "hello through a pinned certificate") {
		t.Errorf("bob reads %q", got)
	}
	server.kill()
	if err := os.RemoveAll(filepath.Join(server.data, "tls")); err != nil {
		t.Fatal(err)
	}
	server.start() // with a certificate that nobody was told of
	if got := alice.run("send", "@bob", "secret"); got.code != 4 || !strings.Contains(got.stderr, "certificate is not the expected one") {
		t.Errorf("another certificate: %+v", got)
	}
}

// TestInvitesAreTakenOnce: what becomes of a link in each of its states, as the
// invited person sees it and as the operator does.
func TestInvitesAreTakenOnce(t *testing.T) {
	t.Parallel()
	server := startClosed(t)
	if got := newPerson(t, "alice").run("register", "alice", "--server", server.url()); got.code != 1 || !strings.Contains(got.stderr, "invite") {
		t.Errorf("without an invite: %+v", got)
	}
	used, usedURL := server.invite()
	revoked, revokedURL := server.invite()
	expired, expiredURL := server.invite("--expires", "1ms")
	open, openURL := server.invite("--address", server.url())
	if _, code := server.operate("invite", "revoke", revoked); code != 0 {
		t.Errorf("revoke: exit %d", code)
	}
	newPerson(t, "alice").must("register", "alice", "--invite", usedURL)
	altered := []byte(usedURL)
	if last := len(altered) - 1; altered[last] == 'A' {
		altered[last] = 'B'
	} else {
		altered[last] = 'A'
	}
	for url, says := range map[string]string{
		usedURL: "used by another account", revokedURL: "taken this invite back", expiredURL: "has run out",
		string(altered): "knows no such invite",
	} {
		bob := newPerson(t, "bob")
		got := bob.run("register", "bob", "--invite", url)
		if got.code != 1 || !strings.Contains(got.stderr, says) || strings.Contains(got.stderr, url[strings.LastIndex(url, "/")+1:]) {
			t.Errorf("want %q: %+v", says, got)
		}
		if _, err := os.Stat(bob.home); !os.IsNotExist(err) {
			t.Errorf("%s: a profile is left", says)
		}
	}
	if got := newPerson(t, "bob").run("register", "bob", "--invite", usedURL[:len(usedURL)-1]); got.code != 2 {
		t.Errorf("half a link: %+v", got)
	}
	if got := newPerson(t, "carol").run("register", "alice", "--invite", openURL); got.code != 1 || !strings.Contains(got.stderr, "name is taken") {
		t.Errorf("a taken name: %+v", got)
	}
	server.listsInvites(map[string]string{used: "used", revoked: "revoked", expired: "expired", open: "open"})
	server.kill()
	server.start()
	newPerson(t, "bob").must("register", "bob", "--invite", openURL)
	server.listsInvites(map[string]string{used: "used", revoked: "revoked", expired: "expired", open: "used"})
	if out, code := server.operate("invite", "revoke", used); code != 1 || out != "" {
		t.Errorf("revoking a used one: exit %d, %q", code, out)
	}
}

func (d *daemon) listsInvites(want map[string]string) {
	d.t.Helper()
	out, _ := d.operate("invite", "list", "--json")
	var list struct{ Invites []struct{ ID, State string } }
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Invites) != len(want) {
		d.t.Fatalf("%q, %v", out, err)
	}
	for _, i := range list.Invites {
		if want[i.ID] != i.State {
			d.t.Errorf("invite %s is %s, want %s", i.ID, i.State, want[i.ID])
		}
	}
}

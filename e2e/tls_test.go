package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/server/cert"
)

// The ordinary client reaches a server with a certificate of an authority that
// its system trusts, and refuses one that nobody vouches for.
func TestClientsTrustTheSystemsAuthorities(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	d := newDaemon(t, filepath.Join(t.TempDir(), "server"), "--tls-cert", filepath.Join(folder, "cert.pem"), "--tls-key", filepath.Join(folder, "key.pem"))
	d.secure = true
	host, _, _ := strings.Cut(d.address, ":")
	if _, err := cert.SelfSigned(folder, []string{host}, time.Now()); err != nil {
		t.Fatal(err)
	}
	d.start()
	t.Cleanup(d.kill)
	trusting := []string{"SSL_CERT_FILE=" + filepath.Join(folder, "cert.pem"), "SSL_CERT_DIR=" + t.TempDir()}
	alice, bob, carol := newPerson(t, "alice"), newPerson(t, "bob"), newPerson(t, "carol")
	alice.env, bob.env = trusting, trusting
	alice.must("register", "alice", "--server", d.url())
	bob.must("register", "bob", "--server", d.url())
	alice.must("send", "@bob", "over TLS")
	if got := bob.must("read", "@alice"); !strings.Contains(got, "over TLS") {
		t.Errorf("bob read %q", got)
	}
	if r := carol.run("register", "carol", "--server", d.url()); r.code != 4 || !strings.Contains(r.stderr, "certificate is not the expected one, nothing was sent") {
		t.Errorf("a stranger's certificate: exit %d, %s", r.code, r.stderr)
	}
}

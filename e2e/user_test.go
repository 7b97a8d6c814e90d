package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// What an operator does to an account, as its owner and others see it.
func TestOperatorShutsAccountsOut(t *testing.T) {
	t.Parallel()
	server := startDaemon(t)
	alice, bob := register(t, "alice", server.url()), register(t, "bob", server.url())
	alice.must("send", "@bob", "before")
	if out, code := server.operate("user", "list", "--json"); code != 0 || !listed(t, out, "bob", false, 1) || !listed(t, out, "alice", false, 0) {
		t.Errorf("exit %d, %s", code, out)
	}
	if _, code := server.operate("user", "disable", "bob"); code != 0 {
		t.Errorf("disable: exit %d", code)
	}
	if got := bob.run("read"); got.code != 1 || !strings.Contains(got.stderr, "disabled this account") {
		t.Errorf("a disabled account reads: %+v", got)
	}
	alice.must("send", "@bob", "meanwhile")
	server.kill()
	server.start()
	if out, _ := server.operate("user", "list", "--json"); !listed(t, out, "bob", true, 2) {
		t.Errorf("after a restart: %s", out)
	}
	if _, code := server.operate("user", "enable", "bob"); code != 0 {
		t.Errorf("enable: exit %d", code)
	}
	if got := bob.must("read"); !strings.Contains(got, "before") || !strings.Contains(got, "meanwhile") {
		t.Errorf("bob reads %q", got)
	}
	for range 2 {
		if _, code := server.operate("user", "delete", "bob"); code != 0 {
			t.Errorf("delete: exit %d", code)
		}
	}
	if got := newPerson(t, "bob").run("register", "bob", "--server", server.url()); got.code != 1 || !strings.Contains(got.stderr, "name is taken") {
		t.Errorf("the name of a deleted account: %+v", got)
	}
	if out, _ := server.operate("user", "list", "--json"); strings.Contains(out, "bob") {
		t.Errorf("listed: %s", out)
	}
	if out, code := server.operate("user", "disable", "nobody"); code != 1 || out != "" {
		t.Errorf("nobody: exit %d, %q", code, out)
	}
	if err := server.stop(); err != nil {
		t.Error(err)
	}
	if out, code := server.operate("check"); code != 0 {
		t.Errorf("check: exit %d, %s", code, out)
	}
}

// listed tells whether a user is in the list, with these marks.
func listed(t *testing.T, out, name string, disabled bool, queued int) bool {
	t.Helper()
	var list struct {
		Users []struct {
			Name     string
			ID       string `json:"account_id"`
			Devices  int
			Queued   int
			Disabled bool
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	for _, u := range list.Users {
		if u.Name == name {
			return len(u.ID) == 96 && u.Devices == 1 && u.Disabled == disabled && u.Queued >= queued && (queued > 0 || u.Queued == 0)
		}
	}
	return false
}

package liar

import (
	"strings"
	"testing"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
)

// TestA31V291RemovedByAWord: a server tells a device that its account has removed
// it, and shows nothing, or a removal that its log does not hold. The program says
// so with exit code 4, sends nothing, shows what it has received, and goes on with
// its sessions when the server answers rightly again.
func TestA31V291RemovedByAWord(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, bob := o.acquaints("alice", "bob")
	for name, show := range map[string]func(*posthornv1.FindRemovalResponse){
		"a bare word": nil,
		"a removal without a proof": func(a *posthornv1.FindRemovalResponse) {
			a.Statements = newPuppet(t, "alice").roster.Statements()
		},
	} {
		sent := len(alice.front.envelopes())
		alice.front.refuses(posthornv1connect.AuthServiceAuthenticateProcedure, api.ReasonDeviceRemoved)
		if show != nil {
			lie(alice.front, posthornv1connect.DirectoryServiceFindRemovalProcedure, func(_ *posthornv1.FindRemovalRequest, a *posthornv1.FindRemovalResponse) { show(a) })
		}
		for _, args := range [][]string{{"send", "@bob", "while it lies"}, {"read"}, {"device", "rotate"}, {"transparency", "check", "@bob"}} {
			r := alice.run(args...)
			if r.code != 4 || !strings.Contains(r.stderr, "does not prove it; nothing was erased") || !strings.Contains(r.stderr, "posthorn: hint:") {
				t.Errorf("%s, %v: exit %d\n%s", name, args, r.code, r.stderr)
			}
		}
		if r := alice.run("read", "--all"); !strings.Contains(r.stdout, "hello yourself") {
			t.Errorf("%s: what was received is not shown: %s%s", name, r.stdout, r.stderr)
		}
		if r := alice.run("contact", "show", "@bob", "--json"); strings.Contains(r.stdout, "device_removed") || !strings.Contains(r.stdout, `"name":"bob"`) {
			t.Errorf("%s: %s%s", name, r.stdout, r.stderr)
		}
		if now := len(alice.front.envelopes()); now != sent {
			t.Errorf("%s: %d envelopes left", name, now-sent)
		}
		alice.front.honest()
	}
	alice.must("send", "@bob", "it answers again")
	if got := bob.must("read"); !strings.Contains(got, "it answers again") || strings.Contains(got, "while it lies") {
		t.Errorf("bob has read %q", got)
	}
}

// TestA16V295CopiedByAWord: a server tells a device that another copy of its profile
// has gone on, and shows no login of such a copy. The program says so with exit
// code 4, erases and sends nothing, and goes on when it is let in again.
func TestA16V295CopiedByAWord(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, bob := o.acquaints("alice", "bob")
	sent := len(alice.front.envelopes())
	alice.front.refuses(posthornv1connect.AuthServiceAuthenticateProcedure, api.ReasonDeviceCloned)
	for _, args := range [][]string{{"send", "@bob", "while it lies"}, {"read"}, {"device", "rotate"}, {"transparency", "check", "@bob"}} {
		r := alice.run(args...)
		if r.code != 4 || !strings.Contains(r.stderr, "does not prove it; nothing was erased") || !strings.Contains(r.stderr, "'posthorn device renew'") ||
			strings.Contains(r.stderr, "ALARM") {
			t.Errorf("%v: exit %d\n%s", args, r.code, r.stderr)
		}
	}
	if r := alice.run("read", "--all"); !strings.Contains(r.stdout, "hello yourself") {
		t.Errorf("what was received is not shown: %s%s", r.stdout, r.stderr)
	}
	if now := len(alice.front.envelopes()); now != sent {
		t.Errorf("%d envelopes left", now-sent)
	}
	alice.front.honest()
	alice.must("send", "@bob", "it answers again")
	if got := bob.must("read"); !strings.Contains(got, "it answers again") {
		t.Errorf("bob has read %q", got)
	}
}

package liar

import (
	"slices"
	"strings"
	"testing"

	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
)

// TestControl: the same people, fronts and log without a lie.
func TestControl(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, bob := o.join("alice"), o.join("bob")
	victim := o.puppet("victim")
	alice.must("send", "@bob", "hello")
	if got := bob.must("read"); !strings.Contains(got, "hello") {
		t.Fatalf("bob reads %q", got)
	}
	bob.must("send", "@alice", "hello yourself")
	if got := alice.must("read"); !strings.Contains(got, "hello yourself") {
		t.Fatalf("alice reads %q", got)
	}
	alice.must("send", "@victim", "hello")
	id := victim.roster.ID()
	want := recipient(id[:], victim.device().ID[:])
	if got := alice.front.envelopes(); !slices.Contains(got, want) {
		t.Errorf("no envelope for %s was seen, only %v", want, got)
	}
	asked, told := alice.front.count(posthornv1connect.DirectoryServiceGetAccountProcedure)
	if asked == 0 || told != 0 {
		t.Errorf("%d look-ups, %d lies", asked, told)
	}
	alice.hasNoEvidence()
	bob.hasNoEvidence()
	// A front that rewrites and changes nothing does no harm either.
	alice.front.onAccount("victim", unchanged)
	alice.must("send", "@victim", "again")
}

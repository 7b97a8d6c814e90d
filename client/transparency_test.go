package client

import (
	"errors"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/internal/reject"
	"github.com/posthorn/posthorn/kt"
)

func wantCheck(t *testing.T, err error, check string) *LogError {
	t.Helper()
	failed, ok := errors.AsType[*LogError](err)
	if !ok || !errors.Is(err, ErrTransparency) {
		t.Fatalf("want a refusal by %s, got %v", check, err)
	}
	if rule, ok := errors.AsType[*reject.Error](failed.Err); !ok || rule.Check != check {
		t.Fatalf("want a refusal by %s, got %v", check, err)
	}
	return failed
}

func TestV195AnswerWithoutProof(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	_, err := alice.proves(w.ctx, &ledger{}, "bob", transport.Record{Name: "bob"}, nil)
	if failed := wantCheck(t, err, "V-195"); failed.Evidence != "" {
		t.Error("evidence of nothing")
	}
}

// TestV194VersionsOfTheOwnName: only what the own roster was may stand in the
// log under the own name.
func TestV194VersionsOfTheOwnName(t *testing.T) {
	w := newWorld(t)
	alice := w.person("alice")
	begun, err := account.ReplayRoster(alice.profile.Statements)
	if err != nil {
		t.Fatal(err)
	}
	roster, err := account.ReplayRoster(append(slices.Clone(alice.profile.Statements), (&town{world: w}).ghost(alice, alice.key)))
	if err != nil {
		t.Fatal(err)
	}
	own := kt.RecordOf("alice", roster)
	other := own
	other.Head[0]++
	log := func(records ...kt.Record) (versions []transport.LogVersion, now *localdb.LogName) {
		value := kt.Value{}
		for i, r := range records {
			o := kt.Opening{byte(i)}
			value = kt.Chain(uint32(i), value, kt.Commit(o, uint32(i), r))
			versions = append(versions, transport.LogVersion{Version: uint32(i), Record: r.Marshal(), Opening: o[:]})
		}
		return versions, &localdb.LogName{Version: uint32(len(records) - 1), Value: value}
	}
	explained := func(versions []transport.LogVersion, now *localdb.LogName) bool {
		records, shown := logged(versions, "alice", now)
		return shown && statesOf(roster, records)
	}
	first := kt.RecordOf("alice", begun)
	versions, now := log(first, own)
	if !explained(versions, now) {
		t.Fatal("the states of the own roster are not explained")
	}
	stranger := own
	stranger.Account[0]++
	ahead := own
	ahead.Seq++
	for name, records := range map[string][]kt.Record{
		"swapped and back": {own, other, own}, "other account": {stranger}, "unknown statement": {own, ahead},
		"an older list again": {first, own, first}, "an older list for a moment": {own, first}, "the same twice": {own, own},
	} {
		if explained(log(records...)) {
			t.Errorf("%s is explained", name)
		}
	}
	if explained(nil, now) || explained(versions[:1], now) || explained(versions[1:], now) {
		t.Error("a hidden version is explained")
	}
	if _, moved := log(first, other); explained(versions, moved) {
		t.Error("versions that do not lead to the proved one are explained")
	}
}

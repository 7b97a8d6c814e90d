package client

import (
	"errors"
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
	roster, err := account.ReplayRoster(alice.profile.Statements)
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
	versions, now := log(own)
	if !explained(versions, roster, "alice", nil, now) {
		t.Fatal("the own record is not explained")
	}
	stranger := own
	stranger.Account[0]++
	ahead := own
	ahead.Seq++
	for name, records := range map[string][]kt.Record{
		"swapped and back": {own, other, own}, "other account": {stranger}, "unknown statement": {own, ahead},
	} {
		if versions, now := log(records...); explained(versions, roster, "alice", nil, now) {
			t.Errorf("%s is explained", name)
		}
	}
	if explained(nil, roster, "alice", nil, now) {
		t.Error("a hidden version is explained")
	}
	if _, moved := log(own, own); explained(versions, roster, "alice", nil, moved) {
		t.Error("versions that do not reach the proved one are explained")
	}
}

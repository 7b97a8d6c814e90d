package kt

import (
	"bytes"
	"slices"
	"testing"

	"github.com/posthorn/posthorn/account"
)

// rosters gives the statements of an account with one device, and two that go on
// from it, each with a device of its own.
func rosters() (shared *account.Roster, next [2]*account.Roster) {
	device := func(seed byte) (*account.Device, *account.SigningKey) {
		key, _ := account.GenerateSigningKey(func(b []byte) { copy(b, bytes.Repeat([]byte{seed}, len(b))) })
		return &account.Device{ID: account.DeviceID{seed}, Key: key.Public(), Suites: []account.Suite{account.PQ3A}, CreatedAt: 1}, key
	}
	first, key := device(1)
	shared = must(account.StartRoster(must(account.NewAccount(first, key, 1, nil))))
	for i := range next {
		added, addedKey := device(byte(2 + i))
		s := must(shared.Propose(account.Author{Device: &first.ID, Key: key}, []*account.SigningKey{addedKey}, 2, nil, account.AddDevice{Device: added}))
		next[i] = must(shared.Apply(s))
	}
	return shared, next
}

// parted gives evidence of two lists of one account's devices, both of which were
// in the log.
func parted() *Evidence {
	shared, next := rosters()
	l := newLog(1)
	for _, r := range next {
		l.publish(RecordOf("dave", r))
		l.epoch()
	}
	record := RecordOf("dave", next[1])
	known := Known{Size: 3, Root: l.root(3), Label: &Label{0, l.values["dave"][0]}}
	return &Evidence{
		Kind: KindRoster, At: testStart * 1000, Check: "V-224", Policy: l.policy,
		Name: "dave", Record: &record, Known: known, Answer: l.answer("dave", known),
		Shared: shared.Statements(), Chains: [2][][]byte{next[0].Statements()[1:], next[1].Statements()[1:]},
	}
}

func TestRosterEvidenceIsSeenAgain(t *testing.T) {
	e, err := ParseEvidence(parted().Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if finding, err := e.Verify(); err != nil || !finding.Conclusive {
		t.Errorf("%+v, %v", finding, err)
	}
}

func TestV192NoEvidenceOfARoster(t *testing.T) {
	for name, spoil := range map[string]func(e *Evidence){
		"the same statement twice": func(e *Evidence) { e.Chains[0] = e.Chains[1] },
		"one goes on":              func(e *Evidence) { e.Chains[0] = nil },
		"nothing shared":           func(e *Evidence) { e.Shared = nil },
		"lists the other way":      func(e *Evidence) { slices.Reverse(e.Chains[:]) },
		"a changed signature": func(e *Evidence) {
			e.Chains[0][0] = bytes.Clone(e.Chains[0][0])
			e.Chains[0][0][len(e.Chains[0][0])-1] ^= 1
		},
		"a record that is not logged": func(e *Evidence) {
			r := *e.Record
			r.Head[0] ^= 1
			e.Record = &r
		},
	} {
		e := parted()
		spoil(e)
		_, err := e.Verify()
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-192", err) })
	}
}

package kt

import (
	"slices"
	"testing"
)

// history gives what an auditor gets: each entry of R with its updates.
func (l *testLog) epochs() (entries [][]byte, updates [][][]byte) {
	var all [][]byte
	for _, name := range []string{"alice", "bob", "carol", "dora"} {
		all = append(all, l.update(name, 0))
	}
	all = append(all, l.update("alice", 1), l.update("alice", 2))
	return l.roots, [][][]byte{nil, nil, all[:4], all[4:5], all[5:]}
}

func (l *testLog) update(name string, version uint32) []byte {
	r := record(name, uint64(version))
	index, _ := l.vrf.Prove(r.Name)
	return Update{index, version, l.history[r.Name][version]}.Marshal()
}

func audited(l *testLog, entries [][]byte, updates [][][]byte) error {
	a := NewAudit(l.policy)
	for i := range entries {
		if err := a.Epoch(entries[i], updates[i]); err != nil {
			return err
		}
	}
	return a.Finish(must(l.policy.Checkpoint(l.checkpoint(5))))
}

func TestAuditOfAnHonestLog(t *testing.T) {
	l := town(1)
	entries, updates := l.epochs()
	if err := audited(l, entries, updates); err != nil {
		t.Fatal(err)
	}
}

// TestV196AuditFindsEveryLie: a root of other updates, swapped for one epoch or
// for good, and roots that are not those of the checkpoint.
func TestV196AuditFindsEveryLie(t *testing.T) {
	for name, spoil := range map[string]func(l *testLog, entries [][]byte, updates [][][]byte){
		"swapped for one epoch": func(_ *testLog, entries [][]byte, _ [][][]byte) {
			r := must(ParseRoot(entries[3]))
			r.MapRoot[0]++
			entries[3] = r.Marshal()
		},
		"another time":       func(_ *testLog, entries [][]byte, _ [][][]byte) { entries[4][80]++ },
		"another config":     func(_ *testLog, entries [][]byte, _ [][][]byte) { entries[0][20]++ },
		"a jump of versions": func(l *testLog, _ [][]byte, updates [][][]byte) { updates[3] = [][]byte{l.update("alice", 2)} },
		"a hidden update":    func(_ *testLog, _ [][]byte, updates [][][]byte) { updates[3] = nil },
		"updates too early":  func(l *testLog, _ [][]byte, updates [][][]byte) { updates[0] = [][]byte{l.update("bob", 0)} },
	} {
		l := town(1)
		entries, updates := l.epochs()
		copies := make([][]byte, len(entries))
		for i := range entries {
			copies[i] = slices.Clone(entries[i])
		}
		spoil(l, copies, updates)
		err := audited(l, copies, updates)
		t.Run(name, func(t *testing.T) { refusedBy(t, "V-196", err) })
	}
}

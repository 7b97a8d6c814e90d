package log

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/posthorn/posthorn/kt"
	"github.com/posthorn/posthorn/kt/witness"
	"github.com/posthorn/posthorn/server/store/memory"
)

// vouching is a witness of a log with the keys in a folder.
func vouching(t *testing.T, o Options, name string) (policyLine string) {
	t.Helper()
	_, roots, err := MakeKeys(o.KeysFolder)
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(filepath.Join(t.TempDir(), "state.json"), name, roots[:])
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	return fmt.Sprintf("witness %s %s %s\n", name, w.Keys()[0], s.URL)
}

func set(t *testing.T, l *Log, policy string) {
	t.Helper()
	if err := l.SetPolicy(within(t), []byte(policy)); err != nil {
		t.Fatalf("%v; %v", err, l.Ready())
	}
}

// head is what somebody who asks for nothing else sees, with the policy that
// follows from another one.
func head(t *testing.T, l *Log, from *kt.Policy) (*kt.Policy, *kt.Checkpoint) {
	t.Helper()
	h, err := l.Head(within(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	var changes []*kt.Change
	for n := from.Standing().Number; n < h.Root.Standing.Number; n++ {
		c, err := l.Change(within(t), n+1, h.Size)
		if err != nil || c == nil {
			t.Fatalf("change %d: %v", n+1, err)
		}
		again, err := kt.ParseChange(c.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		changes = append(changes, again)
	}
	p, err := from.Follow(changes, h.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Checkpoint(h.Checkpoint)
	if err == nil {
		err = c.Ends(h.Root, h.Last)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, c
}

// closed ends a log, so that it can be opened with other options.
func closed(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPolicyChangesAndComesBack: a log that began without witnesses gets one, and
// then another in its place. Whoever knows the first policy, or the second, follows
// to the last. After a start, and with tiles made anew, all is as before.
func TestPolicyChangesAndComesBack(t *testing.T) {
	o := fresh(t)
	one, two := vouching(t, o, "one"), vouching(t, o, "two")
	l := open(t, o)
	r := recordOf("alice", 0)
	publish(t, l, r)
	known := []*kt.Policy{l.Policy()}
	closed(t, l)

	o.Witnesses = []byte(one + "quorum one\n")
	l = open(t, o)
	set(t, l, one+"quorum one\n")
	p, c := head(t, l, known[0])
	if p.Standing().Number != 1 || strings.Join(c.Witnesses, " ") != "one" {
		t.Fatalf("policy %d, signed by %v", p.Standing().Number, c.Witnesses)
	}
	known = append(known, p)
	set(t, l, one+"quorum one\n") // again: nothing new
	set(t, l, string(p.Text()))   // and as it is printed
	publish(t, l, recordOf("bob", 0))
	closed(t, l)

	o.Witnesses = []byte(one + two + "group both all one two\nquorum both\n")
	l = open(t, o)
	set(t, l, "# only this one from now on\n"+two+"quorum two\n")
	closed(t, l)
	o.Witnesses = []byte(two + "quorum two\n")
	l = open(t, o)
	publish(t, l, recordOf("carol", 0))
	closed(t, l)
	for seq := range uint64(2) {
		l = open(t, o)
		for _, from := range known {
			p, c := head(t, l, from)
			if p.Standing().Number != 2 || p.Standing() != l.Policy().Standing() || strings.Join(c.Witnesses, " ") != "two" {
				t.Errorf("policy %d, signed by %v", p.Standing().Number, c.Witnesses)
			}
		}
		publish(t, l, recordOf("dave", seq)) // the folder has a checkpoint then
		if _, err := Verify(within(t), o.Folder); err != nil {
			t.Error(err)
		}
		closed(t, l)
		o.Folder = filepath.Join(t.TempDir(), "kt") // the tiles follow from the store
	}
	audited(t, l, o.Records)
	for key, value := range stored(t, o.Records) {
		if err := CheckRecord(key, value); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func stored(t *testing.T, records Records) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	page, err := records.Scan(within(t), "kt/", "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range page {
		all[row.Key] = row.Val
	}
	return all
}

// TestPolicyIsTriedFirst: what this server's checkpoints do not meet is not put in
// force, since no client would believe it afterwards.
func TestPolicyIsTriedFirst(t *testing.T) {
	o := fresh(t)
	one := vouching(t, o, "one")
	l := open(t, o)
	for text, want := range map[string]error{
		one + "quorum one\n":                ErrUnmet,
		"quorum nobody\n":                   ErrPolicy,
		"witness one what? -\nquorum one\n": ErrPolicy,
		"log " + l.keys.Updates[0].Verifier + "\n" + "quorum none\n": ErrPolicy,
	} {
		if err := l.SetPolicy(within(t), []byte(text)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	publish(t, l, recordOf("alice", 0))
	if p, _ := head(t, l, l.policy); p.Standing() != (kt.Standing{}) {
		t.Errorf("policy %d", p.Standing().Number)
	}
	closed(t, l)
	if err := l.SetPolicy(within(t), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestPolicyNeedsTheWitnessBefore: a server that no longer asks the witness which
// clients ask for cannot do without it by a change.
func TestPolicyNeedsTheWitnessBefore(t *testing.T) {
	o := fresh(t)
	one, two := vouching(t, o, "one"), vouching(t, o, "two")
	o.Witnesses = []byte(one + "quorum one\n")
	l := open(t, o)
	first := l.Policy()
	closed(t, l)
	o.Witnesses = []byte(two + "quorum two\n")
	l = open(t, o)
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := l.SetPolicy(short, []byte(two+"quorum two\n")); !errors.Is(err, ErrWaiting) {
		t.Errorf("without the old witness: %v", err)
	}
	// Whoever gave the order has gone, so that nothing is done when the witness is back.
	closed(t, l)
	o.Witnesses = []byte(one + two + "group both all one two\nquorum both\n")
	l = open(t, o)
	if p, _ := head(t, l, first); p.Standing() != (kt.Standing{}) {
		t.Fatalf("policy %d", p.Standing().Number)
	}
	set(t, l, two+"quorum two\n")
	if p, _ := head(t, l, first); p.Standing().Number != 1 {
		t.Errorf("policy %d", p.Standing().Number)
	}
}

// lastWrite is a store that takes no more from one write on, as when the power goes.
type lastWrite struct {
	Records
	at   func(key string) bool // the write at which it dies
	kept bool                  // that write itself is kept, and only its answer lost
	dead atomic.Bool
	died chan struct{}
}

var errDead = errors.New("the store is gone")

func (d *lastWrite) CAS(ctx context.Context, key string, want uint64, value []byte) (uint64, error) {
	if d.dead.Load() {
		return 0, errDead
	}
	if !d.at(key) {
		return d.Records.CAS(ctx, key, want, value)
	}
	if d.kept {
		_, _ = d.Records.CAS(ctx, key, want, value)
	}
	d.dead.Store(true)
	close(d.died)
	return 0, errDead
}

// TestPolicyChangeIsFinishedAfterACrash: whichever write was the last one, a start
// goes on with the new policy or, if it was not part of the log yet, with the old
// one, and nobody is served what nothing vouches for.
func TestPolicyChangeIsFinishedAfterACrash(t *testing.T) {
	for name, try := range map[string]struct {
		prefix string
		nth    int // of the writes under the prefix, after the order was given
		kept   bool
		number uint32
	}{
		"before the entry that is tried":  {epochPrefix, 1, false, 0},
		"before the entry":                {epochPrefix, 2, false, 0},
		"after the entry":                 {epochPrefix, 2, true, 1},
		"before the bridge":               {bridgeKeys, 1, false, 1},
		"after the bridge":                {bridgeKeys, 1, true, 1},
		"before the head":                 {headKey, 2, false, 1},
		"after the head, with its answer": {headKey, 2, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			o := fresh(t)
			one, kept := vouching(t, o, "one"), memory.New()
			o.Witnesses, o.Records = []byte(one+"quorum one\n"), kept
			closed(t, open(t, o))
			var ordered atomic.Bool
			seen := 0
			d := &lastWrite{Records: kept, kept: try.kept, died: make(chan struct{})}
			d.at = func(key string) bool {
				if ordered.Load() && strings.HasPrefix(key, try.prefix) {
					seen++
				}
				return seen == try.nth
			}
			o.Records = d
			l := open(t, o)
			ordered.Store(true)
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { ended <- l.SetPolicy(ctx, nil) }()
			select {
			case <-d.died:
			case <-within(t).Done():
				t.Fatal("the store lives")
			}
			cancel()
			<-ended
			closed(t, l)
			o.Records = kept
			l = open(t, o)
			publish(t, l, recordOf("alice", 0))
			if p, _ := head(t, l, l.policy); p.Standing().Number != try.number {
				t.Errorf("policy %d, want %d", p.Standing().Number, try.number)
			}
			set(t, l, "quorum none\n")
			if p, _ := head(t, l, l.policy); p.Standing().Number != 1 {
				t.Errorf("policy %d after another order", p.Standing().Number)
			}
			audited(t, l, kept)
		})
	}
}

// TestPolicyChangesOnAllNodes: what one node was told holds for all, and each of
// them can say how it came about.
func TestPolicyChangesOnAllNodes(t *testing.T) {
	o := fresh(t)
	o.Shared = true
	one := vouching(t, o, "one")
	o.Witnesses = []byte(one + "quorum one\n")
	nodes := []*Log{open(t, o)}
	second := o
	second.Folder, second.KeysFolder = filepath.Join(t.TempDir(), "kt"), filepath.Join(t.TempDir(), "keys")
	nodes = append(nodes, open(t, second))
	for i, text := range []string{"quorum none\n", one + "quorum one\n", "quorum none\n"} {
		set(t, nodes[i%2], text)
		size := nodes[i%2].served.Load().size
		other := nodes[1-i%2]
		for n := range uint32(i + 1) {
			c, err := other.Change(within(t), n+1, size)
			if err != nil || c == nil {
				t.Fatalf("change %d at the other node: %v", n+1, err)
			}
		}
		if p, _ := head(t, other, other.policy); p.Standing().Number != uint32(i+1) {
			t.Errorf("policy %d at the other node", p.Standing().Number)
		}
	}
	audited(t, nodes[0], o.Records)
}

// TestChangesThatAreNone: numbers and sizes that no policy has.
func TestChangesThatAreNone(t *testing.T) {
	o := fresh(t)
	l := open(t, o)
	for _, try := range []struct {
		number uint32
		size   uint64
	}{{0, 2}, {1, 2}, {2, 2}, {1 << 31, 2}, {1, 1 << 60}} {
		if c, err := l.Change(within(t), try.number, try.size); c != nil || err != nil {
			t.Errorf("%+v: %v, %v", try, c, err)
		}
	}
}

// audited goes through all epochs as an auditor of the log does.
func audited(t *testing.T, l *Log, records Records) {
	t.Helper()
	a := kt.NewAudit(l.policy)
	err := eachEpoch(within(t), records, 0, func(e epochRecord) error {
		updates := make([][]byte, len(e.updates))
		for i, u := range e.updates {
			updates[i] = u.Marshal()
		}
		return a.Epoch(e.entry, updates)
	})
	if err != nil {
		t.Errorf("an auditor: %v", err)
	}
}

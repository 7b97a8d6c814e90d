package liar

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/posthorn/posthorn/client"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

func (p *person) evidenceFiles() []string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.home, client.EvidenceFolder, "*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return files
}

func (p *person) hasNoEvidence() {
	p.t.Helper()
	if files := p.evidenceFiles(); len(files) > 0 {
		p.t.Errorf("%s has evidence: %v", p.name, files)
	}
}

// convicts wants one file of evidence of a kind, with the rule that refused,
// which package kt verifies; and has Go's own code look at its notes.
func (o *operator) convicts(p *person, kind, rule string) *kt.Evidence {
	p.t.Helper()
	var found *kt.Evidence
	for _, file := range p.evidenceFiles() {
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		e, err := kt.ParseEvidence(text)
		if err != nil {
			p.t.Fatalf("%s: %v", file, err)
		}
		if _, err := e.Verify(); err != nil {
			p.t.Fatalf("%s: %v", file, err)
		}
		p.must("transparency", "verify", file)
		if e.Kind == kind && e.Check == rule {
			if found != nil {
				p.t.Fatalf("%s has two files of %s by %s", p.name, kind, rule)
			}
			found = e
		}
	}
	if found == nil {
		p.t.Fatalf("%s has no evidence of %s by %s, only %v", p.name, kind, rule, p.evidenceFiles())
	}
	switch kind {
	case kt.KindFork:
		o.forkedByNotes(p.t, found)
	case kt.KindRollback:
		if before, after := o.opened(p.t, found.Notes[0]), o.opened(p.t, found.Notes[1]); after.N >= before.N {
			p.t.Error("sumdb: the log was not put back")
		}
	case kt.KindAudit:
		o.epochUnderNote(p.t, found)
	case kt.KindPolicy:
		o.opened(p.t, found.Notes[0])
	default:
		o.newestByTiles(p.t, found.Answer)
	}
	return found
}

// opened is a checkpoint as Go's sumdb code reads it. Its Ed25519 signature is
// all that this code knows.
func (o *operator) opened(t testing.TB, signed []byte) tlog.Tree {
	t.Helper()
	_, roots := o.log.Keys()
	v, err := note.NewVerifier(roots[0])
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		t.Fatalf("sumdb/note: %v\n%s", err, signed)
	}
	tree, err := treeOf(n.Text)
	if err != nil || !strings.HasPrefix(n.Text, o.log.Origin()+"\n") {
		t.Fatalf("no checkpoint of the log: %q, %v", n.Text, err)
	}
	return tree
}

// treeOf reads the text of a checkpoint.
func treeOf(text string) (tree tlog.Tree, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 3 {
		return tree, errors.New("a checkpoint has three lines")
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err == nil {
		tree.Hash, err = tlog.ParseHash(lines[2])
	}
	return tree, err
}

// forkedByNotes has sumdb/tlog see that two notes of the log contradict each
// other.
func (o *operator) forkedByNotes(t testing.TB, e *kt.Evidence) {
	t.Helper()
	a, b := o.opened(t, e.Notes[0]), o.opened(t, e.Notes[1])
	if a.N > b.N {
		a, b = b, a
	}
	if a.N == b.N {
		if a.Hash == b.Hash {
			t.Error("two notes that say the same")
		}
		return
	}
	if err := tlog.CheckTree(tlog.TreeProof(hashes(e.Proof)), b.N, b.Hash, a.N, a.Hash); err == nil {
		t.Error("sumdb/tlog: the notes continue each other")
	}
}

// epochUnderNote has sumdb/tlog see that the log signed the refused epoch: with
// its entry, R at that size leads to the checkpoint.
func (o *operator) epochUnderNote(t testing.TB, e *kt.Evidence) {
	t.Helper()
	signed := o.opened(t, e.Notes[0])
	epochs, _, err := o.log.Epochs(within(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	stored := &forger{o: o}
	for _, one := range epochs[:e.Step.From] {
		stored.add(one)
	}
	for _, entry := range e.Step.Entries {
		stored.add(ktlog.Epoch{Entry: entry})
	}
	root, err := tlog.TreeHash(stored.size(), stored)
	if err == nil && stored.size() < signed.N {
		err = tlog.CheckTree(tlog.TreeProof(hashes(e.Proof)), signed.N, signed.Hash, stored.size(), root)
	}
	if err != nil || stored.size() == signed.N && root != signed.Hash {
		t.Errorf("sumdb/tlog: the epoch is not part of what the log signed: %v", err)
	}
}

// newestByTiles has sumdb/tlog see that the answer's root is the last entry of
// what the log signed: it is the log's word that is held against it.
func (o *operator) newestByTiles(t testing.TB, a *kt.Answer) {
	t.Helper()
	tree := o.opened(t, a.Checkpoint)
	entry := tlog.RecordHash(a.Root.Marshal())
	if err := tlog.CheckRecord(tlog.RecordProof(hashes(a.Inclusion)), tree.N, tree.Hash, tree.N-1, entry); err != nil {
		t.Errorf("sumdb/tlog: %v", err)
	}
}

func hashes(list [][32]byte) (out []tlog.Hash) {
	for _, h := range list {
		out = append(out, h)
	}
	return out
}

// wroteOnlyTo wants every envelope so far to be for the devices of some puppets.
func (p *person) wroteOnlyTo(puppets ...*puppet) {
	p.t.Helper()
	mine := map[string]bool{}
	for _, other := range puppets {
		id := other.roster.ID()
		mine[recipient(id[:], other.device().ID[:])] = true
	}
	all := p.front.envelopes()
	if len(all) == 0 {
		p.t.Error("no envelope was seen at all")
	}
	for _, to := range all {
		if !mine[to] {
			p.t.Errorf("%s handed over an envelope for %s", p.name, to)
		}
	}
}

// logKeys are the lines of a checkpoint that signatures are on.
func signatureLines(checkpoint []byte) (text []byte, lines [][]byte) {
	text, rest, _ := bytes.Cut(checkpoint, []byte("\n\n"))
	return append(text, '\n'), bytes.SplitAfter(bytes.TrimSuffix(rest, []byte("\n")), []byte("\n"))
}

package liar

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	cosign "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

// keyFile is what these tests read of the operator's keys.
type keyFile struct {
	VRF   []byte
	Roots []struct{ Signer, Verifier string }
}

func (o *operator) keyFile() (k keyFile) {
	o.t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.keys, "keys.json"))
	if err == nil {
		err = json.Unmarshal(raw, &k)
	}
	if err != nil || len(k.Roots) != 2 {
		o.t.Fatalf("the keys of the log: %v", err)
	}
	return k
}

// forger continues the operator's log by hand, with entries that kt/log would
// never write, and signs them with the log's keys. Its tree is that of
// sumdb/tlog.
type forger struct {
	o       *operator
	signers []note.Signer
	vrf     *kt.VRFKey
	entries []ktlog.Epoch
	hashes  []tlog.Hash // as tlog stores them
	m       *kt.Map
	last    kt.Root
	claims  map[account.Name]*ktlog.Reply // what it says of names that it lies about
}

// newForger takes over the log as it stands.
func newForger(o *operator) *forger {
	o.t.Helper()
	k := o.keyFile()
	vrf, err := kt.NewVRFKey([32]byte(k.VRF))
	if err != nil {
		o.t.Fatal(err)
	}
	ed, err := note.NewSigner(k.Roots[0].Signer)
	if err != nil {
		o.t.Fatal(err)
	}
	ml, err := cosign.NewMLDSASigner(k.Roots[1].Signer)
	if err != nil {
		o.t.Fatal(err)
	}
	f := &forger{o: o, signers: []note.Signer{ed, ml}, vrf: vrf, claims: map[account.Name]*ktlog.Reply{}}
	epochs, _, err := o.log.Epochs(within(o.t), 0)
	if err != nil {
		o.t.Fatal(err)
	}
	replay := kt.NewReplay()
	for i, e := range epochs {
		for _, u := range e.Updates {
			if err := replay.Add(u); err != nil {
				o.t.Fatal(err)
			}
		}
		if i > 0 {
			f.last, err = kt.ParseRoot(e.Entry)
		}
		if err != nil {
			o.t.Fatal(err)
		}
		f.add(e)
	}
	f.m = replay.Map()
	return f
}

func (f *forger) add(e ktlog.Epoch) {
	more, err := tlog.StoredHashes(int64(len(f.entries)), e.Entry, f)
	if err != nil {
		f.o.t.Fatal(err)
	}
	f.entries, f.hashes = append(f.entries, e), append(f.hashes, more...)
}

// ReadHashes is tlog's way to the hashes.
func (f *forger) ReadHashes(places []int64) (list []tlog.Hash, err error) {
	for _, i := range places {
		list = append(list, f.hashes[i])
	}
	return list, nil
}

// claim says that a name has a record, as a version of its history.
func (f *forger) claim(r kt.Record, version uint32, before kt.Value) {
	var opening kt.Opening
	_, _ = rand.Read(opening[:])
	index, _ := f.vrf.Prove(r.Name)
	f.m = f.m.Set(index, kt.Chain(version, before, kt.Commit(opening, version, r)))
	f.claims[r.Name] = &ktlog.Reply{Record: &r, Answer: &kt.Answer{Present: &kt.Present{Version: version, Before: before, Opening: opening}}}
}

// epoch adds a root over a map that does not follow from the updates.
func (f *forger) epoch() {
	f.last.MapRoot, f.last.At = f.m.Root(), uint64(time.Now().UnixMilli())
	f.add(ktlog.Epoch{Entry: f.last.Marshal()})
}

func (f *forger) size() int64 { return int64(len(f.entries)) }

// checkpoint is signed with both keys of the log, and by no witness.
func (f *forger) checkpoint() []byte {
	root, err := tlog.TreeHash(f.size(), f)
	if err != nil {
		f.o.t.Error(err)
	}
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", f.o.log.Origin(), f.size(), root)}, f.signers...)
	if err != nil {
		f.o.t.Error(err)
	}
	return signed
}

// Answer is the forged log's word on a name.
func (f *forger) Answer(ctx context.Context, name account.Name, asked ktlog.Asked) (*ktlog.Reply, error) {
	reply := f.claims[name]
	if reply == nil {
		var err error
		if reply, err = f.o.log.Answer(ctx, name, ktlog.Asked{}); err != nil {
			return nil, err
		}
	}
	inclusion, err := tlog.ProveRecord(f.size(), f.size()-1, f)
	if err != nil {
		return nil, err
	}
	index, proof := f.vrf.Prove(name)
	a := &kt.Answer{
		Checkpoint: f.checkpoint(), Root: f.last, Inclusion: bytes32(inclusion), VRFProof: proof, Map: f.m.Prove(index), Present: reply.Answer.Present,
	}
	if 0 < asked.Size && int64(asked.Size) < f.size() {
		a.Consistency, err = f.Consistency(ctx, asked.Size, uint64(f.size()))
	}
	return &ktlog.Reply{Answer: a, Record: reply.Record}, err
}

// Head is its newest checkpoint.
func (f *forger) Head(ctx context.Context, known uint64) (*ktlog.Head, error) {
	inclusion, err := tlog.ProveRecord(f.size(), 0, f)
	if err != nil {
		return nil, err
	}
	last, err := tlog.ProveRecord(f.size(), f.size()-1, f)
	if err != nil {
		return nil, err
	}
	h := &ktlog.Head{Checkpoint: f.checkpoint(), Inclusion: bytes32(inclusion), Root: f.last, Last: bytes32(last)}
	if 0 < known && int64(known) < f.size() {
		h.Consistency, err = f.Consistency(ctx, known, uint64(f.size()))
	}
	return h, err
}

// Consistency proves what the forger has not forged: its log only grows.
func (f *forger) Consistency(_ context.Context, from, to uint64) ([][32]byte, error) {
	proof, err := tlog.ProveTree(int64(to), int64(from), f)
	return bytes32(proof), err
}

func bytes32[L ~[]tlog.Hash](list L) (out [][32]byte) {
	for _, h := range list {
		out = append(out, h)
	}
	return out
}

// updates shows an auditor the forged log.
func (f *forger) updates(to *front) {
	lie(to, posthornv1connect.TransparencyServiceGetUpdatesProcedure, func(q *posthornv1.GetUpdatesRequest, a *posthornv1.GetUpdatesResponse) {
		a.Checkpoint, a.Epochs = f.checkpoint(), nil
		for i := q.GetEpoch(); i < uint64(f.size()); i++ {
			epoch := &posthornv1.LogEpoch{Root: f.entries[i].Entry}
			for _, u := range f.entries[i].Updates {
				epoch.Updates = append(epoch.Updates, u.Marshal())
			}
			a.Epochs = append(a.Epochs, epoch)
		}
	})
}

// TestA25RootSwappedForOneEpoch: one root of the log is over a map in which a
// name belongs to an accomplice; the next is right again. Who knew the name is
// not taken in. Who meets it in that very epoch is, and notices at the next
// look-up; an auditor notices at once.
func TestA25RootSwappedForOneEpoch(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, dave, auditor := o.join("alice"), o.join("dave"), o.join("auditor")
	victim, accomplice := o.puppet("victim"), o.puppet("accomplice")
	alice.must("send", "@victim", "hello")
	auditor.must("transparency", "audit")
	f := newForger(o)
	honest := f.m
	f.claim(kt.RecordOf("victim", accomplice.roster), 0, kt.Value{})
	f.epoch()
	swapped := map[account.Name]*account.Roster{"victim": accomplice.roster}

	alice.front.sees(f, swapped)
	alice.refuses("V-191", "send", "@victim", "not for the accomplice")
	o.convicts(alice, "answer", "V-191")
	alice.wroteOnlyTo(victim)

	auditor.front.sees(f, nil)
	f.updates(auditor.front)
	auditor.refused(4, "V-196", "transparency", "audit")
	o.convicts(auditor, "audit", "V-196")
	auditor.refused(4, "V-196", "transparency", "audit")
	o.convicts(auditor, "audit", "V-196") // the same file

	dave.front.sees(f, swapped)
	dave.must("send", "@victim", "taken in")
	f.m = honest
	delete(f.claims, "victim")
	f.epoch()
	dave.front.sees(f, nil)
	dave.refuses("V-191", "send", "@victim", "never again")
	o.convicts(dave, "answer", "V-191")
	dave.wroteOnlyTo(accomplice)
}

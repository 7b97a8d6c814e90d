package liar

import (
	"context"
	"testing"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/api/posthorn/v1/posthornv1connect"
	"github.com/posthorn/posthorn/kt"
	ktlog "github.com/posthorn/posthorn/kt/log"
)

// view is a log as a client is shown it.
type view interface {
	Answer(ctx context.Context, name account.Name, asked ktlog.Asked) (*ktlog.Reply, error)
	Head(ctx context.Context, known uint64) (*ktlog.Head, error)
	Consistency(ctx context.Context, from, to uint64) ([][32]byte, error)
}

// sees shows a client another log than the server's, and of some names other
// rosters.
func (f *front) sees(v view, rosters map[account.Name]*account.Roster) {
	lie(f, posthornv1connect.DirectoryServiceGetAccountProcedure, func(q *posthornv1.GetAccountRequest, a *posthornv1.GetAccountResponse) {
		known := q.GetKnown()
		if a.Name == "" {
			a.Name = q.GetName() // the honest server gave no answer
		}
		if roster := rosters[account.Name(a.GetName())]; roster != nil {
			id := roster.ID()
			a.AccountId, a.Statements = id[:], roster.Statements()
		}
		if known == nil {
			return
		}
		reply, err := v.Answer(context.Background(), account.Name(a.GetName()), ktlog.Asked{Size: known.GetSize(), Known: known.Version != nil, Version: known.GetVersion()})
		if err != nil {
			f.t.Errorf("the other log: %v", err)
			return
		}
		a.Proof, a.Padding = reply.Answer.Marshal(), nil
	})
	lie(f, posthornv1connect.TransparencyServiceGetHeadProcedure, func(q *posthornv1.GetHeadRequest, a *posthornv1.GetHeadResponse) {
		h, err := v.Head(context.Background(), q.GetKnownSize())
		if err != nil {
			f.t.Errorf("the other log: %v", err)
			return
		}
		a.Checkpoint, a.Consistency, a.ConfigInclusion = h.Checkpoint, slices32(h.Consistency), slices32(h.Inclusion)
		a.Root, a.RootInclusion = h.Root.Marshal(), slices32(h.Last)
	})
	lie(f, posthornv1connect.TransparencyServiceGetConsistencyProcedure, func(q *posthornv1.GetConsistencyRequest, a *posthornv1.GetConsistencyResponse) {
		proof, err := v.Consistency(context.Background(), q.GetFrom(), q.GetTo())
		if err != nil {
			f.t.Errorf("the other log: %v", err)
			return
		}
		a.Proof = slices32(proof)
	})
}

func slices32(hashes [][32]byte) (out [][]byte) {
	for _, h := range hashes {
		out = append(out, h[:])
	}
	return out
}

// TestA25SplitViewByGossip: two clients are shown two logs, both signed with the
// log's keys and each right in itself. The first message from one to the other
// brings it out, whether the logs are of one size or not.
func TestA25SplitViewByGossip(t *testing.T) {
	t.Parallel()
	for name, more := range map[string][]account.Name{"of one size": nil, "of two sizes": {"dave", "erin"}} {
		t.Run(name, func(t *testing.T) {
			o := newOperator(t, nil)
			alice, bob, victim := o.join("alice"), o.join("bob"), o.puppet("victim")
			ghost, key := newDevice(t)
			haunted := victim.adds(ghost, key)
			other := o.fork()
			publish(t, other, kt.RecordOf("victim", haunted))
			for _, one := range more {
				publish(t, other, newPuppet(t, one).record())
			}
			o.join("carol") // the log that alice sees goes on too
			bob.front.sees(other, map[account.Name]*account.Roster{"victim": haunted})
			bob.must("read") // nothing to notice yet
			bob.hasNoEvidence()
			alice.must("send", "@bob", "what do you see?")
			bob.must("read")
			o.convicts(bob, "fork", "V-186")
			bob.refuses("V-186", "send", "@victim", "not for ghosts")
			if got := bob.front.envelopes(); containsDevice(got, victim, ghost.ID) {
				t.Error("an envelope for the ghost")
			}
		})
	}
}

func containsDevice(list []string, p *puppet, device account.DeviceID) bool {
	id := p.roster.ID()
	for _, to := range list {
		if to == recipient(id[:], device[:]) {
			return true
		}
	}
	return false
}

// TestA25V186SplitViewToOneClient: a client that has seen one log is shown
// another, as long as that or longer.
func TestA25V186SplitViewToOneClient(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, dave, victim := o.join("alice"), o.join("dave"), o.puppet("victim")
	other := o.fork()
	o.join("bob") // now the two differ
	ghost, key := newDevice(t)
	haunted := victim.adds(ghost, key)
	for _, p := range []*person{alice, dave} {
		p.must("send", "@victim", "hello")
		publish(t, other, kt.RecordOf("victim", haunted)) // for alice as long, for dave longer
		p.front.sees(other, map[account.Name]*account.Roster{"victim": haunted})
		p.refuses("V-186", "send", "@victim", "not for ghosts")
		o.convicts(p, "fork", "V-186")
		p.front.honest()
		p.refuses("V-186", "send", "@victim", "the alarm stays")
		p.wroteOnlyTo(victim)
		haunted = victim.roster
	}
}

// TestA26V185Rollback: the log of an older backup.
func TestA26V185Rollback(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	backup := o.fork()
	o.join("bob")
	alice.must("send", "@victim", "hello")
	alice.front.sees(backup, nil)
	alice.refuses("V-185", "send", "@victim", "not under an old log")
	o.convicts(alice, "answer", "V-185")
	alice.front.honest()
	alice.must("send", "@victim", "and on we go")
	alice.wroteOnlyTo(victim)
}

// TestA26V184FrozenHead: nothing new is signed for a day. Up to then the client
// goes on.
func TestA26V184FrozenHead(t *testing.T) {
	t.Parallel()
	o := newOperator(t, nil)
	alice, victim := o.join("alice"), o.puppet("victim")
	alice.must("send", "@victim", "hello")
	alice.move(23 * hour)
	alice.must("send", "@victim", "23 hours on")
	alice.move(25 * hour)
	alice.refuses("V-184", "send", "@victim", "25 hours on")
	o.convicts(alice, "answer", "V-184")
	early := o.join("early")
	early.must("send", "@victim", "hello")
	early.move(-25 * hour)
	early.refuses("V-184", "send", "@victim", "25 hours too early")
	early.hasNoEvidence() // no log signs what is to come: the clock is wrong
	alice.wroteOnlyTo(victim)
}

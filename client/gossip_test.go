package client

import (
	"testing"

	"github.com/posthorn/posthorn/api"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/server/store/memory"
)

// TestOnlyTheServerDeniesASize: a proxy on the way that does not pass a call on
// raises no alarm.
func TestOnlyTheServerDeniesASize(t *testing.T) {
	for err, want := range map[*transport.Error]bool{
		{Err: transport.ErrRefused, Reason: api.ReasonBadRequest}: true,
		{Err: transport.ErrRefused}:                               false,
		{Err: transport.ErrServer, Reason: api.ReasonBadRequest}:  false,
		{Err: transport.ErrOffline}:                               false,
	} {
		if deniesSize(err) != want {
			t.Errorf("%v %q denies a size: %v", err.Err, err.Reason, !want)
		}
	}
}

// TestHeadThatCannotBeComparedIsKept: a server that has shown two logs does not
// get rid of a contact's head by an answer that proves nothing.
func TestHeadThatCannotBeComparedIsKept(t *testing.T) {
	tn := newTown(t)
	alice, bob := tn.person("alice"), tn.person("bob")
	tn.person("carol") // the log that alice sees has more entries
	other := tn.serve(tn.office.store, memory.New())
	tn.liars[bob].shows(other)
	if err := bob.ForgetLog(tn.ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := bob.CheckName(tn.ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	tn.liars[bob].heads(func(m *posthornv1.GetHeadResponse) { m.Checkpoint = m.Checkpoint[1:] })
	tn.say(alice, bob, "hello")
	tn.sync(bob)
	tn.wantUnread(bob, "hello")
	heard := func() (rows []localdb.Heard) {
		t.Helper()
		if err := bob.view(tn.ctx, func(tx *localdb.Tx) (err error) {
			rows, err = tx.Heard()
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if rows := heard(); len(rows) != 1 || rows[0].Account != alice.profile.Account {
		t.Fatalf("%d heads wait to be compared", len(rows))
	}
	if view, err := bob.Log(tn.ctx); err != nil || view.Alarm != "" {
		t.Fatalf("an alarm over nothing: %+v, %v", view, err)
	}
	tn.liars[bob].heads(nil)
	if err := bob.update(tn.ctx, func(tx *localdb.Tx) error { // an hour later
		row, err := tx.Log()
		row.AskedAt = 0
		if err == nil {
			err = tx.PutLog(row)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	tn.sync(bob)
	view, err := bob.Log(tn.ctx)
	if err != nil || view.Alarm == "" {
		t.Fatalf("no alarm: %+v, %v", view, err)
	}
	tn.wantEvidence(&LogError{Evidence: view.Alarm}, "V-186")
	if rows := heard(); len(rows) != 0 {
		t.Errorf("%d heads wait after the alarm", len(rows))
	}
}

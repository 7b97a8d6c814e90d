package client

import (
	"crypto/rand"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	posthornv1 "github.com/posthorn/posthorn/api/posthorn/v1"
	"github.com/posthorn/posthorn/client/transport"
)

// changesOwnRoster makes the next statement of an account at the server, as
// another device of it would at this moment.
func (tn *town) changesOwnRoster(of *Client, roster *account.Roster) *account.Roster {
	tn.t.Helper()
	key, _ := account.GenerateSigningKey(of.entropy.Read)
	author := account.Author{Device: &of.profile.Device, Key: of.key}
	server, err := transport.New(tn.office.url, transport.Device{Account: of.profile.Account, ID: of.profile.Device, Key: of.key}, transport.Options{})
	if err != nil {
		tn.t.Fatal(err)
	}
	defer server.Close()
	s, err := roster.Propose(author, nil, millis(time.Now()), rand.Reader, account.SetRecovery{Key: key.Public()})
	if err == nil {
		err = server.UpdateRoster(tn.ctx, s.Marshal(), nil)
	}
	if err == nil {
		roster, err = roster.Apply(s)
	}
	if err != nil {
		tn.t.Error(err)
	}
	return roster
}

// TestOwnNameThatGoesOnDuringTheLook: a version that is published between the
// proof and the history that is asked for it is no lie.
func TestOwnNameThatGoesOnDuringTheLook(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	roster, err := account.ReplayRoster(alice.profile.Statements)
	if err != nil {
		t.Fatal(err)
	}
	if err := alice.ForgetLog(tn.ctx); err != nil { // so that the history is asked for
		t.Fatal(err)
	}
	tn.liars[alice].about("alice", func(*posthornv1.GetAccountResponse) {
		if roster.Seq() == 0 {
			roster = tn.changesOwnRoster(alice, roster)
		}
	})
	if err := alice.CheckOwnName(tn.ctx); err != nil {
		t.Errorf("an honest server: %v", err)
	}
	if err := alice.CheckOwnName(tn.ctx); err != nil {
		t.Errorf("an honest server, at the next look: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(alice.home, EvidenceFolder, "*")); len(files) > 0 {
		t.Errorf("evidence against an honest server: %v", files)
	}
	if watched, err := alice.label(tn.ctx, ownLabel); err != nil || watched == nil || watched.Version != 1 {
		t.Errorf("watched up to %+v, %v", watched, err)
	}
}

// TestOwnNameKeptBackIsTold: who lets mail through and no look at the own name is
// noticed after a day.
func TestOwnNameKeptBackIsTold(t *testing.T) {
	tn := newTown(t)
	alice := tn.person("alice")
	tn.liars[alice].withholds(true)
	look := func(age time.Duration) string {
		t.Helper()
		tn.provedBefore(alice, ownLabel, age)
		alice.watch.due = time.Time{}
		if err := alice.watchOwnName(tn.ctx); err != nil {
			t.Fatalf("mail does not go on: %v", err)
		}
		texts, err := alice.Notices(tn.ctx)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(texts, "\n")
	}
	const words = "what the server's log says of your own name"
	if told := look(23 * time.Hour); strings.Contains(told, words) {
		t.Errorf("told after 23 hours: %q", told)
	}
	if told := look(25 * time.Hour); !strings.Contains(told, words) {
		t.Errorf("not told after 25 hours: %q", told)
	}
	if told := look(25 * time.Hour); strings.Contains(told, words) {
		t.Errorf("told again at once: %q", told)
	}
	if next := time.Until(alice.watch.due); next > ownCheckRetry {
		t.Errorf("the next look is in %v", next)
	}
}

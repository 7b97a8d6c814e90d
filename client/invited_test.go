package client

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/invite"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store/memory"
)

// closedOffice is a server that makes accounts by invite only. Its function
// makes an invite.
func closedOffice(t *testing.T) (newLink func() invite.Link) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv, ended := server.New(memory.New(), server.Options{}), make(chan error, 1)
	go func() { ended <- srv.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return func() invite.Link {
		_, token, err := srv.CreateInvite(t.Context(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return invite.Link{Server: "http://" + l.Addr().String(), Token: token}
	}
}

func homeOf(t *testing.T, name string) Config { return testConfig(filepath.Join(t.TempDir(), name)) }

// A person whose name was taken at the last moment goes on with the same keys,
// for which the server may have noted the invite.
func TestAnInvitedPersonKeepsTheirKeysForAnotherName(t *testing.T) {
	newLink := closedOffice(t)
	link := newLink()
	alice, err := RegisterInvited(t.Context(), homeOf(t, "alice"), "alice", newLink())
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	cfg := homeOf(t, "bob")
	if _, err := RegisterInvited(t.Context(), cfg, "alice", link); !errors.Is(err, ErrNameTaken) {
		t.Fatalf("%v", err)
	}
	keys := unfinishedKeys(t, cfg, link)
	bob, err := RegisterInvited(t.Context(), cfg, "bob", link)
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	if bob.profile.Account != keys || bob.Name() != "bob" {
		t.Error("the second attempt made other keys")
	}
}

// The server died after it had noted the invite. A retry with a wrong link is
// refused, as is one without any, under another name, or to another server, and
// the right one still makes the account.
func TestAWrongInviteLeavesTheKeysOfAnEarlierAttempt(t *testing.T) {
	newLink := closedOffice(t)
	link, used := newLink(), newLink()
	alice, err := RegisterInvited(t.Context(), homeOf(t, "alice"), "alice", used)
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	cfg := homeOf(t, "bob")
	// A taken name, like a crash, ends an attempt that may have cost the invite.
	if _, err := RegisterInvited(t.Context(), cfg, "alice", link); !errors.Is(err, ErrNameTaken) {
		t.Fatalf("%v", err)
	}
	keys := unfinishedKeys(t, cfg, link)
	for _, wrong := range []invite.Link{used, {Server: link.Server}} {
		if _, err := RegisterInvited(t.Context(), cfg, "bob", wrong); !errors.Is(err, ErrInviteUsed) && !errors.Is(err, ErrInviteUnknown) {
			t.Fatalf("%v", err)
		}
	}
	for _, name := range []account.Name{"bob", "carol"} {
		if _, err := Register(t.Context(), cfg, name, link.Server); !errors.Is(err, ErrRegistrationClosed) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if _, err := RegisterInvited(t.Context(), cfg, "bob", invite.Link{Server: closedOffice(t)().Server}); !errors.Is(err, ErrInviteUnknown) {
		t.Fatalf("at another server: %v", err)
	}
	bob, err := RegisterInvited(t.Context(), cfg, "bob", link)
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	if bob.profile.Account != keys {
		t.Error("the keys of the first attempt are gone")
	}
}

// unfinishedKeys is the account that an interrupted registration is making.
func unfinishedKeys(t *testing.T, cfg Config, link invite.Link) account.ID {
	t.Helper()
	db, _, err := unfinished(t.Context(), cfg, goal{name: "bob", server: link.Server, invite: &link})
	if err != nil {
		t.Fatal(err)
	}
	begun, err := attach(cfg, db)
	if err != nil {
		t.Fatal(err)
	}
	if err := begun.Close(); err != nil {
		t.Fatal(err)
	}
	return begun.profile.Account
}

// Each reason for which a closed server lets somebody not in has its error, and
// leaves no profile.
func TestRefusedInvites(t *testing.T) {
	newLink := closedOffice(t)
	used := newLink()
	alice, err := RegisterInvited(t.Context(), homeOf(t, "alice"), "alice", used)
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	for want, try := range map[error]func(Config, account.Name) (*Client, error){
		ErrInviteUsed: func(c Config, n account.Name) (*Client, error) { return RegisterInvited(t.Context(), c, n, used) },
		ErrInviteUnknown: func(c Config, n account.Name) (*Client, error) {
			return RegisterInvited(t.Context(), c, n, invite.Link{Server: used.Server})
		},
		ErrRegistrationClosed: func(c Config, n account.Name) (*Client, error) { return Register(t.Context(), c, n, used.Server) },
	} {
		cfg := homeOf(t, "eve")
		if _, err := try(cfg, "eve"); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
		if _, err := Open(cfg); !errors.Is(err, ErrNoProfile) {
			t.Errorf("after %v a profile is left: %v", want, err)
		}
	}
}

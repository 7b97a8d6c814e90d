package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
)

// catchUp is how long a command that only shows something talks to the server
// before it shows what it has.
const catchUp = 5 * time.Second

// config describes the profile to the engine. A passphrase file says that no
// key store is wanted.
func (a *app) config() client.Config {
	cfg := client.Config{
		Home:        a.home,
		Passphrase:  a.passphrase,
		UseKeyStore: os.Getenv(passphraseFile) == "",
	}
	if a.verbose {
		cfg.Log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return cfg
}

// withProfile opens the profile, runs do, passes on what the user must be told
// once, and closes the profile again.
func (a *app) withProfile(ctx context.Context, do func(*client.Client) error) error {
	c, err := a.open(ctx)
	if err != nil {
		return err
	}
	err = c.ProveRemoval(ctx, do(c))
	return errors.Join(err, a.notices(ctx, c), c.Close())
}

// withServer is withProfile for a command that has nothing to do without the
// server: on a device that was removed it says so and asks nobody.
func (a *app) withServer(ctx context.Context, do func(*client.Client) error) error {
	return a.withProfile(ctx, func(c *client.Client) error {
		if err := c.Belongs(ctx); err != nil {
			return err
		}
		return do(c)
	})
}

// lockPatience is how long a command waits for another one to let go of the
// profile: longer than a short command takes, shorter than anybody waits.
const lockPatience = time.Second

// open opens the profile. Commands that follow each other closely wait for
// each other; a program that stays is not waited for.
func (a *app) open(ctx context.Context) (*client.Client, error) {
	for end := time.Now().Add(lockPatience); ; {
		c, err := client.Open(a.config())
		if !errors.Is(err, client.ErrLocked) || time.Now().After(end) {
			return c, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// notices prints what happened to earlier commands' messages since. It runs
// after an interrupt too, so that nothing taken from the profile is lost.
func (a *app) notices(ctx context.Context, c *client.Client) error {
	notices, err := c.Notices(context.WithoutCancel(ctx))
	for _, n := range notices {
		a.say("note", n)
	}
	return err
}

// refresh exchanges what waits with the server, for a few seconds at most. A
// server out of reach is no failure of a command that only shows something.
func refresh(ctx context.Context, c *client.Client) error {
	brief, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	err := c.Sync(brief)
	if ctx.Err() == nil && (errors.Is(err, client.ErrOffline) || errors.Is(err, client.ErrServer) || errors.Is(err, context.DeadlineExceeded)) {
		return nil
	}
	return err
}

// showing brings the profile up to date, as refresh does, and then shows what is
// in it, whatever came of that: a server that lets this device in no more, rightly
// or not, takes nothing away that was received. removed says that it was rightly.
func (a *app) showing(ctx context.Context, c *client.Client, show func(removed bool) error) error {
	synced := refresh(ctx, c)
	if ctx.Err() != nil {
		return synced
	}
	removed := errors.Is(synced, client.ErrRemoved)
	if err := show(removed); err != nil {
		return err
	}
	if !removed {
		return synced
	}
	a.sayRemoved()
	return nil
}

// find asks for a name that this profile has nothing to do with. A device that
// was removed cannot ask.
func find(ctx context.Context, c *client.Client, name account.Name) error {
	if err := c.Belongs(ctx); err != nil {
		return err
	}
	return c.Find(ctx, name)
}

// removedHint is the next step on a device that was removed.
const removedHint = "'posthorn read --all' shows what it has received; to write again, make this machine a new device with 'posthorn device link' and another --home"

// sayRemoved comes after what a removed device shows.
func (a *app) sayRemoved() {
	a.say("note", client.ErrRemoved.Error())
	a.say("hint", removedHint)
}

// parsePeer reads the name of somebody else, with or without its @.
func parsePeer(arg string) (account.Name, error) {
	return account.ParseName(strings.TrimPrefix(arg, "@"))
}

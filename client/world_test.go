package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client/localdb"
	"github.com/posthorn/posthorn/client/transport"
	"github.com/posthorn/posthorn/content"
	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/pq3"
)

// TestMain fails the package when a goroutine outlives its test.
func TestMain(m *testing.M) {
	machine.Wide(6)
	machine.Leakless(m)
}

// world is a real server on loopback and the people who use it.
type world struct {
	t      *testing.T
	ctx    context.Context
	office *office
	homes  map[*Client]Config
}

// newWorld is for tests that may run beside others: they mostly wait.
func newWorld(t *testing.T) *world {
	t.Parallel()
	return newWorldAlone(t)
}

// newWorldAlone is for tests that measure the whole process.
func newWorldAlone(t *testing.T) *world {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	t.Cleanup(cancel)
	return &world{t: t, ctx: ctx, office: openOffice(t), homes: map[*Client]Config{}}
}

func testConfig(home string) Config {
	return Config{
		Home:       home,
		Passphrase: func(bool) ([]byte, error) { return []byte("correct horse"), nil },
		KDF:        cheapKDF,
	}
}

// person registers a name on a new profile.
func (w *world) person(name account.Name) *Client {
	return w.personWith(name, testConfig(filepath.Join(w.t.TempDir(), string(name))))
}

func (w *world) personWith(name account.Name, cfg Config) *Client {
	w.t.Helper()
	c, err := Register(w.ctx, cfg, name, w.office.url)
	if err != nil {
		w.t.Fatalf("register %s: %v", name, err)
	}
	w.adopt(c, cfg)
	return c
}

func (w *world) adopt(c *Client, cfg Config) {
	w.homes[c] = cfg
	w.t.Cleanup(func() {
		if _, open := w.homes[c]; open {
			if err := c.Close(); err != nil {
				w.t.Errorf("close: %v", err)
			}
		}
	})
}

// restart closes a profile and opens it again, as a new process would.
func (w *world) restart(c *Client) *Client {
	w.t.Helper()
	cfg := w.homes[c]
	delete(w.homes, c)
	if err := c.Close(); err != nil {
		w.t.Fatalf("close: %v", err)
	}
	again, err := Open(cfg)
	if err != nil {
		w.t.Fatalf("open: %v", err)
	}
	w.adopt(again, cfg)
	return again
}

// say sends a text that the server must accept at once.
func (w *world) say(from, to *Client, text string) content.ID {
	w.t.Helper()
	sent, err := from.Send(w.ctx, to.Name(), text)
	if err != nil || !sent.Accepted {
		w.t.Fatalf("send %q: accepted %v, %v", text, sent.Accepted, err)
	}
	return sent.ID
}

// seal prepares a text without transmitting it.
func (w *world) seal(from, to *Client, text string) {
	w.t.Helper()
	p, err := from.findByName(w.ctx, to.Name())
	if err == nil {
		err = from.sealText(w.ctx, p, from.newMessage(content.Text{Text: text}, time.Now()))
	}
	if err != nil {
		w.t.Fatalf("seal %q: %v", text, err)
	}
}

// take reads the untransmitted envelopes and counts them as transmitted, so
// that the test decides what becomes of them.
func (w *world) take(c *Client) []localdb.Outgoing {
	w.t.Helper()
	rows, err := c.pending(w.ctx, nil)
	if err == nil {
		accepted := slices.Repeat([]transport.Outcome{transport.Accepted}, len(rows))
		err = c.record(w.ctx, rows, accepted)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return rows
}

// post transmits envelopes in the order given, as the device of c.
func (w *world) post(c *Client, rows ...localdb.Outgoing) {
	w.t.Helper()
	outcomes, err := c.server.Send(w.ctx, envelopes(rows))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, o := range outcomes {
		if o != transport.Accepted {
			w.t.Fatalf("outcome %v", o)
		}
	}
}

// again is an envelope with the same payload under a new id.
func again(row localdb.Outgoing) localdb.Outgoing {
	_, _ = rand.Read(row.Envelope[:])
	return row
}

// forged is an envelope to somebody with a payload of the test's making.
func forged(to *Client, payload []byte) localdb.Outgoing {
	return again(localdb.Outgoing{Account: to.profile.Account, Device: to.profile.Device, Payload: payload})
}

func (w *world) sync(people ...*Client) {
	w.t.Helper()
	for _, c := range people {
		if err := c.Sync(w.ctx); err != nil {
			w.t.Fatalf("sync %s: %v", c.Name(), err)
		}
	}
}

// settleAll syncs everybody until nothing moves any more.
func (w *world) settleAll(people ...*Client) {
	w.t.Helper()
	for range 4 {
		w.sync(people...)
	}
}

// unread returns the new texts and marks them shown.
func (w *world) unread(c *Client) (texts []string) {
	w.t.Helper()
	messages, err := c.Inbox(w.ctx, Filter{})
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []content.ID
	for _, m := range messages {
		texts, ids = append(texts, m.Text), append(ids, m.ID)
	}
	if err := c.MarkShown(w.ctx, ids...); err != nil {
		w.t.Fatal(err)
	}
	return texts
}

func (w *world) wantUnread(c *Client, want ...string) {
	w.t.Helper()
	if got := w.unread(c); !slices.Equal(got, want) {
		w.t.Fatalf("%s has unread %q, want %q", c.Name(), got, want)
	}
}

// befriended makes two people who have written to each other, with nothing in
// flight.
func (w *world) befriended() (alice, bob *Client) {
	w.t.Helper()
	alice, bob = w.person("alice"), w.person("bob")
	w.introduce(alice, bob)
	return alice, bob
}

func (w *world) introduce(alice, bob *Client) {
	w.t.Helper()
	w.say(alice, bob, "hello")
	w.sync(bob)
	w.say(bob, alice, "hello yourself")
	w.settleAll(alice, bob)
	w.unread(alice)
	w.unread(bob)
}

// device is the conversation of from with the one device of to.
func (w *world) device(from, to *Client) DeviceSession {
	w.t.Helper()
	v, err := from.Sessions(w.ctx, to.Name())
	if err != nil || len(v.Devices) != 1 {
		w.t.Fatalf("sessions: %+v, %v", v, err)
	}
	return v.Devices[0]
}

func (w *world) read(c *Client, f func(*localdb.Tx) error) {
	w.t.Helper()
	if err := c.view(w.ctx, f); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(c *Client, f func(*localdb.Tx) error) {
	w.t.Helper()
	if err := c.update(w.ctx, f); err != nil {
		w.t.Fatal(err)
	}
}

// sessionRows is everything stored about sessions, as bytes to compare.
func (w *world) sessionRows(c *Client) []byte {
	w.t.Helper()
	var b bytes.Buffer
	w.read(c, func(tx *localdb.Tx) error {
		rows, err := tx.AllSessions()
		for _, r := range rows {
			skipped, err := tx.Skipped(r.Device, r.ID)
			fmt.Fprintf(&b, "%x %x %x %x %d %d %v\n", r.Device, r.ID, []byte(r.State), skipped, r.StartTime, r.SupersededAt, err)
		}
		waiting, err2 := tx.AllWaiting()
		fmt.Fprintf(&b, "%d waiting", len(waiting))
		return errors.Join(err, err2)
	})
	return b.Bytes()
}

// outgoing lists every envelope row towards a device, transmitted or not.
func (w *world) outgoing(from, to *Client) (rows []localdb.Outgoing) {
	w.t.Helper()
	w.read(from, func(tx *localdb.Tx) (err error) {
		rows, err = tx.UnacknowledgedOutgoing(to.profile.Device)
		return err
	})
	return rows
}

// notices takes the notices and fails when there is none.
func (w *world) notices(c *Client) []string {
	w.t.Helper()
	texts, err := c.Notices(w.ctx)
	if err != nil || len(texts) == 0 {
		w.t.Fatalf("notices %q, %v", texts, err)
	}
	return texts
}

// party is the public side of a client's device.
func party(c *Client) account.Party { return c.me.Party() }

// wantRefused fails unless a check has refused exactly n deliveries.
func (w *world) wantRefused(c *Client, check string, n int) {
	w.t.Helper()
	if got := c.Refusals()[check]; got != n {
		w.t.Fatalf("%s refused %d times, want %d (all: %v)", check, got, n, c.Refusals())
	}
}

// running keeps a client connected until the test ends.
func (w *world) running(c *Client) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("run: %v", err)
		}
	})
}

// eventually waits for a condition that a running client brings about.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within five minutes: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// captureLog is a logger that keeps everything at every level.
func captureLog(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// shortPolicy makes rekeys due after a moment.
func shortPolicy(every time.Duration) pq3.Policy { return pq3.Policy{Every: every} }

package bus_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/bus"
	"github.com/posthorn/posthorn/server/bus/bustest"
)

func TestMain(m *testing.M) { machine.Leakless(m) }

// inbox is a node that keeps what it gets.
type inbox struct {
	mu        sync.Mutex
	got       []string
	disturbed int
	slow      chan struct{} // receiving waits until it is closed
}

func (i *inbox) Receive(message []byte) {
	if i.slow != nil {
		<-i.slow
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.got = append(i.got, string(message))
}

func (i *inbox) Disturbed() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.disturbed++
}

// but is what it got beside one text.
func (i *inbox) but(text string) (rest []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, m := range i.got {
		if m != text {
			rest = append(rest, m)
		}
	}
	return rest
}

func (i *inbox) state() (got, disturbed int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.got), i.disturbed
}

// diary is a log that may be read while it is written.
type diary struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.String()
}

// join connects a node, and closes it when the test ends.
func join(t *testing.T, o bus.Options, node string, in bus.Receiver) *bus.NATS {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	b, err := bus.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Join(node, in); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// until waits for something to become true.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not within three minutes: " + what)
		}
	}
}

func TestMessagesGoWhereTheyAreSent(t *testing.T) {
	nats := bustest.Start(t)
	o := bus.Options{URL: nats.URL()}
	var one, two, three inbox
	a, b := join(t, o, "one", &one), join(t, o, "two", &two)
	join(t, o, "three", &three)
	until(t, "all are up", func() bool { return a.Up() && b.Up() })
	const ready = "subscriptions are through"
	until(t, ready, func() bool {
		a.Broadcast([]byte(ready))
		b.Broadcast([]byte(ready))
		n1, _ := one.state()
		n2, _ := two.state()
		n3, _ := three.state()
		return n1 > 0 && n2 > 0 && n3 > 0
	})
	for i := range 100 {
		a.Send("two", fmt.Appendf(nil, "%d", i))
	}
	a.Broadcast([]byte("all"))
	b.Send("one", []byte("back"))
	until(t, "all arrives", func() bool {
		return len(one.but(ready)) == 1 && len(two.but(ready)) == 101 && len(three.but(ready)) == 1
	})
	got1, got2, got3 := one.but(ready), two.but(ready), three.but(ready)
	if got1[0] != "back" || got3[0] != "all" || got2[99] != "99" && got2[100] != "99" {
		t.Errorf("one has %q, three %q", got1, got3)
	}
	if a.Lost() != 0 {
		t.Errorf("%d were lost on a good day", a.Lost())
	}
}

// A node starts without its bus, reaches it when it comes up, and reaches it
// again after it was away.
func TestBusComesAndGoes(t *testing.T) {
	nats := bustest.Start(t)
	nats.Kill()
	var one, two inbox
	o := bus.Options{URL: nats.URL()}
	a, b := join(t, o, "one", &one), join(t, o, "two", &two)
	if a.Up() {
		t.Fatal("up without a server")
	}
	a.Send("two", []byte("nobody gets this"))
	until(t, "the loss is counted", func() bool { return a.Lost() == 1 })
	nats.Restart()
	until(t, "both are up", func() bool { return a.Up() && b.Up() })
	nats.Kill()
	until(t, "both notice", func() bool { return !a.Up() && !b.Up() })
	nats.Restart()
	until(t, "both are up again", func() bool { return a.Up() && b.Up() })
	until(t, "a message arrives", func() bool {
		a.Send("two", []byte("again"))
		n, _ := two.state()
		return n > 0
	})
	if two.got[0] != "again" {
		t.Errorf("two has %q", two.got)
	}
	until(t, "it is told of three changes", func() bool { _, disturbed := two.state(); return disturbed >= 3 })
}

// A bus that hangs is noticed, and nobody waits for it meanwhile.
func TestBusHangs(t *testing.T) {
	nats := bustest.Start(t)
	var one inbox
	a := join(t, bus.Options{URL: nats.URL()}, "one", &one)
	message, waited := make([]byte, 60<<10), true
	for try := 0; waited && try < 5; try++ { // a machine that is busy for seconds gets more tries
		until(t, "it is up", a.Up)
		before := a.Lost()
		nats.Pause()
		for range 3000 {
			a.Send("two", message) // more than any buffer on the way
		}
		waited = !a.Up()
		until(t, "it is noticed", func() bool { return !a.Up() })
		if n := a.Lost() - before; n < 1000 {
			t.Errorf("%d of 3000 are said to be lost", n)
		}
		nats.Resume()
	}
	if waited {
		t.Error("whoever sends waits until it is noticed that the bus hangs")
	}
}

// Messages that come faster than they are taken are dropped and said to be.
func TestSlowReceiver(t *testing.T) {
	nats := bustest.Start(t)
	one, two := inbox{}, inbox{slow: make(chan struct{})}
	o := bus.Options{URL: nats.URL()}
	a, b := join(t, o, "one", &one), join(t, o, "two", &two)
	until(t, "both are up", func() bool { _, told := two.state(); return a.Up() && b.Up() && told > 0 })
	_, before := two.state()
	until(t, "it is said", func() bool {
		for range 50 {
			a.Send("two", make([]byte, 60<<10))
		}
		_, n := two.state()
		return n > before
	})
	close(two.slow)
	until(t, "what was kept arrives", func() bool { n, _ := two.state(); return n > 0 })
	if !b.Up() {
		t.Error("the connection was given up")
	}
}

// A user's name and password, or credentials in a file, get in; wrong ones never
// show in the log, and are tried again.
func TestPasswordsStaySecret(t *testing.T) {
	nats := bustest.Start(t, "--user", "posthorn", "--pass", "right-canary")
	var log diary
	o := bus.Options{Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	o.URL = strings.Replace(nats.URL(), "nats://", "nats://posthorn:right-canary@", 1)
	good := join(t, o, "one", &inbox{})
	o.URL = strings.Replace(nats.URL(), "nats://", "nats://posthorn:wrong-canary@", 1)
	bad := join(t, o, "two", &inbox{})
	until(t, "the right one is in", good.Up)
	until(t, "the wrong one is refused", func() bool { return strings.Contains(log.String(), "not reached") })
	if bad.Up() {
		t.Error("the wrong password gets in")
	}
	_, err := bus.New(bus.Options{URL: o.URL, Credentials: filepath.Join(t.TempDir(), "none")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing credentials: %v", err)
	}
	if text := log.String() + fmt.Sprint(err); strings.Contains(text, "canary") || strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "reached") {
		t.Errorf("the log: %s", text)
	}
}

func TestAddresses(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:4222", "http://127.0.0.1", "nats://", "nats://a/path", "nats://a?x=1", "nats://a,", "nats://u:canary@[::1"} {
		if _, err := bus.New(bus.Options{URL: url}); !errors.Is(err, bus.ErrAddress) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", url, err)
		}
	}
	for _, url := range []string{"nats://127.0.0.1:4222", "tls://u:p@nats.example:4222", "nats://a,nats://b:1"} {
		if _, err := bus.New(bus.Options{URL: url}); err != nil {
			t.Errorf("%q: %v", url, err)
		}
	}
}

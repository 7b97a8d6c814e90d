package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
	"github.com/posthorn/posthorn/client"
)

// TestServerKilledAtRandomPointsUnderLoad: a real posthornd is killed again
// and again while two devices write to each other as fast as they can. What it
// had accepted is delivered, once.
func TestServerKilledAtRandomPointsUnderLoad(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	server := startDaemon(t)
	alice, bob := enlist(t, "alice", server.url()), enlist(t, "bob", server.url())

	ctx, endLoad := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, pair := range [][2]*engine{{alice, bob}, {bob, alice}} {
		load.Go(func() { pair[0].writeUntil(ctx, pair[1].name) })
		load.Go(func() { _ = pair[0].Run(ctx) })
	}
	for n := range killPoints() {
		if n%4 == 0 { // however slow the machine is, there is a load
			alice.moreAccepted(t, 1)
			bob.moreAccepted(t, 1)
		}
		time.Sleep(time.Duration(random.IntN(250)) * time.Millisecond)
		server.kill()
		server.start()
	}
	alice.moreAccepted(t, leastLoad)
	bob.moreAccepted(t, leastLoad)
	endLoad()
	load.Wait()

	for range 3 {
		alice.syncSoon(t)
		bob.syncSoon(t)
	}
	alice.checkArrivedAt(t, bob)
	bob.checkArrivedAt(t, alice)
}

// engine is a client in this process; the server it talks to is another one.
type engine struct {
	*client.Client
	name account.Name

	mu       sync.Mutex
	accepted map[string]bool
	written  int
}

func enlist(t *testing.T, name account.Name, url string) *engine {
	t.Helper()
	cfg := client.Config{
		Home:       filepath.Join(t.TempDir(), string(name)),
		Passphrase: func(bool) ([]byte, error) { return []byte("load"), nil },
		KDF:        cheapKDF,
	}
	c, err := client.Register(t.Context(), cfg, name, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &engine{Client: c, name: name, accepted: map[string]bool{}}
}

// fastTexts is after how many texts a fast writer takes its time: somebody has to
// read them all.
const fastTexts = 2000

// writeUntil sends numbered texts. A text that the server could not be reached
// for stays in the outbox and goes out later, so it counts as written only.
func (e *engine) writeUntil(ctx context.Context, to account.Name) {
	for i := 0; ctx.Err() == nil; i++ {
		text := fmt.Sprintf("%s %d", e.name, i)
		sent, err := e.Send(ctx, to, text)
		e.mu.Lock()
		e.written++
		e.accepted[text] = err == nil && sent.Accepted
		e.mu.Unlock()
		if errors.Is(err, client.ErrOffline) || i > fastTexts {
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// moreAccepted waits until the server has accepted n more texts at once.
func (e *engine) moreAccepted(t *testing.T, n int) {
	t.Helper()
	before := len(e.acceptedByNow())
	for end := time.Now().Add(patience); len(e.acceptedByNow()) < before+n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %d texts of %s were accepted within %v", n, e.name, patience)
		}
	}
}

// acceptedByNow are the texts that the server has accepted at once.
func (e *engine) acceptedByNow() map[string]bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := map[string]bool{}
	for text, ok := range e.accepted {
		if ok {
			all[text] = true
		}
	}
	return all
}

// syncSoon syncs, with more tries while connections recover.
func (e *engine) syncSoon(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		err := e.Sync(t.Context())
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s cannot sync with the restarted server: %v", e.name, err)
		}
	}
}

// checkArrivedAt: every text the server accepted from e, whether at once or
// from the outbox later, is at the peer exactly once.
func (e *engine) checkArrivedAt(t *testing.T, peer *engine) {
	t.Helper()
	messages, err := peer.Inbox(t.Context(), client.Filter{From: e.name, All: true})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, m := range messages {
		if !m.Outgoing {
			seen[m.Text]++
		}
	}
	confirmed := 0
	for text, ok := range e.accepted {
		if ok {
			confirmed++
		}
		if n := seen[text]; n > 1 || ok && n != 1 {
			t.Errorf("%q arrived %d times (accepted: %v)", text, n, ok)
		}
	}
	if confirmed < leastLoad {
		t.Errorf("only %d texts of %s were accepted: there was no load", confirmed, e.name)
	}
	t.Logf("%s: %d written, %d confirmed at once, %d arrived", e.name, e.written, confirmed, len(seen))
}

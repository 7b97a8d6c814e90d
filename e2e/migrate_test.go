package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
	"github.com/posthorn/posthorn/server/store/postgres"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// migrate runs posthornd migrate on the daemon's folder.
func (d *daemon) migrate(url string, more ...string) result {
	d.t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "posthornd"), append([]string{"migrate", "--data", d.data}, more...)...)
	cmd.Env = append(os.Environ(), "POSTHORN_TO="+url)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run() // the code says it
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// refusesToServe starts the daemon where it must not start, and wants words.
func (d *daemon) refusesToServe(words ...string) {
	d.t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "posthornd"), "serve", "--data", d.data, "--listen", d.address)
	cmd.Env = append(os.Environ(), d.env...)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 {
		d.t.Fatalf("serve: %v\n%s", err, out)
	}
	for _, w := range words {
		if !strings.Contains(string(out), w) {
			d.t.Errorf("%q does not say %q", out, w)
		}
	}
}

// TestServerMovedIntoADatabase: two devices write to each other before, while
// and after their server is moved into PostgreSQL. Nothing that was accepted is
// lost, the server never stops, and it does not start from the old store again.
func TestServerMovedIntoADatabase(t *testing.T) {
	t.Parallel()
	url := pgtest.New(t).URL("postgres")
	server := startDaemon(t)
	alice, bob := enlist(t, "alice", server.url()), enlist(t, "bob", server.url())
	ctx, endLoad := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, pair := range [][2]*engine{{alice, bob}, {bob, alice}} {
		load.Go(func() { pair[0].writeUntil(ctx, pair[1].name) })
		load.Go(func() { _ = pair[0].Run(ctx) })
	}
	alice.moreAccepted(t, 12)
	bob.moreAccepted(t, 12)
	if r := server.migrate(url, "--json"); r.code != 0 || !strings.Contains(r.stdout, `"mailboxes":2,`) {
		t.Errorf("migrate: exit %d, %q, %q", r.code, r.stdout, r.stderr)
	}
	alice.moreAccepted(t, 12)
	bob.moreAccepted(t, 12)
	if r := server.migrate(url); r.code != 1 || !strings.Contains(r.stderr, "runs on a database already") {
		t.Errorf("migrate again: exit %d, %q", r.code, r.stderr)
	}
	endLoad()
	load.Wait()
	server.kill()
	server.refusesToServe("moved into a database", "POSTHORN_STORE")
	server.env = []string{"POSTHORN_STORE=" + url}
	server.start()
	for range 3 {
		alice.syncSoon(t)
		bob.syncSoon(t)
	}
	alice.checkArrivedAt(t, bob)
	bob.checkArrivedAt(t, alice)
	if strings.Contains(server.logs.String(), url) {
		t.Error("the log names the database")
	}
}

// sumOf is what a store holds.
func sumOf(t *testing.T, s interface {
	store.Store
	Walk(context.Context, store.Visitor) error
}) store.Sum {
	t.Helper()
	sum := store.NewSummer()
	if err := s.Walk(t.Context(), sum); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return sum.Sum()
}

// fillStore leaves some megabytes in the store of a data folder.
func fillStore(t *testing.T, data string) store.Sum {
	t.Helper()
	s, err := pebble.Open(filepath.Join(data, "store"), pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for box := range byte(40) {
		if err := s.Create(t.Context(), store.Box{box}, store.Limits{Envelopes: 1000}); err != nil {
			t.Fatal(err)
		}
		var envs []store.Envelope
		for i := range 100 {
			envs = append(envs, store.Envelope{Box: store.Box{box}, Sender: store.Sender{byte(i)}, ID: store.EnvelopeID{box, byte(i)}, Data: make([]byte, 3000), At: time.Now()})
		}
		if _, err := s.Append(t.Context(), envs); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CAS(t.Context(), fmt.Sprint("key", box), 0, []byte("value")); err != nil {
			t.Fatal(err)
		}
	}
	return sumOf(t, s)
}

// TestMoveKilledAtManyPoints: the server is killed in the midst of a move, at
// one point after the other. Until the mark is written, the embedded store is
// whole and the move can be made again into the same database; from then on
// the database is.
func TestMoveKilledAtManyPoints(t *testing.T) {
	t.Parallel()
	cluster := pgtest.New(t)
	whole := timeOfAMove(t, cluster)
	points := machine.Count(3, 4, 9)
	midway := 0
	for n := 0; n < points || midway == 0 && n < points+10; n++ {
		point := whole * time.Duration(n+1) / time.Duration(points-1)
		server := newDaemon(t, filepath.Join(t.TempDir(), "server"))
		if err := os.MkdirAll(server.data, 0o700); err != nil {
			t.Fatal(err)
		}
		want, url := fillStore(t, server.data), cluster.Database(t)
		server.start()
		t.Cleanup(server.kill)
		done := make(chan result, 1)
		go func() { done <- server.migrate(url) }()
		if n == 0 || n >= points {
			begun := time.Now()
			awaitMove(t, url, done) // whatever the measured time says
			point = time.Since(begun)
		} else {
			time.Sleep(point)
		}
		server.kill()
		r := <-done
		if _, err := os.Stat(filepath.Join(server.data, "moved.json")); err == nil {
			t.Logf("killed after %v of %v: moved", point, whole)
		} else {
			t.Logf("killed after %v of %v: not moved", point, whole)
			if underWay(t, url) {
				midway++
			}
			if r.code == 0 {
				t.Errorf("migrate said that it was done: %q", r.stdout)
			}
			server.start()
			if r := server.migrate(url); r.code != 0 {
				t.Errorf("the second move: exit %d, %q", r.code, r.stderr)
			}
			server.kill()
		}
		server.refusesToServe("moved into a database")
		server.env = []string{"POSTHORN_STORE=" + url}
		server.start()
		server.kill()
		s, err := postgres.Open(t.Context(), url, postgres.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sumOf(t, s); got != want && !sameBut(got, want) {
			t.Errorf("killed after %v: the database holds %+v, the store held %+v", point, got, want)
		}
	}
	if midway == 0 {
		t.Error("no kill came in the midst of a move")
	}
}

// awaitMove waits until a move into a database has begun, or is over already.
func awaitMove(t *testing.T, url string, done <-chan result) {
	t.Helper()
	for end := time.Now().Add(patience); len(done) == 0 && !underWay(t, url); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the move did not begin within %v", patience)
		}
	}
}

// underWay reports whether a database says that a move into it has begun and
// not ended.
func underWay(t *testing.T, url string) bool {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var moving string
	if err := conn.QueryRow(t.Context(), `SELECT moving FROM posthorn.about`).Scan(&moving); err != nil {
		return false // there is no such table yet
	}
	return moving != "" && !strings.HasPrefix(moving, "done ")
}

// timeOfAMove is how long a move takes here that nobody disturbs.
func timeOfAMove(t *testing.T, cluster *pgtest.Cluster) time.Duration {
	t.Helper()
	server := newDaemon(t, filepath.Join(t.TempDir(), "server"))
	if err := os.MkdirAll(server.data, 0o700); err != nil {
		t.Fatal(err)
	}
	fillStore(t, server.data)
	server.start()
	defer server.kill()
	start := time.Now()
	if r := server.migrate(cluster.Database(t)); r.code != 0 {
		t.Fatalf("migrate: exit %d, %q", r.code, r.stderr)
	}
	return time.Since(start)
}

// sameBut allows what a server itself keeps in the directory.
func sameBut(got, want store.Sum) bool {
	got.Hash, want.Hash, got.Values, want.Values = [32]byte{}, [32]byte{}, 0, 0
	return got == want
}

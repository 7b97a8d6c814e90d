package bench

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/account"
)

var peers = flag.String("peers", "", "a folder with bench/peers/libsignal.mjs and its npm package; see bench/peers/run")

// peerRounds is how often each row is measured on each side.
const peerRounds = 7

// TestPeers measures libsignal-client in turn with suite PQ3A. Both do the same
// job; neither the algorithms nor the promises are the same: libsignal signs no
// message and rekeys in small pieces, and its figures include Node.
func TestPeers(t *testing.T) {
	if *peers == "" {
		t.Log("nothing measured; bench/peers/run does it")
		return
	}
	other := startPeer(t)
	rows := peerRows()
	t.Log("µs of CPU an operation: ours in PQ3A, libsignal-client 0.103.0 through Node, libsignal over ours")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		t.Log(other.measure(name, rows[name]))
	}
}

// peerRows are our side of the rows that libsignal.mjs knows.
func peerRows() map[string]row {
	const suite = account.PQ3A
	start := startRows(suite)
	rows := map[string]row{"start-seal": start[0], "start-open": start[1]}
	for _, size := range sizes {
		stream := streamRows(suite, size)
		rows[fmt.Sprintf("stream-%d-seal", size)], rows[fmt.Sprintf("stream-%d-open", size)] = stream[0], stream[1]
	}
	turn := turnRows(suite, 100)
	rows["turn-100-seal"], rows["turn-100-open"] = turn[0], turn[1]
	return rows
}

// peer is the Node process.
type peer struct {
	t    *testing.T
	in   io.Writer
	from *bufio.Scanner
}

func startPeer(t *testing.T) *peer {
	cmd := exec.Command("node", "libsignal.mjs")
	cmd.Dir = *peers
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if inErr != nil || outErr != nil {
		t.Fatal(inErr, outErr)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("node: %v", err)
		}
	})
	return &peer{t, in, bufio.NewScanner(out)}
}

// sample runs one row so many times on the other side.
func (p *peer) sample(name string, n int) time.Duration {
	if _, err := fmt.Fprintln(p.in, name, n); err != nil {
		p.t.Fatal(err)
	}
	if !p.from.Scan() {
		p.t.Fatalf("node ended: %v", p.from.Err())
	}
	us, err := strconv.ParseInt(strings.TrimSpace(p.from.Text()), 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(us) * time.Microsecond / time.Duration(n)
}

func (p *peer) measure(name string, r row) string {
	const theirs = 200
	n := repetitions(r.ours)
	p.sample(name, theirs) // let Node compile
	var a, b []measured
	var ratios []float64
	for range peerRounds {
		x, y := sample(r.ours, n), measured{cpu: p.sample(name, theirs)}
		a, b = append(a, x), append(b, y)
		ratios = append(ratios, float64(y.cpu)/float64(x.cpu))
	}
	slices.Sort(ratios)
	return fmt.Sprintf("%-18s %8.1f %8.1f   %5.2f", name, micros(median(a).cpu), micros(median(b).cpu), ratios[len(ratios)/2])
}

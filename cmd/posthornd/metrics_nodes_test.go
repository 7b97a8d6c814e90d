package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server/bus/bustest"
	"github.com/posthorn/posthorn/server/store/postgres/pgtest"
)

// Two nodes tell of each other and of their bus, also when it is gone, under the
// names that the operator's table has.
func TestMetricsOfNodes(t *testing.T) {
	t.Setenv("POSTHORN_STORE", pgtest.Database(t))
	nats, address := bustest.Start(t), machine.Address(t)
	s := start(t, t.TempDir(), "--bus", nats.URL(), "--metrics", address)
	other := start(t, t.TempDir(), "--bus", nats.URL())
	text := ""
	says := func(rows ...string) {
		t.Helper()
		for end := time.Now().Add(testPatience); ; time.Sleep(50 * time.Millisecond) {
			_, text = page(t, address, "/metrics")
			missing := slices.DeleteFunc(slices.Clone(rows), func(row string) bool { return strings.Contains(text, row) })
			if len(missing) == 0 {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("not within %v: %q in\n%s", testPatience, missing, text)
			}
		}
	}
	says("posthorn_bus_up 1\n", "posthorn_nodes_heard 1\n", "posthorn_nodes_others 1\n", "posthorn_bus_refused_total 0\n")
	before := busConnects(t, text)
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	ofNodes := func(name string) bool {
		return strings.HasPrefix(name, "posthorn_bus_") || strings.HasPrefix(name, "posthorn_nodes_")
	}
	others := func(name string) bool { return !ofNodes(name) }
	given, written := slices.DeleteFunc(all(metricHelp, text), others), slices.DeleteFunc(all(metricRow, string(guide)), others)
	if len(given) == 0 || !slices.Equal(given, written) {
		t.Errorf("given out %v\nin docs/operator.md %v", given, written)
	}
	nats.Kill()
	says("posthorn_bus_up 0\n", "posthorn_nodes_heard 0\n")
	nats.Restart()
	says("posthorn_bus_up 1\n", "posthorn_nodes_heard 1\n")
	if now := busConnects(t, text); before < 1 || now <= before {
		t.Errorf("connected %d times, and %d times after the bus was gone", before, now)
	}
	if code := other.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
	says("posthorn_nodes_others 0\n")
	if code := s.end(); code != 0 {
		t.Errorf("exit %d\n%s", code, &s.stderr)
	}
}

// busConnects reads how often a node has connected to the bus: once, or more
// often on a machine so slow that a ping was given up.
func busConnects(t *testing.T, metrics string) (n int) {
	t.Helper()
	_, after, _ := strings.Cut(metrics, "\nposthorn_bus_connects_total ")
	if _, err := fmt.Sscan(after, &n); err != nil {
		t.Fatalf("%v in\n%s", err, metrics)
	}
	return n
}

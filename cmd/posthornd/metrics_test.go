package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
	"github.com/posthorn/posthorn/server"
	"github.com/posthorn/posthorn/server/store/memory"
)

// page reads a page of a second listener; code 0 is no answer.
func page(t *testing.T, address, path string) (code int, body string) {
	t.Helper()
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}).Get("http://" + address + path)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestSecondListener(t *testing.T) {
	address := machine.Address(t)
	s := start(t, t.TempDir(), "--metrics", address)
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n"} {
		if code, body := page(t, address, path); code != 200 || body != want {
			t.Errorf("%s: %d, %q", path, code, body)
		}
	}
	if code, _, complaint := command(t, "health", "--addr", address); code != 0 {
		t.Errorf("health: exit %d, %s", code, complaint)
	}
	main := strings.TrimPrefix(s.url, "http://")
	if code, body := page(t, main, "/metrics"); code != 404 {
		t.Errorf("the public listener shows metrics: %d, %.100s", code, body)
	}
	if code, _ := page(t, main, "/readyz"); code != 200 {
		t.Errorf("readyz of the public listener: %d", code)
	}
	if code, _ := page(t, address, "/posthorn.v1.AuthService/GetChallenge"); code != 404 {
		t.Errorf("the second listener takes calls: %d", code)
	}
	if code := s.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
	if code, _ := page(t, address, "/readyz"); code != 0 {
		t.Errorf("after the end: %d", code)
	}
}

func TestSecondListenerIsForThisMachine(t *testing.T) {
	code, _, complaint := command(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0", "--metrics", "0.0.0.0:0")
	if code != exitUser || !strings.Contains(complaint, "--metrics-anywhere") || !strings.Contains(complaint, "V-90") {
		t.Errorf("exit %d, %s", code, complaint)
	}
	s := start(t, t.TempDir(), "--metrics", "0.0.0.0:0", "--metrics-anywhere")
	if code := s.end(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

// Not ready before the store is open, after its disk has failed, and while the
// server stops.
func TestReadiness(t *testing.T) {
	o := metricsOptions{address: machine.Address(t)}
	w, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	expect := func(when string, ready, healthy int) {
		t.Helper()
		if code, _ := page(t, o.address, "/readyz"); code != ready {
			t.Errorf("%s: readyz %d, want %d", when, code, ready)
		}
		if code, _ := page(t, o.address, "/healthz"); code != healthy {
			t.Errorf("%s: healthz %d, want %d", when, code, healthy)
		}
	}
	expect("before the store", 503, 200)
	s := memory.New()
	missing := fmt.Errorf("a certificate")
	srv := server.New(s, server.Options{Metrics: w.counts, Ready: func() error { return missing }})
	w.follow(srv, s)
	expect("without a certificate", 503, 200)
	missing = nil
	expect("ready", 200, 200)
	l, err := server.Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := srv.Serve(ctx, l); err != nil {
		t.Fatal(err)
	}
	expect("stopped", 503, 200)
	_ = s.Close()
	expect("its store closed", 503, 503)
	if _, text := page(t, o.address, "/metrics"); !strings.Contains(text, "posthorn_store_writable 0") {
		t.Errorf("metrics without a store: %s", text)
	}
}

var (
	metricHelp = regexp.MustCompile(`(?m)^# HELP (posthorn_\w+) `)
	metricRow  = regexp.MustCompile("(?m)^\\| `(posthorn_\\w+)` \\|")
)

// The operator's table of metrics is what the server gives out after a story
// with everything in it.
func TestMetricsTable(t *testing.T) {
	address := machine.Address(t)
	s := start(t, t.TempDir(), "--metrics", address, "--open-registration")
	tellStory(t, s.url)
	_, text := page(t, address, "/metrics")
	for end := time.Now().Add(testPatience); !strings.Contains(text, "posthorn_queued_envelopes 1\n") && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond) // acks are applied in batches
		_, text = page(t, address, "/metrics")
	}
	s.end()
	guide, err := os.ReadFile(filepath.Join("..", "..", "docs", "operator.md"))
	if err != nil {
		t.Fatal(err)
	}
	ofNodes := func(name string) bool {
		return strings.HasPrefix(name, "posthorn_bus_") || strings.HasPrefix(name, "posthorn_nodes_")
	}
	given, written := all(metricHelp, text), slices.DeleteFunc(all(metricRow, string(guide)), ofNodes)
	if !slices.Equal(given, written) {
		t.Errorf("given out %v\nin docs/operator.md %v", given, written)
	}
	for _, want := range []string{
		`posthorn_envelopes_total{step="appended"} 3`, `posthorn_envelopes_total{step="delivered"} 3`, `posthorn_envelopes_total{step="acked"} 2`,
		"posthorn_queued_envelopes 1", "posthorn_mailboxes 2", "posthorn_store_writable 1", `posthorn_payload_bytes_total{direction="in"} 300`,
		`posthorn_calls_total{code="ok",procedure="/posthorn.v1.MailboxService/Send"} 1`, `posthorn_refusals_total{check="V-81"} 1`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if count := regexp.MustCompile(`posthorn_store_sync_seconds_count (\d+)`).FindStringSubmatch(text); count == nil || count[1] == "0" {
		t.Errorf("no sync was timed: %v", count)
	}
}

// all are the sorted names in a text.
func all(pattern *regexp.Regexp, text string) (names []string) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

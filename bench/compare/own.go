//go:build unix

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/posthorn/posthorn/bench/procfs"
	"github.com/posthorn/posthorn/server/store"
	"github.com/posthorn/posthorn/server/store/pebble"
)

// measurement is one of posthornd's own figures, with its bound.
type measurement struct {
	what  string
	bound string
	take  func(ctx context.Context, programs string) (string, error)
}

// measurements are the figures that need no other server.
var measurements = []measurement{
	{"delivery p99 at 1,000 requests a second, over the machine's fdatasync p99", "5, aim 3", steady},
	{"catch-up of 10,000 envelopes of 1 KiB, median of 7", "150 ms", catchUp},
	{"an idle delivery stream over HTTP/2, at 10,000 of them", "35 KB, aim 20", func(ctx context.Context, p string) (string, error) { return idleStreams(ctx, p, false) }},
	{"the same with TLS", "60 KB, aim 35", func(ctx context.Context, p string) (string, error) { return idleStreams(ctx, p, true) }},
	{"p99 of good clients under attack over theirs alone", "2", attacked},
	{"resident memory and start with 1,000,000 mailboxes", "300 MB; 1 s and 5 s", resident},
}

// own prints the table of posthornd's own figures.
func own(ctx context.Context, w io.Writer, programs, only string) error {
	fmt.Fprintln(w, "| figure | bound | measured |\n|---|---|---|")
	for _, m := range measurements {
		if !strings.Contains(m.what, only) {
			continue
		}
		value, err := m.take(ctx, programs)
		if err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		fmt.Fprintf(w, "| %s | %s | %s |\n", m.what, m.bound, value)
	}
	return nil
}

// loadReport is what of load's JSON is read here.
type loadReport struct {
	PerSecond float64 `json:"per_second"`
	Accepted  int     `json:"accepted"`
	Lost      int     `json:"lost"`
	Delivery  struct {
		P99 float64 `json:"p99"`
	} `json:"delivery_ms"`
	Late struct {
		P99 float64 `json:"p99"`
	} `json:"late_ms"`
	CatchUp struct {
		P50 float64 `json:"p50"`
	} `json:"catch_up_ms"`
	StreamBytes float64 `json:"stream_bytes"`
	Siege       struct {
		Request  siegeRow          `json:"request_ms"`
		Delivery siegeRow          `json:"delivery_ms"`
		Late     siegeRow          `json:"late_ms"`
		Attacks  map[string]string `json:"attacks"`
		Server   siegeCores        `json:"server_cores"`
		Own      siegeCores        `json:"own_cores"`
	} `json:"siege"`
}

// siegeRow is one measure of good clients, alone and while others attack.
type siegeRow struct {
	Alone    struct{ P50, P99 float64 }
	Attacked struct{ P50, P99 float64 }
	Ratio    float64 `json:"p99_ratio"`
}

type siegeCores struct{ Alone, Attacked float64 }

func (r siegeRow) String() string {
	return fmt.Sprintf("%.2f (p50 %.1f and p99 %.1f ms alone, %.1f and %.1f ms attacked)", r.Ratio, r.Alone.P50, r.Alone.P99, r.Attacked.P50, r.Attacked.P99)
}

// load drives a server with the program of that name.
func (s *hosted) load(ctx context.Context, args ...string) (r loadReport, err error) {
	args = append([]string{"--json", "--server", s.url, "--pid", strconv.Itoa(s.cmd.Process.Pid)}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(s.programs, "load"), args...)
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+s.certificate)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("load: %w: %s", err, out)
	}
	return r, json.Unmarshal(out, &r)
}

// hosted is a posthornd in a folder of its own.
type hosted struct {
	*process
	programs    string
	url         string
	certificate string // file, when it speaks TLS
}

// host starts posthornd over a folder. The caller stops it and removes the
// folder.
func host(ctx context.Context, programs, folder string, options ...string) (*hosted, error) {
	args := []string{"serve", "--data", filepath.Join(folder, "data"), "--listen", "127.0.0.1:0"}
	server, err := start("", folder, filepath.Join(programs, "posthornd"), append(args, options...)...)
	if err != nil {
		return nil, err
	}
	h := &hosted{process: server, programs: programs}
	if h.url, err = server.ready(ctx); err != nil {
		server.stop()
		return nil, err
	}
	if strings.HasPrefix(h.url, "https:") {
		h.certificate = filepath.Join(folder, "data", "tls", "cert.pem")
	}
	return h, nil
}

// ready waits until posthornd says where it is.
func (p *process) ready(ctx context.Context) (url string, err error) {
	var log []byte
	for range readyLooks {
		if log, err = os.ReadFile(filepath.Join(p.folder, "output.log")); err != nil {
			return "", err
		}
		if _, after, said := strings.Cut(string(log), "posthornd: ready on "); said {
			if url, _, whole := strings.Cut(after, "\n"); whole {
				return url, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return "", fmt.Errorf("%s is not ready:\n%s", p.cmd.Path, log)
}

// withHost runs f on a new server that limits nobody.
func withHost(ctx context.Context, programs string, f func(*hosted) error, more ...string) error {
	return withOptions(ctx, programs, f, slices.Concat(unlimited, more)...)
}

func withOptions(ctx context.Context, programs string, f func(*hosted) error, options ...string) error {
	folder, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	h, err := host(ctx, programs, folder, options...)
	if err != nil {
		return err
	}
	defer h.stop()
	return f(h)
}

// steady compares with the disk before and after, for its speed changes.
func steady(ctx context.Context, programs string) (text string, err error) {
	before, err := syncP99()
	if err != nil {
		return "", err
	}
	err = withHost(ctx, programs, func(h *hosted) error {
		r, err := h.load(ctx, "--scenario", "offered", "--mailboxes", "100", "--connections", "64", "--calls", "400", "--rate", "1000")
		if err != nil {
			return err
		}
		after, err := syncP99()
		disk := (before + after) / 2
		text = fmt.Sprintf("%.1f (%.1f ms over %.1f ms; the load tool by itself is %.1f ms late at its p99)", r.Delivery.P99/milliseconds(disk), r.Delivery.P99, milliseconds(disk), r.Late.P99)
		return err
	})
	return text, err
}

// attacked leaves the server its own limits, for they are what is looked at.
func attacked(ctx context.Context, programs string) (text string, err error) {
	err = withOptions(ctx, programs, func(h *hosted) error {
		r, err := h.load(ctx, "--scenario", "besieged", "--mailboxes", "100", "--connections", "50", "--calls", "400", "--rate", "200", "--windows", "5")
		s := r.Siege
		text = fmt.Sprintf("requests %v; deliveries %v; the load tool by itself is late by %v; busy cores of the server %.2f alone and %.2f attacked, of the load tool with the attackers %.2f and %.2f",
			s.Request, s.Delivery, s.Late, s.Server.Alone, s.Server.Attacked, s.Own.Alone, s.Own.Attacked)
		for _, kind := range slices.Sorted(maps.Keys(s.Attacks)) {
			text += "; " + kind + ": " + s.Attacks[kind]
		}
		return err
	}, "--open-registration", "--log-level", "error")
	return text, err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// syncP99 is how long the slowest of a hundred small synced writes takes.
func syncP99() (time.Duration, error) {
	f, err := os.CreateTemp("", "compare-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	times := make([]time.Duration, 2000)
	page := make([]byte, 4096)
	for i := range times {
		begun := time.Now()
		if _, err := f.WriteAt(page, int64(i%256)*int64(len(page))); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times[i] = time.Since(begun)
	}
	slices.Sort(times)
	return times[len(times)*99/100], nil
}

func catchUp(ctx context.Context, programs string) (text string, err error) {
	err = withHost(ctx, programs, func(h *hosted) error {
		r, err := h.load(ctx, "--scenario", "catchup", "--connections", "5", "--calls", "2000", "--size", "1024")
		text = fmt.Sprintf("%.0f ms", r.CatchUp.P50)
		return err
	})
	return text, err
}

func idleStreams(ctx context.Context, programs string, encrypted bool) (text string, err error) {
	more := []string{}
	if encrypted {
		more = append(more, "--tls-self-signed")
	}
	err = withHost(ctx, programs, func(h *hosted) error {
		r, err := h.load(ctx, "--scenario", "idle", "--h2c", "--mailboxes", "10000")
		text = fmt.Sprintf("%.1f KB", r.StreamBytes/1000)
		return err
	}, more...)
	return text, err
}

// resident fills a store with the driver itself, for a million devices that
// enrol would take an hour, and looks at the server that opens it, after a clean
// stop and after a kill in the midst of writing.
func resident(ctx context.Context, programs string) (string, error) {
	const mailboxes, calm = 1_000_000, 30 * time.Second
	folder, err := os.MkdirTemp("", "compare-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	if err := fill(ctx, filepath.Join(folder, "data", "store"), mailboxes); err != nil {
		return "", err
	}
	began := time.Now()
	h, err := host(ctx, programs, folder, unlimited...)
	if err != nil {
		return "", err
	}
	clean := time.Since(began)
	time.Sleep(calm)
	size, err := procfs.Resident(h.cmd.Process.Pid)
	if err == nil {
		_, err = h.load(ctx, "--connections", "64", "--mailboxes", "64", "--calls", "200")
	}
	h.kill()
	if err != nil {
		return "", err
	}
	began = time.Now()
	again, err := host(ctx, programs, folder, unlimited...)
	if err != nil {
		return "", err
	}
	killed := time.Since(began)
	again.stop()
	return fmt.Sprintf("%d MB; open %.1f s after a clean stop, %.1f s after a kill", size/1_000_000, clean.Seconds(), killed.Seconds()), nil
}

// fill creates mailboxes with two envelopes each.
func fill(ctx context.Context, folder string, n int) (err error) {
	if err := os.MkdirAll(filepath.Dir(folder), 0o700); err != nil {
		return err
	}
	s, err := pebble.Open(folder, pebble.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	const at = 1000
	data := make([]byte, 512)
	return together(at, func(worker int) error {
		for i := worker; i < n; i += at {
			var e store.Envelope
			binary.BigEndian.PutUint64(e.Box[:], uint64(i+1)*0x9e3779b97f4a7c15)
			if err := s.Create(ctx, e.Box, store.Limits{}); err != nil {
				return err
			}
			e.Data, e.At = data, time.Now()
			second := e
			second.ID[0] = 1
			if _, err := s.Append(ctx, []store.Envelope{e, second}); err != nil {
				return err
			}
		}
		return nil
	})
}

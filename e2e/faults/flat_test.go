//go:build linux && amd64

package faults

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/posthorn/posthorn/internal/machine"
)

const (
	// sampleEvery is the time between two looks at the server.
	sampleEvery = 5 * time.Second
	// judgedFrom is the shortest soak whose flatness means something, and
	// warmUp the part of it that does not count: caches fill up.
	judgedFrom = 5 * time.Minute
	warmUp     = 5 // a fifth
	// leastSamples are taken however long each look takes.
	leastSamples = 8
)

// sample is what a server holds at one moment, by name.
type sample struct {
	at    time.Duration // since the first
	holds map[string]float64
}

// growth is how much more of something a server may hold at the end of a soak
// than at its beginning, by the fitted line: a part of the mean, or some units.
var growth = map[string]struct {
	part  float64
	units float64
}{
	"RSS, MiB":    {0.10, 8},
	"goroutines":  {0.10, 4},
	"descriptors": {0.10, 4},
	"threads":     {0.10, 4},
}

// gauge looks at one daemon.
type gauge struct {
	d       *daemon
	metrics string // the address of its second listener, or ""
}

// measured prepares a daemon that is to be watched, before its start.
func (d *daemon) measured() *gauge {
	g := &gauge{d: d}
	help, _ := exec.Command(program, "serve", "--help").Output()
	if strings.Contains(string(help), "--metrics ") {
		g.metrics = machine.Address(d.t)
		d.options = append(d.options, "--metrics", g.metrics)
	}
	return g
}

// sampleFor looks at the daemon for a time, and until there are enough samples.
func (g *gauge) sampleFor(ctx context.Context, d time.Duration) (samples []sample) {
	begun := time.Now()
	ticker := time.NewTicker(min(sampleEvery, d/10))
	defer ticker.Stop()
	for time.Since(begun) < d || len(samples) < leastSamples {
		select {
		case <-ctx.Done():
			return samples
		case <-ticker.C:
			samples = append(samples, sample{time.Since(begun), g.look()})
		}
	}
	return samples
}

// look reads /proc, and the goroutines from the server's own metrics.
func (g *gauge) look() map[string]float64 {
	holds := map[string]float64{}
	folder := fmt.Sprintf("/proc/%d", g.d.pid.Load())
	if open, err := os.ReadDir(folder + "/fd"); err == nil {
		holds["descriptors"] = float64(len(open))
	}
	status, _ := os.ReadFile(folder + "/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			holds["RSS, MiB"] = n / 1024
		case "Threads":
			holds["threads"] = n
		}
	}
	if n, ok := g.goroutines(); ok {
		holds["goroutines"] = n
	}
	return holds
}

func (g *gauge) goroutines() (n float64, ok bool) {
	if g.metrics == "" {
		return 0, false
	}
	answer, err := http.Get("http://" + g.metrics + "/metrics")
	if err != nil {
		return 0, false
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), "go_goroutines "); found {
			n, err = strconv.ParseFloat(value, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// judge fits a line to each measure after the warm-up.
func judge(t *testing.T, samples []sample) {
	t.Helper()
	if len(samples) < leastSamples || len(samples[0].holds) < 3 {
		t.Fatalf("only %d samples, the first with %v", len(samples), samples)
	}
	if *soakFor < judgedFrom {
		t.Logf("measured, but not judged: that takes -soak %v", judgedFrom)
	}
	for name, bound := range growth {
		var at, value []float64
		for _, s := range samples[len(samples)/warmUp:] {
			if v, ok := s.holds[name]; ok {
				at, value = append(at, s.at.Minutes()), append(value, v)
			}
		}
		if len(at) < 3 {
			t.Logf("%s: not measured", name)
			continue
		}
		mean, slope := fit(at, value)
		grown := slope * (at[len(at)-1] - at[0])
		t.Logf("%s: mean %.1f, from %.1f to %.1f, the fitted line grows by %.2f in %.1f minutes", name, mean, slices.Min(value), slices.Max(value), grown, at[len(at)-1]-at[0])
		if *soakFor >= judgedFrom && grown > max(bound.part*mean, bound.units) {
			t.Errorf("%s: not flat", name)
		}
	}
}

// fit is the line of least squares: its mean and its slope.
func fit(x, y []float64) (mean, slope float64) {
	meanX, mean := average(x), average(y)
	var over, under float64
	for i := range x {
		over += (x[i] - meanX) * (y[i] - mean)
		under += (x[i] - meanX) * (x[i] - meanX)
	}
	return mean, over / under
}

func average(v []float64) (sum float64) {
	for _, n := range v {
		sum += n
	}
	return sum / float64(len(v))
}

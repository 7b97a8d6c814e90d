package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// report is what a run found. Its JSON form is for scripts.
type report struct {
	Scenario    string   `json:"scenario"`
	Connections int      `json:"connections"`
	Mailboxes   int      `json:"mailboxes"`
	Envelopes   int      `json:"envelopes"` // in one request
	Bytes       int      `json:"bytes"`     // of a payload, in the mean
	Accepted    int      `json:"accepted"`
	Seconds     float64  `json:"seconds"`
	PerSecond   float64  `json:"per_second"` // accepted, or delivered where mailboxes are open
	Request     *spread  `json:"request_ms,omitempty"`
	Late        *spread  `json:"late_ms,omitempty"` // how late this program was to send what was due
	Delivery    *spread  `json:"delivery_ms,omitempty"`
	CatchUp     *spread  `json:"catch_up_ms,omitempty"`
	Siege       *siege   `json:"siege,omitempty"`
	StreamBytes float64  `json:"stream_bytes,omitempty"`
	ServerCPU   float64  `json:"server_cpu_us,omitempty"` // for each accepted envelope
	OwnCPU      float64  `json:"own_cpu_us"`              // the same of this program, which seals nothing meanwhile
	ServerRSS   int64    `json:"server_rss,omitempty"`    // bytes, at the end
	LongestGap  float64  `json:"longest_gap_ms"`          // between two answers that accepted something
	Repeats     int64    `json:"repeats,omitempty"`       // after crashes, for the device to drop
	Lost        int      `json:"lost"`
	Wrong       int      `json:"wrong"`
	Faults      []string `json:"faults,omitempty"`
}

// spread describes many times in milliseconds.
type spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func spreadOf(all []time.Duration) *spread {
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	at := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	return &spread{P50: at(0.5), P99: at(0.99), Max: at(1)}
}

// settle enters the ledger's verdict.
func (r *report) settle(l *ledger) {
	r.Accepted, r.Lost, r.Wrong, r.Faults = l.acceptedCount(), l.outstanding(), l.wrong, l.faults
	r.LongestGap, r.Repeats = float64(l.longestGap().Microseconds())/1000, l.repeats.Load()
	bytes := 0
	for _, e := range l.entries {
		bytes += len(e.payload)
	}
	r.Bytes = bytes / max(1, len(l.entries))
}

// passed is the verdict on the server, whatever its speed.
func (r *report) passed() bool { return r.Lost == 0 && r.Wrong == 0 }

func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	_, err := fmt.Fprintf(w, "%s: %d connections, %d mailboxes, %d envelopes a request, %d bytes each\n  %d accepted in %.2f s: %.0f a second\n",
		r.Scenario, r.Connections, r.Mailboxes, r.Envelopes, r.Bytes, r.Accepted, r.Seconds, r.PerSecond)
	for _, row := range []struct {
		name string
		*spread
	}{{"late", r.Late}, {"request", r.Request}, {"delivery", r.Delivery}, {"catch-up", r.CatchUp}} {
		if row.spread != nil {
			_, _ = fmt.Fprintf(w, "  %-8s p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", row.name, row.P50, row.P99, row.Max)
		}
	}
	if r.Siege != nil {
		r.Siege.print(w)
	}
	if r.StreamBytes > 0 {
		_, _ = fmt.Fprintf(w, "  %.1f KB of server memory for each open stream\n", r.StreamBytes/1000)
	}
	if r.ServerRSS > 0 {
		_, _ = fmt.Fprintf(w, "  server: %.0f µs of processor time an envelope, %.0f MB resident; this program: %.0f µs\n", r.ServerCPU, float64(r.ServerRSS)/1e6, r.OwnCPU)
	}
	_, _ = fmt.Fprintf(w, "  %d lost, %d wrong, %d repeated after crashes; longest time without an answer %.0f ms\n", r.Lost, r.Wrong, r.Repeats, r.LongestGap)
	for _, fault := range r.Faults {
		_, _ = fmt.Fprintln(w, "  ! "+fault)
	}
	return err
}

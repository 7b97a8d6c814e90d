// Package metrics counts what a server does and gives it out in the text form
// that Prometheus reads. Nothing in it is by name: no account, device, mailbox
// or address is a label, and there is no size of any one thing.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/posthorn/posthorn/server/store"
)

// Metrics are the counters of one server. Make them with New; the methods may
// be called from many goroutines.
type Metrics struct {
	registry *prometheus.Registry

	calls     *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	refusals  *prometheus.CounterVec
	envelopes *prometheus.CounterVec
	bytes     *prometheus.CounterVec
	expired   prometheus.Counter
	streams   prometheus.Gauge
	conns     prometheus.Gauge
	witnesses prometheus.Counter
}

// callBuckets are bounds in seconds: from an answer out of memory to the longest
// that a call may take.
var callBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}

// New makes counters that begin at zero.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posthorn_calls_total", Help: "Calls that ended, by procedure and code.",
		}, []string{"procedure", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "posthorn_call_seconds", Help: "How long calls took, delivery streams excepted.", Buckets: callBuckets,
		}, []string{"procedure"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posthorn_refusals_total", Help: "What was refused, by the check of SPEC section 15.",
		}, []string{"check"}),
		envelopes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posthorn_envelopes_total", Help: "Envelopes that were appended, delivered (again at each redelivery) and acked.",
		}, []string{"step"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posthorn_payload_bytes_total", Help: "Payload of envelopes that came in and went out.",
		}, []string{"direction"}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "posthorn_expired_envelopes_total", Help: "Envelopes that nobody fetched within the retention time.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "posthorn_streams", Help: "Open delivery streams.",
		}),
		witnesses: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "posthorn_log_witness_failures_total", Help: "Requests to witnesses that brought no signature.",
		}),
		conns: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "posthorn_connections", Help: "Open connections.",
		}),
	}
	m.registry.MustRegister(m.calls, m.seconds, m.refusals, m.envelopes, m.bytes, m.expired, m.streams, m.conns, m.witnesses,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Call counts a call that ended with a code; took 0 leaves its time out.
func (m *Metrics) Call(procedure, code string, took time.Duration) {
	m.calls.WithLabelValues(procedure, code).Inc()
	if took > 0 {
		m.seconds.WithLabelValues(procedure).Observe(took.Seconds())
	}
}

// Refused counts a refusal by the id of its check.
func (m *Metrics) Refused(check string) { m.refusals.WithLabelValues(check).Inc() }

// Appended counts an envelope that is durable now, and its payload in bytes.
func (m *Metrics) Appended(payload int) {
	m.envelopes.WithLabelValues("appended").Inc()
	m.bytes.WithLabelValues("in").Add(float64(payload))
}

// Delivered counts an envelope that was sent to its device.
func (m *Metrics) Delivered(payload int) {
	m.envelopes.WithLabelValues("delivered").Inc()
	m.bytes.WithLabelValues("out").Add(float64(payload))
}

// Acked counts envelopes that their device is done with.
func (m *Metrics) Acked(n uint64) { m.envelopes.WithLabelValues("acked").Add(float64(n)) }

// Expired counts envelopes that were swept.
func (m *Metrics) Expired(n int) { m.expired.Add(float64(n)) }

// Stream counts a delivery stream: 1 when it opens, -1 when it ends.
func (m *Metrics) Stream(by int) { m.streams.Add(float64(by)) }

// Connection counts a connection in the same way.
func (m *Metrics) Connection(by int) { m.conns.Add(float64(by)) }

// WitnessFailed counts a request to a witness that brought no signature.
func (m *Metrics) WitnessFailed() { m.witnesses.Inc() }

// WatchLog adds how old the newest checkpoint of the transparency log is; false:
// there is none. Once for each Metrics.
func (m *Metrics) WatchLog(age func() (time.Duration, bool)) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "posthorn_log_checkpoint_age_seconds", Help: "How long ago the newest checkpoint of the transparency log was published; -1 when there is none. Clients believe one for a day.",
	}, func() float64 {
		d, ok := age()
		if !ok {
			return -1
		}
		return d.Seconds()
	}))
}

// Watch adds what a store holds and how long its syncs take. Once for each
// Metrics.
func (m *Metrics) Watch(s store.Store) { m.registry.MustRegister(&gauge{s}) }

// Handler gives the metrics out.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

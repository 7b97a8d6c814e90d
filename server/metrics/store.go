package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/posthorn/posthorn/server/store"
)

// statsTime bounds what a scrape may ask of a store.
const statsTime = 5 * time.Second

// gauge reads a store whenever somebody asks for the metrics.
type gauge struct{ store store.Store }

var (
	writable  = prometheus.NewDesc("posthorn_store_writable", "1 while the store accepts writes, else 0.", nil, nil)
	mailboxes = prometheus.NewDesc("posthorn_mailboxes", "Open mailboxes.", nil, nil)
	queued    = prometheus.NewDesc("posthorn_queued_envelopes", "Envelopes that wait for their devices.", nil, nil)
	oldest    = prometheus.NewDesc("posthorn_oldest_queued_timestamp_seconds", "When the oldest waiting envelope was accepted; 0 when none waits.", nil, nil)
	syncs     = prometheus.NewDesc("posthorn_store_sync_seconds", "How long the store's log took to reach the disk.", nil, nil)
)

// Describe says what Collect gives.
func (*gauge) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{writable, mailboxes, queued, oldest, syncs} {
		to <- d
	}
}

// Collect asks the store. A store that cannot say leaves its figures out.
func (g *gauge) Collect(to chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	if g.store.Err() != nil {
		set(writable, 0)
		return
	}
	set(writable, 1)
	ctx, cancel := context.WithTimeout(context.Background(), statsTime)
	defer cancel()
	if s, err := g.store.Stats(ctx); err == nil {
		set(mailboxes, float64(s.Mailboxes))
		set(queued, float64(s.Queued))
		since := 0.0
		if !s.Oldest.IsZero() {
			since = float64(s.Oldest.UnixMilli()) / 1000
		}
		set(oldest, since)
	}
	if timed, ok := g.store.(store.Timed); ok {
		if l := timed.SyncLatency(); len(l.Bounds) > 0 {
			to <- histogram(l)
		}
	}
}

func histogram(l store.Latency) prometheus.Metric {
	buckets := make(map[float64]uint64, len(l.Bounds))
	for i, bound := range l.Bounds {
		buckets[bound.Seconds()] = l.Counts[i]
	}
	return prometheus.MustNewConstHistogram(syncs, l.Count, l.Sum.Seconds(), buckets)
}

package pebble

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/posthorn/posthorn/server/store"
)

// SyncLatency is how long the syncs of the log have taken. The engine keeps
// them in nanoseconds.
func (s *Store) SyncLatency() (l store.Latency) {
	if s.enter() != nil {
		return l
	}
	defer s.leave()
	var m dto.Metric
	measured := s.db.Metrics().LogWriter.FsyncLatency
	if measured == nil || measured.Write(&m) != nil {
		return l
	}
	h := m.GetHistogram()
	l.Count, l.Sum = h.GetSampleCount(), time.Duration(h.GetSampleSum())
	for _, b := range h.GetBucket() {
		l.Bounds = append(l.Bounds, time.Duration(b.GetUpperBound()))
		l.Counts = append(l.Counts, b.GetCumulativeCount())
	}
	return l
}

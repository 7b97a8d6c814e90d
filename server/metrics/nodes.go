package metrics

import "github.com/prometheus/client_golang/prometheus"

// Nodes is what a node knows of the others and of the bus between them.
type Nodes struct {
	Others  int    // nodes that live, beside this one
	Hears   bool   // it hears all of them
	Bus     bool   // there is a bus
	Up      bool   // and it is connected
	Reached uint64 // connections that were made
	Lost    uint64 // messages or connections that were lost
	Refused uint64 // messages that no node can have sent, or that came twice
}

// nodes asks a server whenever somebody asks for the metrics.
type nodes struct{ ask func() Nodes }

var (
	nodesOthers  = prometheus.NewDesc("posthorn_nodes_others", "Other nodes over the same store that live.", nil, nil)
	nodesHeard   = prometheus.NewDesc("posthorn_nodes_heard", "1 while this node hears all others, else 0; then streams ask the store.", nil, nil)
	nodesRefused = prometheus.NewDesc("posthorn_bus_refused_total", "Messages on the bus that no node can have sent, or that came again.", nil, nil)
	busUp        = prometheus.NewDesc("posthorn_bus_up", "1 while the bus is connected, else 0.", nil, nil)
	busReached   = prometheus.NewDesc("posthorn_bus_connects_total", "Connections to the bus that were made.", nil, nil)
	busLost      = prometheus.NewDesc("posthorn_bus_lost_total", "Messages that did not leave, and connections that broke.", nil, nil)
)

// Describe says what Collect gives.
func (*nodes) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{nodesOthers, nodesHeard, nodesRefused, busUp, busReached, busLost} {
		to <- d
	}
}

// Collect asks the server.
func (n *nodes) Collect(to chan<- prometheus.Metric) {
	now := n.ask()
	give := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
		to <- prometheus.MustNewConstMetric(d, kind, value)
	}
	give(nodesOthers, prometheus.GaugeValue, float64(now.Others))
	give(nodesHeard, prometheus.GaugeValue, truth(now.Hears))
	give(nodesRefused, prometheus.CounterValue, float64(now.Refused))
	if !now.Bus {
		return
	}
	give(busUp, prometheus.GaugeValue, truth(now.Up))
	give(busReached, prometheus.CounterValue, float64(now.Reached))
	give(busLost, prometheus.CounterValue, float64(now.Lost))
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// WatchNodes adds what a server that is one of several nodes knows. Once for
// each Metrics.
func (m *Metrics) WatchNodes(ask func() Nodes) { m.registry.MustRegister(&nodes{ask}) }

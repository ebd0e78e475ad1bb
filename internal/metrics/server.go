package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/internal/registration"
	"github.com/revision-router/revision-router/internal/server"
)

// ServerRecorder counts what the webhook server does by itself.
type ServerRecorder struct {
	refused    map[server.Refusal]prometheus.Counter
	closed     map[server.Closure]prometheus.Counter
	handshakes map[server.HandshakeFailure]prometheus.Counter
	panicked   func()
}

var _ server.Recorder = (*ServerRecorder)(nil)

// NewServerRecorder registers the counters. panicked counts a panic where the handlers count theirs.
func NewServerRecorder(registry prometheus.Registerer, panicked func()) (*ServerRecorder, error) {
	f := factory{registry: registry}
	r := &ServerRecorder{
		refused:    countersFor(&f, refusedRequests, server.Refusals()),
		closed:     countersFor(&f, closedConnections, server.Closures()),
		handshakes: countersFor(&f, handshakeErrors, server.HandshakeFailures()),
		panicked:   panicked,
	}
	if len(f.errs) > 0 {
		return nil, fmt.Errorf("register the metrics of the webhook server: %w", errors.Join(f.errs...))
	}
	return r, nil
}

// Refused implements [server.Recorder].
func (r *ServerRecorder) Refused(why server.Refusal) { inc(r.refused, why) }

// Closed implements [server.Recorder].
func (r *ServerRecorder) Closed(why server.Closure) { inc(r.closed, why) }

// HandshakeFailed implements [server.Recorder].
func (r *ServerRecorder) HandshakeFailed(why server.HandshakeFailure) { inc(r.handshakes, why) }

// Panicked implements [server.Recorder].
func (r *ServerRecorder) Panicked() { r.panicked() }

// Server are the gauges of the webhook server and of how it comes to be called, read when they are asked for. Both
// fields are required.
type Server struct {
	Stats func() server.Stats
	// Registration returns false before anything was seen.
	Registration func() (registration.State, bool)
}

// Register registers the gauges.
func (s Server) Register(registry prometheus.Registerer) error {
	c := &serverCollector{
		Server: s, connections: gauge(openConnections), inFlight: gauge(requestsInFlight), bytes: gauge(bodyBytes),
		problems: gauge(registrationProblems),
	}
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("register the metrics of the webhook server: %w", err)
	}
	return nil
}

type serverCollector struct {
	Server
	connections, inFlight, bytes, problems *prometheus.Desc
}

var _ prometheus.Collector = (*serverCollector)(nil)

// Describe lists the metrics.
func (c *serverCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.connections
	ch <- c.inFlight
	ch <- c.bytes
	ch <- c.problems
}

// Collect reads the state.
func (c *serverCollector) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	stats := c.Stats()
	for _, p := range server.Phases() {
		set(c.connections, float64(stats.Connections[p]), string(p))
	}
	set(c.inFlight, float64(stats.InFlight))
	set(c.bytes, float64(stats.BodyBytes))
	seen, ok := c.Registration()
	if !ok {
		return // nobody knows yet: 0 would say that all is well
	}
	for _, p := range registration.Problems() {
		set(c.problems, float64(seen.Count(p)), string(p))
	}
}

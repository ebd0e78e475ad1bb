package metrics

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/routing"
)

// The names of the gauges about the revisions that pods are passed on to. What rollouts ask for and have reached, and
// webhooks of Istio's that are in the way, are among those of [Mesh].
const (
	revisionRoutable    = "revision_routable"
	unroutableRevisions = "unroutable_revisions"
)

// ForwardState are the gauges of forward mode that are read when they are asked for. They are absent before the first
// snapshot.
type ForwardState struct {
	// Mesh is nil before the first snapshot.
	Mesh func() *routing.Mesh
}

// Register registers the gauges.
func (s ForwardState) Register(registry prometheus.Registerer) error {
	c := &forwardCollector{ForwardState: s, routable: gauge(revisionRoutable), unroutable: gauge(unroutableRevisions)}
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("register the metrics of revisions: %w", err)
	}
	return nil
}

type forwardCollector struct {
	ForwardState
	routable, unroutable *prometheus.Desc
}

var _ prometheus.Collector = (*forwardCollector)(nil)

// Describe lists the metrics.
func (c *forwardCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.routable
	ch <- c.unroutable
}

// Collect reads the state.
func (c *forwardCollector) Collect(ch chan<- prometheus.Metric) {
	m := c.Mesh()
	if m == nil {
		return
	}
	set := func(d *prometheus.Desc, value float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, label)
	}
	reasons, shown := map[routing.Unroutable]int{}, 0
	for i := range m.Revisions() {
		r := &m.Revisions()[i]
		if r.Origin != routing.Sail {
			continue // its own webhook injects
		}
		if !r.Routable() {
			reasons[r.Unroutable]++
		}
		if shown++; shown <= maxRevisions { // the counts by reason hold those beyond, too
			set(c.routable, boolean(r.Routable()), r.Name)
		}
	}
	for _, why := range routing.UnroutableReasons() {
		set(c.unroutable, float64(reasons[why]), string(why))
	}
}

package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Snapshot is what is told about the snapshot of the mesh that decisions are made with.
type Snapshot struct {
	// Generation counts snapshots, 0 before the first.
	Generation uint64
	// Made is when this one was made.
	Made time.Time
	// StaleSince is since when changes may be missed; zero while everything is followed.
	StaleSince time.Time
	// Lag is how long the first change in it waited.
	Lag time.Duration
	// Objects in it, by kind.
	Revisions, Tags, Namespaces int
}

// Build tells what is running.
type Build struct{ Version, Commit, GoVersion string }

// State are the gauges that are read when they are asked for. All fields are required.
type State struct {
	// Snapshot is called once for each scrape, so that all gauges tell of the same snapshot.
	Snapshot func() Snapshot
	Now      func() time.Time
	Build    Build
}

// Register registers the gauges.
func (s State) Register(registry prometheus.Registerer) error {
	c := &collector{
		State:    s,
		age:      gauge(snapshotAge),
		stale:    gauge(snapshotStale),
		lag:      gauge(snapshotLag),
		sequence: gauge(snapshotSequence),
		objects:  gauge(snapshotObjects),
		build:    gauge(buildInfo),
	}
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("register the metrics of the snapshot: %w", err)
	}
	return nil
}

func gauge(name string) *prometheus.Desc {
	m := described(name)
	return prometheus.NewDesc(m.Name, m.Help, m.Labels, nil)
}

type collector struct {
	State
	age, stale, lag, sequence, objects, build *prometheus.Desc
}

var _ prometheus.Collector = (*collector)(nil)

// Describe lists the metrics.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.age
	ch <- c.stale
	ch <- c.lag
	ch <- c.sequence
	ch <- c.objects
	ch <- c.build
}

// Collect reads the state.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := c.Snapshot()
	if s.Generation > 0 {
		// Without a snapshot there is no age: 0 would look fresh, and any other number invented.
		now := c.Now()
		set(c.age, now.Sub(s.Made).Seconds())
		set(c.lag, s.Lag.Seconds())
		stale := time.Duration(0)
		if !s.StaleSince.IsZero() {
			stale = now.Sub(s.StaleSince)
		}
		set(c.stale, stale.Seconds())
	}
	set(c.sequence, float64(s.Generation))
	set(c.objects, float64(s.Revisions), "revision")
	set(c.objects, float64(s.Tags), "tag")
	set(c.objects, float64(s.Namespaces), "namespace")
	set(c.build, 1, c.Build.Version, c.Build.Commit, c.Build.GoVersion)
}

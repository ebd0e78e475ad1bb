package metrics

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/webhook"
	"github.com/revision-router/revision-router/webhook/forward"
)

// The names of the metrics of forward mode, each without the prefix.
const (
	forwards        = "forwards_total"
	forwardRetries  = "forward_retries_total"
	forwardDuration = "forward_duration_seconds"
	forwardCircuit  = "forward_circuit_open"
)

const (
	// maxRevisions bounds the label revision: names of revisions come from objects, and every update of a RevisionBased
	// Istio makes a new one.
	maxRevisions = 100
	// otherRevision stands for those beyond.
	otherRevision = "other"
)

// ForwardCatalog lists the metrics of forward mode, which are there only in that mode. Those of the first four are there for
// a revision from the first pod on that was sent to it, the others from the first snapshot on.
func ForwardCatalog() []Metric {
	rows := []Metric{
		{forwards, Counter, []string{"revision", "result"}, "Pods passed on to the injector of a revision, by what came of it."},
		{forwardRetries, Counter, []string{"revision"}, "Reviews sent to an injector a second time, because the first connection failed."},
		{forwardDuration, Histogram, []string{"revision"}, "Time from a pod being decided upon to the injector's answer, or to giving up."},
		{forwardCircuit, Gauge, []string{"revision"}, "1 while the injector does not answer and is left alone apart from a probe each second."},
		{revisionRoutable, Gauge, []string{"revision"}, "1 for a revision of the Sail Operator that takes pods, 0 for one that does not."},
		{unroutableRevisions, Gauge, []string{"reason"}, "Revisions that take no pods, by why."},
	}
	for i := range rows {
		rows[i].Name = prefix + rows[i].Name
	}
	return rows
}

// ForwardRecorder counts what comes of passing pods on.
type ForwardRecorder struct {
	results   *prometheus.CounterVec
	retries   *prometheus.CounterVec
	durations *prometheus.HistogramVec
	known     sync.Map // of revision to *forwardCounters
	count     atomic.Int64
}

var _ webhook.ForwardRecorder = (*ForwardRecorder)(nil)

// forwardCounters are those of one revision.
type forwardCounters struct {
	results  map[forward.Result]prometheus.Counter
	retries  prometheus.Counter
	duration prometheus.Observer
}

// NewForwardRecorder registers the metrics of forward mode.
func NewForwardRecorder(registry prometheus.Registerer) (*ForwardRecorder, error) {
	f := factory{registry: registry}
	r := &ForwardRecorder{
		results:   f.counters(forwards),
		retries:   f.counters(forwardRetries),
		durations: f.histograms(forwardDuration, durationBuckets()),
	}
	if len(f.errs) > 0 {
		return nil, fmt.Errorf("register the metrics of forward mode: %w", errors.Join(f.errs...))
	}
	return r, nil
}

// Forwarded counts one pod.
func (r *ForwardRecorder) Forwarded(revision string, result forward.Result, took time.Duration) {
	c := r.of(revision)
	inc(c.results, result)
	c.duration.Observe(took.Seconds())
}

// Retried counts a review that was sent a second time.
func (r *ForwardRecorder) Retried(revision string) { r.of(revision).retries.Inc() }

// of returns the counters of a revision, all results at zero where it is new.
func (r *ForwardRecorder) of(revision string) *forwardCounters {
	if c, ok := r.load(revision); ok {
		return c
	}
	if r.count.Add(1) > maxRevisions {
		r.count.Add(-1)
		return r.make(otherRevision) // and not kept, so that the map is bounded, too
	}
	if _, loaded := r.known.LoadOrStore(revision, r.make(revision)); loaded {
		r.count.Add(-1)
	}
	c, _ := r.load(revision)
	return c
}

func (r *ForwardRecorder) load(revision string) (*forwardCounters, bool) {
	value, _ := r.known.Load(revision)
	c, ok := value.(*forwardCounters)
	return c, ok
}

func (r *ForwardRecorder) make(label string) *forwardCounters {
	c := &forwardCounters{
		results:  map[forward.Result]prometheus.Counter{},
		retries:  r.retries.WithLabelValues(label),
		duration: r.durations.WithLabelValues(label),
	}
	for _, result := range forward.Results() {
		c.results[result] = r.results.WithLabelValues(label, string(result))
	}
	return c
}

// Circuits are the gauges of the circuits, read when they are asked for.
type Circuits struct {
	Circuits func() []forward.Circuit
}

// Register registers the gauges.
func (c Circuits) Register(registry prometheus.Registerer) error {
	if err := registry.Register(circuitCollector{c, gauge(forwardCircuit)}); err != nil {
		return fmt.Errorf("register the metrics of the circuits: %w", err)
	}
	return nil
}

type circuitCollector struct {
	Circuits
	open *prometheus.Desc
}

// Describe lists the metric.
func (c circuitCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.open }

// Collect reads the circuits. The client keeps a bounded number of them.
func (c circuitCollector) Collect(ch chan<- prometheus.Metric) {
	for _, circuit := range c.Circuits.Circuits() {
		value := 0.0
		if circuit.Open {
			value = 1
		}
		ch <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, value, circuit.Revision)
	}
}

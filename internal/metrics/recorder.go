package metrics

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook"
)

// Recorder counts the events of the handlers. Each method is one look-up and one atomic addition; a value outside
// its closed set is dropped, never made a series.
type Recorder struct {
	decisions  map[routing.Reason]prometheus.Counter
	admissions map[admission]prometheus.Counter
	warnings   map[routing.Warning]prometheus.Counter
	exempt     map[webhook.Exemption]prometheus.Counter
	rejected   map[webhook.Cause]prometheus.Counter
	reads      map[webhook.NamespaceRead]prometheus.Counter
	panics     prometheus.Counter
	durations  map[string]prometheus.Observer
	sizes      prometheus.Observer
}

var _ webhook.Recorder = (*Recorder)(nil)

type admission struct {
	verdict routing.Verdict
	dryRun  bool
}

// NewRecorder registers the metrics of the handlers.
func NewRecorder(registry prometheus.Registerer) (*Recorder, error) {
	f := factory{registry: registry}
	panicked := f.counters(panics)
	sizes := f.histograms(requestSize, sizeBuckets())
	r := &Recorder{
		decisions:  decisionCounters(&f),
		admissions: admissionCounters(&f),
		warnings:   countersFor(&f, warnings, webhook.Warnings()),
		exempt:     countersFor(&f, exempt, webhook.Exemptions()),
		rejected:   countersFor(&f, rejected, webhook.Causes()),
		reads:      countersFor(&f, namespaceReads, webhook.NamespaceReads()),
		panics:     panicked.WithLabelValues(),
		durations:  map[string]prometheus.Observer{},
		sizes:      sizes.WithLabelValues(),
	}
	durations := f.histograms(requestDuration, durationBuckets())
	for _, e := range webhook.Entries() {
		r.durations[e.Name] = durations.WithLabelValues(e.Name)
	}
	r.durations[webhook.Changes] = durations.WithLabelValues(webhook.Changes)
	if len(f.errs) > 0 {
		return nil, fmt.Errorf("register the metrics: %w", errors.Join(f.errs...))
	}
	return r, nil
}

func decisionCounters(f *factory) map[routing.Reason]prometheus.Counter {
	vec := f.counters(decisions)
	counters := map[routing.Reason]prometheus.Counter{}
	for _, r := range routing.Reasons() {
		counters[r.Reason] = vec.WithLabelValues(string(r.Action), string(r.Reason))
	}
	return counters
}

func admissionCounters(f *factory) map[admission]prometheus.Counter {
	vec := f.counters(admissions)
	counters := map[admission]prometheus.Counter{}
	for _, v := range webhook.Verdicts() {
		for _, dryRun := range []bool{false, true} {
			counters[admission{v, dryRun}] = vec.WithLabelValues(string(v), strconv.FormatBool(dryRun))
		}
	}
	return counters
}

// countersFor makes a counter with one label for each value of a closed set, so that all are there from the start.
func countersFor[T ~string](f *factory, name string, values []T) map[T]prometheus.Counter {
	vec := f.counters(name)
	counters := make(map[T]prometheus.Counter, len(values))
	for _, v := range values {
		counters[v] = vec.WithLabelValues(string(v))
	}
	return counters
}

// Decided counts the decision, the verdict and the warnings of one pod.
func (r *Recorder) Decided(o webhook.Outcome) {
	inc(r.decisions, o.Decision.Reason)
	inc(r.admissions, admission{o.Verdict, o.DryRun})
	for _, w := range o.Decision.Warnings.List() {
		inc(r.warnings, w)
	}
}

// Exempted counts a request that is none of the handler's.
func (r *Recorder) Exempted(e webhook.Exemption) { inc(r.exempt, e) }

// Rejected counts an HTTP error.
func (r *Recorder) Rejected(c webhook.Cause) { inc(r.rejected, c) }

// ReadNamespace counts a read from the API server.
func (r *Recorder) ReadNamespace(result webhook.NamespaceRead) { inc(r.reads, result) }

// Panicked counts a panic.
func (r *Recorder) Panicked() { r.panics.Inc() }

// Served observes the time and the size of one request.
func (r *Recorder) Served(e webhook.Entry, took time.Duration, bytes int) {
	if o, ok := r.durations[e.Name]; ok {
		o.Observe(took.Seconds())
	}
	r.sizes.Observe(float64(bytes))
}

// ServedChange is the same for a request of the webhooks that validate changes.
func (r *Recorder) ServedChange(took time.Duration, bytes int) {
	r.durations[webhook.Changes].Observe(took.Seconds())
	r.sizes.Observe(float64(bytes))
}

func inc[K comparable](counters map[K]prometheus.Counter, key K) {
	if c, ok := counters[key]; ok {
		c.Inc()
	}
}

// factory makes and registers metrics of the catalog, and keeps what went wrong until the end.
type factory struct {
	registry prometheus.Registerer
	errs     []error
}

func (f *factory) counters(name string) *prometheus.CounterVec {
	m := described(name)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: m.Name, Help: m.Help}, m.Labels)
	f.register(vec)
	return vec
}

func (f *factory) histograms(name string, buckets []float64) *prometheus.HistogramVec {
	m := described(name)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: m.Name, Help: m.Help, Buckets: buckets}, m.Labels)
	f.register(vec)
	return vec
}

func (f *factory) register(c prometheus.Collector) {
	if err := f.registry.Register(c); err != nil {
		f.errs = append(f.errs, err)
	}
}

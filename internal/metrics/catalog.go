package metrics

import "slices"

// prefix is in front of every name.
const prefix = "istio_revision_router_"

// The names, each without the prefix.
const (
	decisions        = "decisions_total"
	admissions       = "admissions_total"
	warnings         = "warnings_total"
	exempt           = "exempt_requests_total"
	rejected         = "rejected_requests_total"
	panics           = "panics_total"
	namespaceReads   = "namespace_reads_total"
	requestDuration  = "request_duration_seconds"
	requestSize      = "request_size_bytes"
	snapshotAge      = "snapshot_age_seconds"
	snapshotSequence = "snapshot_generation"
	snapshotObjects  = "snapshot_objects"
	changes          = "changes_total"
	unjudged         = "unjudged_changes_total"
	findings         = "findings_total"
	buildInfo        = "build_info"
)

// Kind is the type of a metric as Prometheus writes it.
type Kind string

// The kinds in use.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric describes one metric of the router.
type Metric struct {
	Name   string
	Kind   Kind
	Labels []string
	Help   string
}

// Catalog lists every metric in the order of docs/operations.md. The recorder is built from it, so that it cannot
// name a metric that is not there, or with other labels.
func Catalog() []Metric {
	rows := []Metric{
		{decisions, Counter, []string{"action", "reason"}, "Pods decided upon, by what was decided and why."},
		{admissions, Counter, []string{"verdict", "dry_run"}, "Answers to pods decided upon, by what the policy made of the decision."},
		{warnings, Counter, []string{"warning"}, "Pods decided upon whose labels are probably not what was meant, by what is odd."},
		{exempt, Counter, []string{"exemption"}, "Requests allowed without a look, because they are not about creating a pod."},
		{rejected, Counter, []string{"cause"}, "Requests answered with an HTTP error instead of a decision, by what was wrong."},
		{panics, Counter, nil, "Panics caught while a request was handled. Each is a bug, and one failed request."},
		{namespaceReads, Counter, []string{"result"}, "Namespaces read from the API server because the snapshot was behind it, by what came of it."},
		{requestDuration, Histogram, []string{"webhook"}, "Time from a request's headers to its answer, by webhook."},
		{requestSize, Histogram, nil, "Size of a request's body."},
		{snapshotAge, Gauge, nil, "Time since the snapshot of the mesh was made. Absent before the first."},
		{snapshotSequence, Gauge, nil, "How many snapshots of the mesh were made; 0 before the first."},
		{snapshotObjects, Gauge, []string{"kind"}, "Objects in the snapshot of the mesh, by kind."},
		{changes, Counter, []string{"kind"}, "Changes of the mesh that were judged, by the kind of the object."},
		{unjudged, Counter, []string{"kind"}, "Changes that could not be judged because the mesh could not be read."},
		{findings, Counter, []string{"rule", "outcome"}, "Rules that changes violated, by what became of the finding."},
		{buildInfo, Gauge, []string{"version", "commit", "go_version"}, "Always 1; its labels tell what is running."},
	}
	for i := range rows {
		rows[i].Name = prefix + rows[i].Name
	}
	return rows
}

// described finds a metric of the catalog. A name that is not in it is a bug that no recorder survives, and so no
// test.
func described(name string) Metric {
	rows := Catalog()
	return rows[slices.IndexFunc(rows, func(m Metric) bool { return m.Name == prefix+name })]
}

// durationBuckets begin at half a millisecond: the handler takes a hundredth of that, so that the first bucket holds
// what is normal, and the last one the API server's longest patience.
func durationBuckets() []float64 {
	return []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10}
}

// sizeBuckets end at the handler's cap of 7 MiB.
func sizeBuckets() []float64 {
	const kib, mib = 1 << 10, 1 << 20
	return []float64{2 * kib, 4 * kib, 8 * kib, 16 * kib, 32 * kib, 64 * kib, 128 * kib, 256 * kib, 512 * kib, mib, 2 * mib, 4 * mib, 7 * mib}
}

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
	events           = "events_total"
	buildInfo        = "build_info"

	snapshotStale        = "snapshot_stale_seconds"
	snapshotLag          = "snapshot_lag_seconds"
	openConnections      = "open_connections"
	requestsInFlight     = "requests_in_flight"
	bodyBytes            = "body_bytes"
	refusedRequests      = "refused_requests_total"
	closedConnections    = "closed_connections_total"
	handshakeErrors      = "tls_handshake_errors_total"
	registrationProblems = "webhook_registration_problems"

	certificateActions = "certificate_actions_total"
	certificateExpiry  = "certificate_expiry_timestamp_seconds"
	certificateFailed  = "certificate_failed"
	bundleWebhooks     = "ca_bundle_webhooks"
	bundlePublished    = "ca_bundle_published_timestamp_seconds"
	rotationPhase      = "ca_rotation_phase"
	writes             = "writes_enabled"
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

// Catalog lists the metrics that are there in every mode. The recorder is built from it, so that it cannot
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
		{snapshotStale, Gauge, nil, "Time since when the snapshot may miss changes, because something of the mesh cannot be followed; 0 while all is. Absent before the first."},
		{snapshotLag, Gauge, nil, "Time from the first change that the snapshot holds to its publication. Absent before the first."},
		{snapshotSequence, Gauge, nil, "How many snapshots of the mesh were made; 0 before the first."},
		{snapshotObjects, Gauge, []string{"kind"}, "Objects in the snapshot of the mesh, by kind."},
		{changes, Counter, []string{"kind"}, "Changes of the mesh that were judged, by the kind of the object."},
		{unjudged, Counter, []string{"kind"}, "Changes that could not be judged because the mesh could not be read."},
		{findings, Counter, []string{"rule", "outcome"}, "Rules that changes violated, by what became of the finding."},
		{certificateExpiry, Gauge, []string{"certificate"}, "When a certificate expires. previous_ca is the last of those that are still trusted. Absent where there is none."},
		{certificateFailed, Gauge, nil, "1 while the certificates could not be looked after when this replica tried last."},
		{certificateActions, Counter, []string{"action", "outcome"}, "Actions for the serving certificate and its CA. PublishBundle, Done counts the CA bundles that were written or mended."},
		{bundleWebhooks, Gauge, []string{"state"}, "Webhooks of the router, by whether they hold exactly the CA bundle that is wanted."},
		{bundlePublished, Gauge, nil, "When this replica wrote a CA bundle last. Absent before."},
		{rotationPhase, Gauge, []string{"phase"}, "1 for the phase that the rotation of the CA is in."},
		{writes, Gauge, nil, "1 on the replica that writes CA Secret and CA bundles: the holder of the lease."},
		{openConnections, Gauge, []string{"phase"}, "Connections to the webhook server, by what they do."},
		{requestsInFlight, Gauge, nil, "Requests that a webhook handler works on."},
		{bodyBytes, Gauge, nil, "Memory that the bodies of requests take."},
		{refusedRequests, Counter, []string{"cause"}, "Requests that the webhook server answered itself, without a handler, by why."},
		{closedConnections, Counter, []string{"reason"}, "Connections that the webhook server closed and the client may have wanted to keep, by why. dropped is a failed admission each."},
		{handshakeErrors, Counter, []string{"cause"}, "TLS handshakes that failed, by why. distrusted from the API server means a wrong CA bundle."},
		{registrationProblems, Gauge, []string{"problem"}, "Problems of the webhook configurations through which the router is called, by kind. Absent before they were read."},
		{events, Counter, []string{"outcome"}, "Events about namespaces, tags and other objects of the mesh, by what became of them. One Event stands for all of a kind, and is written again with their number."},
		{buildInfo, Gauge, []string{"version", "commit", "go_version"}, "Always 1; its labels tell what is running."},
	}
	for i := range rows {
		rows[i].Name = prefix + rows[i].Name
	}
	return rows
}

// All lists every metric, in the order of docs/metrics.md.
func All() []Metric { return slices.Concat(Catalog(), MeshCatalog(), ForwardCatalog()) }

// described finds a metric of the catalog. A name that is not in it is a bug that no recorder survives, and so no
// test.
func described(name string) Metric {
	rows := All()
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

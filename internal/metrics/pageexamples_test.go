package metrics

import "maps"

// example is a question and the query that answers it. test/dashboard puts every query of the page to a real Prometheus.
type example struct{ asks, query string }

// examples has one for each metric.
func examples() map[string]example {
	all := handlerExamples()
	maps.Copy(all, routerExamples())
	maps.Copy(all, meshExamples())
	return all
}

func handlerExamples() map[string]example {
	return map[string]example{
		decisions: {
			"Why pods could not be resolved in the last hour:",
			"sum by (reason) (increase(istio_revision_router_decisions_total{action=\"Unresolvable\"}[1h])) > 0",
		},
		admissions: {
			"How many pods were refused in the last hour, dry runs left out:",
			"sum(increase(istio_revision_router_admissions_total{verdict=~\"Refused.*\",dry_run=\"false\"}[1h]))",
		},
		warnings: {
			"What is odd about labels, most frequent first:",
			"sort_desc(sum by (warning) (increase(istio_revision_router_warnings_total[1d])) > 0)",
		},
		exempt: {
			"Whether the API server sends what the chart's rules leave out:",
			"sum by (exemption) (rate(istio_revision_router_exempt_requests_total[5m])) > 0",
		},
		rejected: {
			"Requests that ended in an error of the router's, each of them one that `failurePolicy` decided:",
			"sum by (cause) (rate(istio_revision_router_rejected_requests_total[5m])) > 0",
		},
		panics: {
			"Anything but 0 is a bug to report:",
			"sum(increase(istio_revision_router_panics_total[1d]))",
		},
		namespaceReads: {
			"How often the snapshot was behind the API server, by how that ended:",
			"sum by (result) (rate(istio_revision_router_namespace_reads_total[5m]))",
		},
		requestDuration: {
			"The time within which 99 of 100 requests are answered, by webhook:",
			"histogram_quantile(0.99, sum by (webhook, le) (rate(istio_revision_router_request_duration_seconds_bucket[5m])))",
		},
		requestSize: {
			"The average size of a request:",
			"sum(rate(istio_revision_router_request_size_bytes_sum[5m])) / sum(rate(istio_revision_router_request_size_bytes_count[5m]))",
		},
		changes: {
			"Changes of the mesh that were judged in the last day:",
			"sum by (kind) (increase(istio_revision_router_changes_total[1d])) > 0",
		},
		unjudged: {
			"Changes that nobody could judge, because the mesh could not be read:",
			"sum by (kind) (increase(istio_revision_router_unjudged_changes_total[1h])) > 0",
		},
		findings: {
			"Which rules refuse changes. `denied` is the level Deny, `warned` the level Warn; `overridden` and `excused` would have been denied:",
			"sum by (rule, outcome) (increase(istio_revision_router_findings_total[1d])) > 0",
		},
		events: {
			"Whether Events can be written; `failed` that goes on is a missing right:",
			"sum by (outcome) (rate(istio_revision_router_events_total[5m]))",
		},
		buildInfo: {
			"Which versions of the router run:",
			"count by (version) (istio_revision_router_build_info)",
		},
	}
}

func routerExamples() map[string]example {
	return map[string]example{
		snapshotAge:      {"The age of the newest snapshot, which is no fault where nothing changes:", "min(istio_revision_router_snapshot_age_seconds)"},
		snapshotStale:    {"For how long a replica may have missed changes:", "max(istio_revision_router_snapshot_stale_seconds)"},
		snapshotLag:      {"How late decisions follow the mesh:", "max(istio_revision_router_snapshot_lag_seconds)"},
		snapshotSequence: {"How often the mesh has changed within five minutes, for each replica:", "delta(istio_revision_router_snapshot_generation[5m])"},
		snapshotObjects:  {"What the router knows:", "max by (kind) (istio_revision_router_snapshot_objects)"},
		certificateExpiry: {
			"Days until the serving certificate of any replica expires:",
			"min((istio_revision_router_certificate_expiry_timestamp_seconds{certificate=\"leaf\"}) - time()) / 86400",
		},
		certificateFailed: {"Replicas that cannot look after their certificate:", "sum(istio_revision_router_certificate_failed)"},
		certificateActions: {
			"Whether something overwrites the CA bundle again and again:",
			"sum(increase(istio_revision_router_certificate_actions_total{action=\"PublishBundle\",outcome=\"Done\"}[1h]))",
		},
		bundleWebhooks:  {"Webhooks with another CA bundle than the router wants:", "max(istio_revision_router_ca_bundle_webhooks{state=\"different\"})"},
		bundlePublished: {"Time since a CA bundle was written last:", "time() - max(istio_revision_router_ca_bundle_published_timestamp_seconds)"},
		rotationPhase:   {"The phase that the rotation is in:", "max by (phase) (istio_revision_router_ca_rotation_phase) == 1"},
		writes:          {"Replicas that write, which should be one:", "sum(istio_revision_router_writes_enabled)"},
		openConnections: {"Connections by what they do:", "sum by (phase) (istio_revision_router_open_connections)"},
		requestsInFlight: {
			"The share of `server.maxConcurrent` that is in use, with its default:",
			"max(istio_revision_router_requests_in_flight) / 512",
		},
		bodyBytes: {"Memory of bodies, of each replica:", "istio_revision_router_body_bytes"},
		refusedRequests: {
			"Requests that were turned away because of a limit:",
			"sum by (cause) (increase(istio_revision_router_refused_requests_total{cause=~\"too_many.*\"}[5m]))",
		},
		closedConnections: {
			"Admissions that were lost with a connection:",
			"sum(increase(istio_revision_router_closed_connections_total{reason=\"dropped\"}[1h]))",
		},
		handshakeErrors: {
			"Handshakes that failed because the client does not trust the certificate:",
			"sum(increase(istio_revision_router_tls_handshake_errors_total{cause=\"distrusted\"}[5m]))",
		},
		registrationProblems: {
			"What is wrong with how the router is called:",
			"max by (problem) (istio_revision_router_webhook_registration_problems) > 0",
		},
	}
}

func meshExamples() map[string]example {
	return map[string]example{
		meshWorkloads: {
			"Workloads by version, added up over revisions:",
			"sum by (version) (max by (revision, version, role) (istio_revision_router_mesh_workloads))",
		},
		meshRestarts: {
			"How much of an upgrade is left:",
			"sum(max by (revision, version) (istio_revision_router_mesh_workloads_to_restart))",
		},
		meshObservations: {"The rules that the mesh violates now:", "max by (rule, level) (istio_revision_router_mesh_observations)"},
		tagRollout:       {"What rollouts ask for:", "max by (tag, revision) (istio_revision_router_tag_rollout_percent)"},
		tagWorkloads: {
			"The share of a tag's workloads that each revision has reached:",
			"max by (tag, revision) (istio_revision_router_tag_workloads) / on (tag) group_left () " +
				"sum by (tag) (max by (tag, revision) (istio_revision_router_tag_workloads))",
		},
		tagHeldBack:      {"Tags that do not lead to their target:", "max by (tag) (istio_revision_router_tag_held_back) == 1"},
		policyGeneration: {"How often the policy changed, for each replica:", "istio_revision_router_policy_generation - 1"},
		policyFailed:     {"Replicas that keep an older policy:", "sum(istio_revision_router_policy_failed)"},
		injectorReady: {
			"Revisions that workloads run and whose istiod has no ready pod, so that nobody can inject:",
			"max by (revision) (istio_revision_router_injector_ready_pods) == 0 and on (revision) " +
				"max by (revision) (istio_revision_router_mesh_workloads{role=\"Sidecar\"}) > 0",
		},
		injectorOverlaps: {"Webhooks of Istio's that are in the way:", "max(istio_revision_router_injector_overlaps)"},
		forwards: {
			"The share of pods that their injector did not inject:",
			"sum(rate(istio_revision_router_forwards_total{result!~\"injected|already_injected\"}[5m])) / " +
				"sum(rate(istio_revision_router_forwards_total[5m]))",
		},
		forwardRetries: {"Injectors that break off connections:", "sum by (revision) (increase(istio_revision_router_forward_retries_total[1h]))"},
		forwardDuration: {
			"The time that 99 of 100 injections take, by revision:",
			"histogram_quantile(0.99, sum by (revision, le) (rate(istio_revision_router_forward_duration_seconds_bucket[5m])))",
		},
		forwardCircuit:      {"Injectors that do not answer:", "max by (revision) (istio_revision_router_forward_circuit_open) == 1"},
		revisionRoutable:    {"Revisions that take no pods:", "min by (revision) (istio_revision_router_revision_routable) == 0"},
		unroutableRevisions: {"Why revisions take no pods:", "max by (reason) (istio_revision_router_unroutable_revisions) > 0"},
	}
}

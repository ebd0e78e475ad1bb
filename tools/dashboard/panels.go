package main

// The prefix of every metric of the router.
const p = "istio_revision_router_"

// row is a question and the panels that answer it.
type row struct {
	title  string
	panels []panel
}

type panel struct {
	title, about string
	// kind is Grafana's type of panel, width its columns of 24.
	kind  string
	width int
	unit  string
	// red is from which value on it is red; nil where no value is wrong.
	red     *float64
	queries []query
}

type query struct{ Expr, Legend string }

// Replicas tell the same of the mesh, so that its gauges are the max of them, while counters are added up.
func rows() []row {
	return []row{
		{"Is anything refused?", refused()},
		{"Is anything skewed?", []panel{
			{"Rules that the mesh violates", "As it is, whatever changes would be refused.", "stat", 6, "short", new(1.0), []query{
				{"sum(max by (rule) (" + p + `mesh_observations{level="Deny"})) or vector(0)`, "violated"},
			}},
			{"By rule", "", "table", 9, "short", nil, []query{
				{"max by (rule, level) (" + p + "mesh_observations)", "{{rule}} {{level}}"},
			}},
			{"Proxies by version", "Workloads. More than two minors at once is skew in the making.", "timeseries", 9, "short", nil, []query{
				{"sum by (version) (max by (revision, version, role) (" + p + "mesh_workloads))", "{{version}}"},
			}},
		}},
		{"How far is the upgrade?", upgrade()},
		{"Is the router healthy?", healthy()},
	}
}

func refused() []panel {
	return []panel{
		{"Pods refused in the last hour", "Without dry runs.", "stat", 6, "short", new(1.0), []query{
			{"sum(increase(" + p + `admissions_total{verdict=~"Refused.*",dry_run="false"}[1h]))`, "refused"},
		}},
		{"Pods admitted although unresolvable, last hour", "The policy only warns.", "stat", 6, "short", new(1.0), []query{
			{"sum(increase(" + p + `admissions_total{verdict="AdmittedUnresolved",dry_run="false"}[1h]))`, "admitted"},
		}},
		{"Changes of the mesh denied, last hour", "", "stat", 6, "short", new(1.0), []query{
			{"sum(increase(" + p + `findings_total{outcome="denied"}[1h]))`, "denied"},
		}},
		{"Overridden or excused, last hour", "Denials that became warnings.", "stat", 6, "short", nil, []query{
			{"sum(increase(" + p + `findings_total{outcome=~"overridden|excused"}[1h]))`, "passed"},
		}},
		{"Pods decided upon", "", "timeseries", 8, "ops", nil, []query{
			{"sum by (action) (rate(" + p + "decisions_total[5m]))", "{{action}}"},
		}},
		{"Unresolvable pods by reason", "", "timeseries", 8, "ops", nil, []query{
			{"sum by (reason) (rate(" + p + `decisions_total{action="Unresolvable"}[5m])) > 0`, "{{reason}}"},
		}},
		{"Findings about changes", "", "timeseries", 8, "short", nil, []query{
			{"sum by (rule, outcome) (increase(" + p + "findings_total[5m])) > 0", "{{rule}} {{outcome}}"},
		}},
	}
}

func upgrade() []panel {
	return []panel{
		{"Workloads to restart", "`router status` names them.", "stat", 4, "short", nil, []query{
			{"sum(max by (revision, version) (" + p + "mesh_workloads_to_restart)) or vector(0)", "to restart"},
		}},
		{"Sidecars that are where they belong", "", "gauge", 6, "percentunit", nil, []query{
			{"1 - sum(max by (revision, version) (" + p + "mesh_workloads_to_restart)) / sum(max by (revision, version) (" + p + `mesh_workloads{role="Sidecar"}))`, "done"},
		}},
		{"Tags held back", "They do not lead to their target.", "stat", 4, "short", new(1.0), []query{
			{"sum(max by (tag) (" + p + "tag_held_back)) or vector(0)", "held back"},
		}},
		{"Workloads by revision and version", "", "bargauge", 10, "short", nil, []query{
			{"sum by (revision, version) (max by (revision, version, role) (" + p + "mesh_workloads))", "{{revision}} {{version}}"},
		}},
		{"Workloads to restart, by what they run", "", "timeseries", 8, "short", nil, []query{
			{"max by (revision, version) (" + p + "mesh_workloads_to_restart)", "{{revision}} {{version}}"},
		}},
		{"Workloads of tags, by what they run", "", "timeseries", 8, "short", nil, []query{
			{"max by (tag, revision) (" + p + "tag_workloads)", "{{tag}}: {{revision}}"},
		}},
		{"Rollouts of tags", "The share that a tag's rollout asks for.", "bargauge", 8, "percent", nil, []query{
			{"max by (tag, revision) (" + p + "tag_rollout_percent)", "{{tag}} to {{revision}}"},
		}},
	}
}

func healthy() []panel {
	return []panel{
		{"Replicas", "", "stat", 4, "short", nil, []query{{"count(" + p + "build_info)", "replicas"}}},
		{"Problems of the registration", "", "stat", 4, "short", new(1.0), []query{
			{"sum(max by (problem) (" + p + "webhook_registration_problems)) or vector(0)", "problems"},
		}},
		{"CA bundles that are not ours", "", "stat", 4, "short", new(1.0), []query{
			{"max(" + p + `ca_bundle_webhooks{state="different"}) or vector(0)`, "bundles"},
		}},
		{"Serving certificate expires in", "", "stat", 4, "s", nil, []query{
			{"min(" + p + `certificate_expiry_timestamp_seconds{certificate="leaf"}) - time()`, "left"},
		}},
		{"Snapshot may miss changes since", "0 while everything is followed.", "stat", 4, "s", new(300.0), []query{
			{"max(" + p + "snapshot_stale_seconds)", "stale"},
		}},
		{"Policy file cannot be used", "1: an older policy stays in force.", "stat", 4, "short", new(1.0), []query{{"max(" + p + "policy_failed)", "failed"}}},
		{"Time to answer", "", "timeseries", 8, "s", nil, []query{
			{"histogram_quantile(0.5, sum by (le) (rate(" + p + "request_duration_seconds_bucket[5m])))", "half"},
			{"histogram_quantile(0.99, sum by (le) (rate(" + p + "request_duration_seconds_bucket[5m])))", "99 of 100"},
		}},
		{"Turned away, or answered with an error", "", "timeseries", 8, "ops", nil, []query{
			{"sum by (cause) (rate(" + p + "refused_requests_total[5m])) > 0", "{{cause}}"},
			{"sum by (cause) (rate(" + p + "rejected_requests_total[5m])) > 0", "{{cause}}"},
		}},
		{"Connections and requests in flight", "", "timeseries", 8, "short", nil, []query{
			{"sum by (phase) (" + p + "open_connections)", "{{phase}}"},
			{"sum(" + p + "requests_in_flight)", "requests in flight"},
		}},
		{"Answers of injectors", "Mode forward.", "timeseries", 8, "ops", nil, []query{
			{"sum by (revision, result) (rate(" + p + "forwards_total[5m])) > 0", "{{revision}} {{result}}"},
		}},
		{"Ready pods of injectors", "0: nobody injects for the revision, and its pods cannot be created.", "timeseries", 8, "short", nil, []query{
			{"max by (revision) (" + p + "injector_ready_pods)", "{{revision}}"},
		}},
		{"Injectors that do not answer", "Mode forward.", "timeseries", 8, "short", nil, []query{
			{"max by (revision) (" + p + "forward_circuit_open)", "{{revision}}"},
			{"max(" + p + "injector_overlaps)", "webhooks in the way"},
		}},
		{"Size of requests", "", "timeseries", 8, "bytes", nil, []query{
			{"histogram_quantile(0.5, sum by (le) (rate(" + p + "request_size_bytes_bucket[5m])))", "half"},
			{"histogram_quantile(0.99, sum by (le) (rate(" + p + "request_size_bytes_bucket[5m])))", "99 of 100"},
		}},
		{"Events", "Failed: the right to write them is missing.", "timeseries", 8, "short", nil, []query{
			{"sum by (outcome) (increase(" + p + "events_total[5m]))", "{{outcome}}"},
		}},
		{"Memory", "", "timeseries", 8, "bytes", nil, []query{
			{"sum by (instance) (process_resident_memory_bytes * on (instance) group_left () " + p + "build_info)", "{{instance}}"},
		}},
	}
}

package charts_test

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/local"
)

// ruleFile is a file of alerts as Prometheus reads it.
type ruleFile struct {
	Groups []struct {
		Name  string  `json:"name"`
		Rules []alert `json:"rules"`
	} `json:"groups"`
}

type alert struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func alertsOf(f ruleFile) map[string]alert {
	found := map[string]alert{}
	for _, group := range f.Groups {
		for _, a := range group.Rules {
			found[a.Alert] = a
		}
	}
	return found
}

func alertFile(t *testing.T) (text []byte, alerts map[string]alert) {
	t.Helper()
	text, err := charts.FS().ReadFile(path.Join(charts.Name, "files", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file ruleFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		t.Fatal(err)
	}
	return text, alertsOf(file)
}

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := local.Promtool(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

const own = "istio_revision_router_"

// fires are series with which an alert fires, and ones with which it does not. Each runs for a minute a step.
type fires struct {
	series, quiet []string
	// at is when, and labels are those of the alert beside its severity.
	at     string
	labels map[string]string
	// says is its description.
	says string
}

func steady(name, value string) string { return own + name + " " + value + "x3000" }

func alertCases() map[string]fires {
	registration := func(problem, value string) []string {
		return []string{steady(`webhook_registration_problems{problem="`+problem+`"}`, value)}
	}
	return map[string]fires{
		"RevisionRouterReplicasMissing": {
			[]string{steady(`build_info{instance="a"}`, "1")},
			[]string{steady(`build_info{instance="a"}`, "1"), steady(`build_info{instance="b"}`, "1")},
			"10m", nil,
			"1 replicas can be read. Without any, pods start as failurePolicy says: unchecked with Ignore, not at all with Fail.",
		},
		"RevisionRouterNotRegistered": {
			registration("missing", "1"), registration("order", "1"), "10m",
			map[string]string{"problem": "missing"},
			"The webhook configuration of the router has the problem missing, so that pods and changes go unchecked or fail.",
		},
		"RevisionRouterNothingInjects": {
			registration("no_injector", "2"), registration("no_injector", "0"), "10m", nil,
			"For 2 revisions there is nothing that injects: in guard mode pods of theirs start without a sidecar.",
		},
		"RevisionRouterWebhookOrder": {
			registration("order", "1"), registration("order", "0"), "10m",
			map[string]string{"problem": "order"},
			"The webhook configuration of the router has the problem order.",
		},
		"RevisionRouterRefusesPods": {
			[]string{own + `admissions_total{verdict="Refused",dry_run="false"} 0+6x60`},
			[]string{own + `admissions_total{verdict="Refused",dry_run="true"} 0+6x60`, own + `admissions_total{verdict="Admitted",dry_run="false"} 0+6x60`},
			"30m", nil, "60 pods were refused within 10 minutes. Their labels name nothing that could inject them.",
		},
		"RevisionRouterSnapshotStale": {
			[]string{own + "snapshot_stale_seconds 0+60x60"},
			[]string{steady("snapshot_stale_seconds", "200")},
			"10m", nil,
			"For 10m 0s something of the mesh could not be followed. Answers go on from the last snapshot.",
		},
		"RevisionRouterCertificateExpiring": {
			[]string{steady(`certificate_expiry_timestamp_seconds{certificate="leaf"}`, "10800")},
			[]string{steady(`certificate_expiry_timestamp_seconds{certificate="leaf"}`, "604800"), steady(`certificate_expiry_timestamp_seconds{certificate="next_ca"}`, "60")},
			"1h",
			map[string]string{"certificate": "leaf"},
			"The certificate leaf expires in 2h 0m 0s and should have been renewed long ago.",
		},
		"RevisionRouterCertificateFailed": {
			[]string{steady("certificate_failed", "1")},
			[]string{steady("certificate_failed", "0")},
			"20m", nil,
			"The last attempts failed. What is served stays in use until it expires.",
		},
		"RevisionRouterCABundleNotOurs": {
			[]string{steady(`ca_bundle_webhooks{state="different"}`, "1")},
			[]string{steady(`ca_bundle_webhooks{state="different"}`, "0"), steady(`certificate_actions_total{action="PublishBundle",outcome="Done"}`, "30")},
			"5m", nil, "A webhook holds another CA bundle than the router wants, or it is written again and again. The log names who writes.",
		},
		"RevisionRouterOverloaded": {
			[]string{own + `refused_requests_total{cause="too_many_requests"} 0+12x60`},
			[]string{own + `refused_requests_total{cause="unknown_path"} 0+12x60`},
			"30m", nil, "Within 5 minutes 60 requests or connections were turned away, because a limit was reached.",
		},
		"RevisionRouterInjectorDown": {
			[]string{steady(`forward_circuit_open{revision="a"}`, "1")},
			[]string{steady(`forward_circuit_open{revision="a"}`, "0")},
			"5m",
			map[string]string{"revision": "a"},
			"The injector of revision a does not answer. Pods that mean this revision cannot be created.",
		},
		"RevisionRouterInjectorNotReady": {
			[]string{steady(`injector_ready_pods{revision="a"}`, "0"), steady(`mesh_workloads{revision="a",version="v1.29.6",role="Sidecar"}`, "3")},
			[]string{
				steady(`injector_ready_pods{revision="a"}`, "0"), steady(`injector_ready_pods{revision="b"}`, "2"),
				steady(`mesh_workloads{revision="a",version="v1.29.6",role="Gateway"}`, "3"), steady(`mesh_workloads{revision="b",version="v1.30.3",role="Sidecar"}`, "3"),
			},
			"10m",
			map[string]string{"revision": "a"},
			"No pod of the istiod of revision a is ready. Pods that mean this revision cannot be created.",
		},
		"RevisionRouterOverlap": {
			[]string{steady("injector_overlaps", "3")},
			[]string{steady("injector_overlaps", "0")},
			"5m", nil,
			"3 webhooks of Istio are in the way. Two injectors on one pod can break the pod.",
		},
		"RevisionRouterTagHeldBack": {
			[]string{steady(`tag_held_back{tag="prod"}`, "1")},
			[]string{own + `tag_held_back{tag="prod"} 1x10 0x60`},
			"20m",
			map[string]string{"tag": "prod"},
			"The tag prod leads to an earlier revision, or to none, because its target takes no pods.",
		},
		"RevisionRouterRolloutStalled": {
			[]string{steady(`mesh_workloads_to_restart{revision="a",version="v1.29.6"}`, "7")},
			[]string{own + `mesh_workloads_to_restart{revision="a",version="v1.29.6"} 3000-1x2900`},
			"26h",
			map[string]string{"revision": "a", "version": "v1.29.6"},
			"7 workloads still run v1.29.6 of revision a and wait for their restart, no fewer than a day ago.",
		},
		"RevisionRouterMeshSkewed": {
			[]string{steady(`mesh_observations{rule="CNISkew",level="Deny"}`, "2")},
			[]string{steady(`mesh_observations{rule="CNISkew",level="Warn"}`, "2")},
			"20m",
			map[string]string{"rule": "CNISkew"},
			"The rule CNISkew is violated 2 times by the mesh as it is.",
		},
		"RevisionRouterPolicyBad": {
			[]string{steady("policy_failed", "1")},
			[]string{steady("policy_failed", "0")},
			"5m", nil,
			"A replica keeps an older policy in force. Its log and /readyz?verbose name the mistake.",
		},
	}
}

func TestAlertsFireWhenTheyShall(t *testing.T) {
	text, alerts := alertFile(t)
	dir := t.TempDir()
	write(t, dir, "alerts.yaml", string(text))
	tests := unitTests{RuleFiles: []string{"alerts.yaml"}}
	cases := alertCases()
	for name, tc := range cases {
		a, ok := alerts[name]
		if !ok {
			t.Errorf("there is no alert %s", name)
			continue
		}
		want := expectedAlert{map[string]string{"severity": a.Labels["severity"]}, map[string]string{
			"summary": a.Annotations["summary"], "description": tc.says, "runbook_url": a.Annotations["runbook_url"],
		}}
		maps.Copy(want.Labels, tc.labels)
		fire, quiet := unit(name, tc, tc.series, []expectedAlert{want}), unit(name, tc, tc.quiet, nil)
		fire.Name, quiet.Name = name+" fires", name+" stays quiet"
		tests.Tests = append(tests.Tests, fire, quiet)
	}
	for name := range alerts {
		if _, ok := cases[name]; !ok {
			t.Errorf("alert %s has no test", name)
		}
	}
	written, err := yaml.Marshal(tests)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "tests.yaml", string(written))
	t.Log(promtool(t, "check", "rules", filepath.Join(dir, "alerts.yaml")))
	t.Log(promtool(t, "test", "rules", filepath.Join(dir, "tests.yaml")))
}

// A link of an alert that leads nowhere is found by whoever is woken up by it.
func TestEveryAlertHasItsPlaceInTheRunbook(t *testing.T) {
	page, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, alerts := alertFile(t)
	var described []string
	for _, heading := range regexp.MustCompile(`(?m)^### (RevisionRouter\w+)$`).FindAllStringSubmatch(string(page), -1) {
		described = append(described, heading[1])
	}
	var names []string
	for name, a := range alerts {
		names = append(names, name)
		want := "https://github.com/revision-router/revision-router/blob/main/docs/operations.md#" + strings.ToLower(name)
		if a.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %s, want %s", name, a.Annotations["runbook_url"], want)
		}
		if a.Annotations["summary"] == "" || a.For == "" || !slices.Contains([]string{"info", "warning", "critical"}, a.Labels["severity"]) {
			t.Errorf("%s: summary %q, for %q, severity %q", name, a.Annotations["summary"], a.For, a.Labels["severity"])
		}
	}
	slices.Sort(names)
	slices.Sort(described)
	if diff := cmp.Diff(names, described); diff != "" {
		t.Errorf("alerts (-chart +docs/operations.md):\n%s", diff)
	}
}

func TestPrometheusRule(t *testing.T) {
	_, alerts := alertFile(t)
	rendered := alertsOf(one[*prometheusRule](t, render(t, set("metrics.prometheusRule.enabled=true", "replicaCount=3")...)).Spec)
	for name, a := range alerts {
		if name == "RevisionRouterReplicasMissing" {
			a.Expr = strings.Replace(a.Expr, "< 2", "< 3", 1)
		}
		if diff := cmp.Diff(a, rendered[name]); diff != "" {
			t.Errorf("%s (-file +rendered):\n%s", name, diff)
		}
	}
	fewer := alertsOf(one[*prometheusRule](t, render(t, set("metrics.prometheusRule.enabled=true", "metrics.prometheusRule.disabled={RevisionRouterOverlap}")...)).Spec)
	if _, there := fewer["RevisionRouterOverlap"]; there || len(fewer) != len(alerts)-1 {
		t.Errorf("%d alerts, and one that is switched off is there: %t", len(fewer), there)
	}
	got := refusal(t, set("metrics.prometheusRule.enabled=true", "metrics.prometheusRule.disabled={Overlap}")...)
	if want := fmt.Sprintf("metrics.prometheusRule.disabled: there is no alert %s.", "Overlap"); !strings.Contains(got, want) {
		t.Errorf("%s\nwant in it: %s", got, want)
	}
	if left := all[*prometheusRule](render(t)); len(left) != 0 {
		t.Error("a PrometheusRule is created unasked, and the API server may not know the type")
	}
}

package metrics

import (
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/webhook/forward"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

const page = "../../docs/metrics.md"

// docs/metrics.md is written from the catalog, the sets that labels take their values from, and the examples below.
func TestThePageDescribesEveryMetric(t *testing.T) {
	var b strings.Builder
	b.WriteString(preamble)
	for _, part := range []struct {
		title, about string
		metrics      []Metric
	}{
		{
			"In every mode", "Those about the CA and its bundles are there where the router keeps them (`certs.provider: self-managed`).\n\n",
			Catalog(),
		},
		{
			"The mesh as it is", "All replicas tell the same, so take the `max` of them and not the sum. Most of these need " +
				"`changes.enabled` in the chart, which has the router follow what runs.\n\n", MeshCatalog(),
		},
		{"In mode forward only", "", ForwardCatalog()},
	} {
		b.WriteString("## " + part.title + "\n\n" + part.about)
		for _, m := range part.metrics {
			b.WriteString(section(t, m))
		}
	}
	want := strings.TrimRight(b.String(), "\n") + "\n"
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/metrics.md (-want +got); go test ./internal/metrics -run TestThePage -update rewrites it:\n%s", diff)
	}
}

const preamble = `# Metrics

Every replica serves them at ` + "`:8080/metrics`" + ` (` + "`--metrics-address`" + `; in the chart ` + "`metrics.port`" + `), as text that Prometheus reads.
` + "`metrics.serviceMonitor.enabled`" + ` and ` + "`metrics.prometheusRule.enabled`" + ` in the chart set up a Prometheus that the Prometheus Operator
runs; ` + "`metrics.dashboard.enabled`" + ` installs [the dashboard](../charts/revision-router/files/dashboard.json). The
[alerts](../charts/revision-router/files/alerts.yaml) lead into [operations.md](operations.md#alerts).

![The dashboard's panels during an upgrade](images/dashboard.png)

What holds for all of them:

- A label takes its values from the set that is listed with it. Only names of revisions, tags and versions come from objects of the
  mesh; those are at most 200 for each metric, and what is beyond is added up as ` + "`other`" + `. No request can create a series, and
  nothing is labelled with a namespace or a pod: that is what the audit log and the Events are for.
- Counters with closed labels are there from the start, with 0, so that a rate is right from the first event on.
- Counters are each replica's own: add them up. Times are in seconds, sizes in bytes.
- Dry runs are counted like other requests, since the API server is answered all the same; ` + "`admissions_total`" + ` tells them apart.

Beside these there are the usual ones of Go and of the process (` + "`go_*`, `process_*`, `promhttp_*`" + `).

This page is written by ` + "`go test ./internal/metrics -run TestThePage -update`" + `.

`

func section(t *testing.T, m Metric) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s. %s\n\n", m.Name, strings.ToUpper(string(m.Kind[:1]))+string(m.Kind[1:]), m.Help)
	if len(m.Labels) > 0 {
		b.WriteString("| label | values |\n|---|---|\n")
	}
	for _, label := range m.Labels {
		values, open := labelValues(m, label)
		text := open
		if open == "" {
			text = "`" + strings.Join(values, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", label, text)
	}
	if len(m.Labels) > 0 {
		b.WriteString("\n")
	}
	e, ok := examples()[strings.TrimPrefix(m.Name, prefix)]
	if !ok || !strings.Contains(e.query, m.Name) {
		t.Errorf("%s: there is no example that asks for it", m.Name)
	}
	fmt.Fprintf(&b, "%s\n\n```promql\n%s\n```\n\n", e.asks, e.query)
	return b.String()
}

// everyMetric gathers all metrics of both modes, with something in each.
func everyMetric(t *testing.T) []*dto.MetricFamily {
	t.Helper()
	r := newRig(t)
	r.snapshot = Snapshot{Generation: 1, Made: r.now}
	r.report = secretca.Report{Leaf: &x509.Certificate{NotAfter: r.now}, Published: r.now}
	recorder, ofForward := newForwardRig(t, forward.Circuit{Revision: "x", Open: true})
	recorder.Forwarded("x", forward.Injected, time.Millisecond)
	families, err := prometheus.Gatherers{r.registry, ofForward.registry, newMeshRig(t, everything()).registry}.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// What the page says of labels is what they are.
func TestLabelsTakeTheirValuesFromTheSetsOfThePage(t *testing.T) {
	described := All()
	for _, f := range everyMetric(t) {
		at := slices.IndexFunc(described, func(m Metric) bool { return m.Name == f.GetName() })
		if at < 0 {
			t.Errorf("%s is in no catalog, and so not on the page", f.GetName())
			continue
		}
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if values, open := labelValues(described[at], l.GetName()); open == "" && !slices.Contains(values, l.GetValue()) {
					t.Errorf("%s: the label %s has the value %q, which the page does not list", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
}

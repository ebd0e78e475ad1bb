package dashboard

import (
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/test/local"
)

// patience is how long a test waits for what has to come. It is no measurement: the machine may be busy.
const patience = 2 * time.Minute

// mayBeEmpty are panels without data after the demo of a mode, because nothing of theirs happens in it.
func mayBeEmpty() map[string][]string {
	return map[string][]string{
		"guard":   {"Rollouts of tags", "Turned away, or answered with an error", "Answers of injectors"},
		"forward": {"Rollouts of tags", "Turned away, or answered with an error"},
	}
}

// Each mode's demo runs under the eyes of a Prometheus, as an upgrade in a cluster would; then the dashboard is looked at.
func TestTheDashboardAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	exposed := map[string]bool{}
	for name, start := range map[string]func(context.Context, io.Writer) (*Demo, error){"guard": StartGuard, "forward": StartForward} {
		t.Run(name, func(t *testing.T) {
			d, err := start(t.Context(), io.Discard)
			t.Cleanup(func() {
				if err := d.Close(); err != nil {
					t.Error(err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if err := d.Walk(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := d.LeaveTraces(t.Context()); err != nil {
				t.Fatal(err)
			}
			awaitData(t, d.Prometheus, "istio_revision_router_mesh_observations", "istio_revision_router_injector_ready_pods")
			// Rates need two scrapes of a counter, and what the walk did last has to be in one.
			awaitScrapes(t, d.Prometheus)
			everyPanelHasData(t, d.Prometheus, Window{From: began, To: time.Now(), Step: time.Second}, mayBeEmpty()[name])
			everyExampleIsAnswered(t, d.Prometheus)
			metricsAreSound(t, d.Metrics)
			for _, m := range metrics.All() {
				exposed[m.Name] = exposed[m.Name] || wasExposed(t, d.Prometheus, m)
			}
		})
	}
	if t.Failed() {
		return
	}
	for _, m := range metrics.All() {
		if !exposed[m.Name] {
			t.Errorf("%s is documented, and no router exposes it", m.Name)
		}
	}
}

// awaitData waits until each of the queries has an answer.
func awaitData(t *testing.T, p *local.Prometheus, queries ...string) {
	t.Helper()
	for _, query := range queries {
		err := wait.PollUntilContextTimeout(t.Context(), time.Second, patience, true, func(ctx context.Context) (bool, error) {
			found, err := p.Query(ctx, query)
			return len(found) > 0, err
		})
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
}

// wasExposed tells whether the router had the metric at any time.
func wasExposed(t *testing.T, p *local.Prometheus, m metrics.Metric) bool {
	t.Helper()
	name := m.Name
	if m.Kind == metrics.Histogram {
		name += "_count"
	}
	found, err := p.Query(t.Context(), "count(last_over_time("+name+"[1h]))")
	if err != nil {
		t.Error(err)
	}
	return len(found) > 0
}

func awaitScrapes(t *testing.T, p *local.Prometheus) {
	t.Helper()
	const scrapes = `count_over_time(up[1h]) >= 5 and up == 1`
	before := -1.0
	err := wait.PollUntilContextTimeout(t.Context(), time.Second, patience, true, func(ctx context.Context) (bool, error) {
		found, err := p.Query(ctx, scrapes)
		if err != nil || len(found) != 1 {
			return false, err
		}
		now := found[0].Points[0].Value
		if before < 0 {
			before = now
		}
		return now >= before+2, nil
	})
	if err != nil {
		t.Fatalf("Prometheus does not scrape the router: %v", err)
	}
}

func everyPanelHasData(t *testing.T, p *local.Prometheus, w Window, mayBeEmpty []string) {
	t.Helper()
	panels, err := Panels()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for _, panel := range panels {
		if panel.Type == "row" {
			continue
		}
		asked++
		answers, err := Ask(t.Context(), p, panel, w)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(slices.Concat(answers...)) == 0 && !slices.Contains(mayBeEmpty, panel.Title) {
			t.Errorf("panel %q has no data: %+v", panel.Title, panel.Targets)
		}
		for i, series := range answers {
			for _, s := range series {
				if legend := panel.Targets[i].Legend(s.Labels); legend == "" || strings.Contains(legend, "{{") {
					t.Errorf("panel %q: the legend %q of %v", panel.Title, legend, s.Labels)
				}
			}
		}
	}
	if asked < 20 {
		t.Errorf("%d panels were looked at only", asked)
	}
	for _, title := range mayBeEmpty {
		if !slices.ContainsFunc(panels, func(p Panel) bool { return p.Title == title }) {
			t.Errorf("no panel is titled %q, which may be empty", title)
		}
	}
}

// everyExampleIsAnswered asks what docs/metrics.md tells people to ask.
func everyExampleIsAnswered(t *testing.T, p *local.Prometheus) {
	t.Helper()
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	queries := regexp.MustCompile("(?s)```promql\n(.*?)\n```").FindAllSubmatch(page, -1)
	if len(queries) < len(metrics.All()) {
		t.Errorf("docs/metrics.md has %d queries for %d metrics", len(queries), len(metrics.All()))
	}
	for _, q := range queries {
		if _, err := p.Query(t.Context(), string(q[1])); err != nil {
			t.Error(err)
		}
	}
}

// metricsAreSound has promtool judge the page of a router that has done its work, and compares it with the catalog.
func metricsAreSound(t *testing.T, url string) {
	t.Helper()
	page := get(t, url)
	if out, err := local.Promtool(t.Context(), page, "check", "metrics"); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	// That promtool reads its input at all: a counter without _total is what it complains of first.
	if out, err := local.Promtool(t.Context(), "# HELP x X.\n# TYPE x counter\nx 1\n", "check", "metrics"); err == nil {
		t.Errorf("promtool finds nothing wrong with a counter named x: %s", out)
	}
	known := map[string]metrics.Metric{}
	for _, m := range metrics.All() {
		known[m.Name] = m
	}
	for _, line := range regexp.MustCompile(`(?m)^# (HELP|TYPE) (istio_revision_router_\w+) (.*)$`).FindAllStringSubmatch(page, -1) {
		m, ok := known[line[2]]
		if !ok {
			t.Errorf("%s is exposed and in no catalog", line[2])
		}
		if want := map[string]string{"HELP": m.Help, "TYPE": string(m.Kind)}[line[1]]; want != line[3] {
			t.Errorf("%s says %q, the catalog %q", line[2], line[3], want)
		}
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", url, response.StatusCode, err)
	}
	return string(page)
}

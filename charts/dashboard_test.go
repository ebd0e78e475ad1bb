package charts_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/metrics"
)

// The dashboard and the alerts ask for metrics that the router has. A name that nothing exposes is an empty panel and
// an alert that never fires, and nobody notices either.
func TestDashboardAndAlertsNameMetricsThatExist(t *testing.T) {
	exposed := map[string]bool{}
	for _, m := range metrics.All() {
		exposed[m.Name] = true
		if m.Kind == metrics.Histogram {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				exposed[m.Name+suffix] = true
			}
		}
	}
	for _, path := range []string{"revision-router/files/dashboard.json", "revision-router/files/alerts.yaml"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(own+`[a-z0-9_]+`).FindAllString(string(text), -1)
		if len(names) < 10 {
			t.Errorf("%s names %d metrics only", path, len(names))
		}
		slices.Sort(names)
		for _, name := range slices.Compact(names) {
			if !exposed[name] {
				t.Errorf("%s asks for %s, which the router does not have", path, name)
			}
		}
	}
}

// The dashboard in the chart is the one that tools/dashboard writes.
func TestDashboardIsUpToDate(t *testing.T) {
	path := t.TempDir() + "/dashboard.json"
	if out, err := exec.CommandContext(t.Context(), "go", "run", "../tools/dashboard", path).CombinedOutput(); err != nil {
		t.Fatalf("go run ../tools/dashboard: %v\n%s", err, out)
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("revision-router/files/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("go run ./tools/dashboard charts/revision-router/files/dashboard.json (-want +got):\n%s", diff)
	}
}

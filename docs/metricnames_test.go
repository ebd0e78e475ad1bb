package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/revision-router/revision-router/internal/metrics"
)

const metricPrefix = "istio_revision_router_"

// exposed are the names under which Prometheus finds the router's metrics.
func exposed() []string {
	var names []string
	for _, m := range metrics.All() {
		names = append(names, m.Name)
		if m.Kind == metrics.Histogram {
			names = append(names, m.Name+"_bucket", m.Name+"_sum", m.Name+"_count")
		}
	}
	return names
}

// A page that names a metric which is not there is found by whoever copies it into an alert. Tables and sentences leave
// the prefix out; such a name is known by its backticks and by how it ends, or by its labels.
func TestPagesNameMetricsThatExist(t *testing.T) {
	known, values := exposed(), valuesOfLabels(t)
	whole := regexp.MustCompile(metricPrefix + `[a-z0-9_]+`)
	short := regexp.MustCompile("`([a-z]+(?:_[a-z]+)*_(?:total|seconds|bytes|percent|generation|enabled|failed|overlaps|problems|routable|phase|webhooks|open|back|pods|info))(?:\\{[^`]*)?`" +
		"|`([a-z]+(?:_[a-z]+)+)\\{[^`]*`")
	named := 0
	for _, page := range pages(t) {
		text := read(t, page)
		for _, name := range whole.FindAllString(text, -1) {
			named++
			if !slices.Contains(known, strings.TrimSuffix(name, "_")) && name != metricPrefix {
				t.Errorf("%s names the metric %s, which no router has", page, name)
			}
		}
		for _, match := range short.FindAllStringSubmatch(text, -1) {
			if slices.Contains(values, match[1]) {
				continue
			}
			named++
			name := metricPrefix + match[1] + match[2]
			if !slices.Contains(known, name) && !strings.HasPrefix(match[1]+match[2], strings.TrimSuffix(metricPrefix, "_")) {
				t.Errorf("%s names the metric %s, which no router has", page, match[1]+match[2])
			}
		}
	}
	if named < 100 {
		t.Errorf("%d names were looked at only", named)
	}
}

// valuesOfLabels are the words that metrics.md lists for labels. Some look like metrics.
func valuesOfLabels(t *testing.T) []string {
	t.Helper()
	var values []string
	for _, row := range regexp.MustCompile("(?m)^\\| `\\w+` \\| (`.*`) \\|$").FindAllStringSubmatch(read(t, "metrics.md"), -1) {
		for _, word := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			values = append(values, word[1])
		}
	}
	if len(values) < 100 {
		t.Fatalf("metrics.md lists %d values of labels", len(values))
	}
	return values
}

func TestEveryMetricHasItsSection(t *testing.T) {
	page := read(t, "metrics.md")
	for _, m := range metrics.All() {
		if !strings.Contains(page, "\n### "+m.Name+"\n") {
			t.Errorf("metrics.md does not describe %s", m.Name)
		}
	}
}

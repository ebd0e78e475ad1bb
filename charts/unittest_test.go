package charts_test

import (
	"io/fs"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/cluster"
)

// TestSuites runs the suites in the chart's folder tests, which its users can read and run as well.
func TestSuites(t *testing.T) {
	runner, err := cluster.Tool(t.Context(), "tools/helm-unittest", "github.com/helm-unittest/helm-unittest/cmd/helm-unittest")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), runner, "--strict", unpack(t)).CombinedOutput()
	if err != nil {
		t.Fatalf("helm-unittest: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// suite is what is judged of a suite.
type suite struct {
	Templates []string `json:"templates"`
	Tests     []struct {
		It string `json:"it"`
	} `json:"tests"`
}

// A template that nobody tests is one that nobody reads. A suite is named as its template is.
func TestEveryTemplateHasASuite(t *testing.T) {
	templates, err := fs.ReadDir(charts.FS(), path.Join(charts.Name, "templates"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{} // from the suite's name to the template
	for _, template := range templates {
		if name := template.Name(); path.Ext(name) != ".tpl" {
			want[strings.ToLower(strings.TrimSuffix(name, path.Ext(name)))] = "templates/" + name
		}
	}
	suites, err := fs.ReadDir(charts.FS(), path.Join(charts.Name, "tests"))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range suites {
		name := strings.TrimSuffix(entry.Name(), "_test.yaml")
		template, ok := want[name]
		if !ok {
			t.Errorf("tests/%s belongs to no template", entry.Name())
			continue
		}
		delete(want, name)
		var s suite
		if err := yaml.Unmarshal(chartFile(t, path.Join("tests", entry.Name())), &s); err != nil {
			t.Fatalf("tests/%s: %v", entry.Name(), err)
		}
		if !slices.Contains(s.Templates, template) || len(s.Tests) < 2 {
			t.Errorf("tests/%s: templates %v, %d tests; want %s and more than one", entry.Name(), s.Templates, len(s.Tests), template)
		}
	}
	for name, template := range want {
		t.Errorf("%s has no suite tests/%s_test.yaml", template, name)
	}
}

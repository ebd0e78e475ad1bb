package charts_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// packaged returns the files of a package of the chart.
func packaged(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	if out, err := runHelm(t, "package", unpack(t), "--destination", dir); err != nil {
		t.Fatalf("helm package: %v\n%s", err, out)
	}
	packages, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("helm package made %v, %v", packages, err)
	}
	file, err := os.Open(packages[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	zip, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for entries := tar.NewReader(zip); ; {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(header.Name, "revision-router/")] = string(content)
	}
}

func TestPackageHoldsWhatInstallsAndNothingElse(t *testing.T) {
	files := packaged(t)
	for _, want := range []string{"Chart.yaml", "values.yaml", "values.schema.json", "README.md", "files/alerts.yaml", "files/dashboard.json", "templates/deployment.yaml"} {
		if files[want] == "" {
			t.Errorf("the package lacks %s", want)
		}
	}
	for name := range files {
		for _, unwanted := range []string{"tests/", "ci/", "README.md.gotmpl"} {
			if strings.HasPrefix(name, unwanted) {
				t.Errorf("the package holds %s", name)
			}
		}
	}
}

// What Artifact Hub reads of Chart.yaml: it shows nothing of an annotation that it cannot parse.
func TestArtifactHubCanReadTheChart(t *testing.T) {
	var chart struct {
		Version     string            `json:"version"`
		AppVersion  string            `json:"appVersion"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := yaml.Unmarshal(chartFile(t, "Chart.yaml"), &chart); err != nil {
		t.Fatal(err)
	}
	if chart.Version != chart.AppVersion {
		t.Errorf("version %s and appVersion %s: a release has one", chart.Version, chart.AppVersion)
	}
	annotation := func(name string, into any) {
		t.Helper()
		if err := yaml.UnmarshalStrict([]byte(chart.Annotations["artifacthub.io/"+name]), into); err != nil {
			t.Errorf("artifacthub.io/%s: %v", name, err)
		}
	}
	var changes []struct {
		Kind        string `json:"kind"`
		Description string `json:"description"`
	}
	annotation("changes", &changes)
	for _, change := range changes {
		switch change.Kind {
		case "added", "changed", "deprecated", "removed", "fixed", "security":
		default:
			t.Errorf("artifacthub.io/changes: kind %q", change.Kind)
		}
		if change.Description == "" {
			t.Error("artifacthub.io/changes: a change without a description")
		}
	}
	var images []struct {
		Name      string   `json:"name"`
		Image     string   `json:"image"`
		Platforms []string `json:"platforms"`
	}
	annotation("images", &images)
	var links []struct {
		Name string `json:"name"`
		URL  string `json:"url"`
	}
	annotation("links", &links)
	if len(changes) == 0 || len(links) == 0 {
		t.Errorf("%d changes and %d links", len(changes), len(links))
	}
	var shown []string
	for _, image := range images {
		shown = append(shown, image.Image)
	}
	// Artifact Hub scans it for vulnerabilities, so it has to be the one that the chart runs.
	if diff := cmp.Diff([]string{container(t, render(t)).Image}, shown); diff != "" {
		t.Errorf("images (-rendered +artifacthub.io/images):\n%s", diff)
	}
}

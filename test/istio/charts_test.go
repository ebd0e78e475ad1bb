package istio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"istio.io/istio/manifests"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// The charts, as they lie in Istio's repository.
const (
	// discoveryChart installs istiod and the revision tags; Sail's chart revisiontags is made of its templates.
	discoveryChart = "charts/istio-control/istio-discovery"
	// defaultChart is the older way to install the tag default.
	defaultChart = "charts/default"
)

const controlPlaneNamespace = "istio-system"

// configuration is a MutatingWebhookConfiguration.
type configuration = admissionregistrationv1.MutatingWebhookConfiguration

// values are what a user gives to Helm.
type values = map[string]any

// configurations renders a chart and returns the webhook configurations of injectors in it.
func configurations(t *testing.T, chartPath string, v values) []configuration {
	t.Helper()
	docs, err := render(chartPath, v)
	if err != nil {
		t.Fatal(err)
	}
	var found []configuration
	for _, doc := range docs {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatalf("%s renders a document that is no object: %v\n%s", chartPath, err, doc)
		}
		if kind.Kind != "MutatingWebhookConfiguration" {
			continue
		}
		var c configuration
		if err := yaml.UnmarshalStrict(doc, &c); err != nil {
			t.Fatalf("%s: %v\n%s", chartPath, err, doc)
		}
		found = append(found, c)
	}
	return found
}

// render returns the documents of a chart in the order of its templates' names.
func render(chartPath string, v values) ([][]byte, error) {
	loaded, err := load(chartPath)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", chartPath, err)
	}
	release := chartutil.ReleaseOptions{Name: "istio", Namespace: controlPlaneNamespace, IsInstall: true}
	all, err := chartutil.ToRenderValues(loaded, v, release, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, fmt.Errorf("values of %s: %w", chartPath, err)
	}
	files, err := engine.Render(loaded, all)
	if err != nil {
		return nil, fmt.Errorf("rendering %s: %w", chartPath, err)
	}
	var docs [][]byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if path.Ext(name) != ".yaml" {
			continue
		}
		of, err := split(files[name])
		if err != nil {
			return nil, fmt.Errorf("splitting %s: %w", name, err)
		}
		docs = append(docs, of...)
	}
	return docs, nil
}

// load reads a chart from the file system that Istio embeds in istioctl.
func load(chartPath string) (*chart.Chart, error) {
	var files []*loader.BufferedFile
	err := fs.WalkDir(manifests.FS, chartPath, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(manifests.FS, name)
		if err != nil {
			return err
		}
		files = append(files, &loader.BufferedFile{Name: strings.TrimPrefix(name, chartPath+"/"), Data: data})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(files)
}

func split(file string) ([][]byte, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(file)))
	var docs [][]byte
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
}

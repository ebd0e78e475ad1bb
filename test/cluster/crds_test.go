package cluster

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

const widgetCRD = `# A comment before the first document.
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: widgets.cluster.test
spec:
  group: cluster.test
  scope: Cluster
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: {type: object, properties: {size: {type: integer, maximum: 3}}}
`

func TestInstalledCRDsAreServedAtOnce(t *testing.T) {
	config := Shared(t).Config()
	gadget := strings.NewReplacer("widget", "gadget", "Widget", "Gadget").Replace(widgetCRD)
	files := fstest.MapFS{
		"a/two.yaml": {Data: []byte(widgetCRD + "---\n" + gadget)},
		"README.md":  {Data: []byte("not a manifest")},
	}
	if err := InstallCRDs(t.Context(), config, files); err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	create := func(kind, name string, size int64) error {
		_, err := client.Resource(schema.GroupVersionResource{
			Group: "cluster.test", Version: "v1", Resource: strings.ToLower(kind) + "s",
		}).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cluster.test/v1", "kind": kind,
			"metadata": map[string]any{"name": name},
			"spec":     map[string]any{"size": size},
		}}, metav1.CreateOptions{})
		return err
	}
	for _, kind := range []string{"Widget", "Gadget"} {
		if err := create(kind, "small", 3); err != nil {
			t.Error(err)
		}
		if err := create(kind, "large", 4); err == nil {
			t.Errorf("a %s that its schema refuses is admitted", kind)
		}
	}

	// A second installation replaces the first.
	files["a/two.yaml"].Data = []byte(strings.ReplaceAll(widgetCRD, "maximum: 3", "maximum: 5"))
	if err := InstallCRDs(t.Context(), config, files); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a Widget that only the new schema admits is admitted", func(context.Context) error {
		return create("Widget", "larger", 5)
	})
}

func TestWhatIsNoCRDIsRefused(t *testing.T) {
	conflicting := strings.NewReplacer("widgets.cluster.test", "things.cluster.test", "plural: widgets", "plural: things").
		Replace(widgetCRD)
	cases := map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"a folder without manifests": {files: fstest.MapFS{"README.md": {}}, want: "check the folder"},
		"another kind": {
			files: fstest.MapFS{"pod.yaml": {Data: []byte("apiVersion: v1\nkind: Pod\n")}}, want: "pod.yaml: it holds a /v1, Kind=Pod",
		},
		"a field that does not exist": {
			files: fstest.MapFS{"crd.yml": {Data: []byte(strings.Replace(widgetCRD, "scope:", "skope:", 1))}}, want: `unknown field "skope"`,
		},
		"a definition that the API server refuses": {
			files: fstest.MapFS{"crd.yaml": {Data: []byte(strings.Replace(widgetCRD, "scope: Cluster", "scope: Galaxy", 1))}}, want: "Galaxy",
		},
		"names that another definition has": {
			files: fstest.MapFS{
				"a.yaml": {Data: []byte(widgetCRD)}, "b.yaml": {Data: []byte(conflicting)},
			},
			want: "its names are not accepted",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := InstallCRDs(t.Context(), Shared(t).Config(), tc.files)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error that says %q", err, tc.want)
			}
		})
	}
}

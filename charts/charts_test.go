package charts_test

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/charts"
)

func TestFSHoldsWhatHelmReads(t *testing.T) {
	// Names that begin with a dot or an underscore are the ones that embed leaves out by default.
	for _, name := range []string{"Chart.yaml", "values.schema.json", ".helmignore", "templates/_helpers.tpl"} {
		if _, err := fs.Stat(charts.FS(), path.Join(charts.Name, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestRenderSaysWhatWentWrong(t *testing.T) {
	cases := map[string]struct {
		options charts.Options
		want    string
	}{
		"a value that is refused": {
			options: charts.Options{Helm: helm(t), Args: set("nonsense=1")},
			want:    "helm template: exit status 1: Error: values don't meet the specifications",
		},
		"no helm": {options: charts.Options{Helm: "/nonexistent/helm"}, want: "/nonexistent/helm"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := charts.Objects(t.Context(), tc.options)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestDecode(t *testing.T) {
	const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	cases := map[string]struct {
		manifest string
		want     []string
		wantErr  string
	}{
		"documents in their order": {
			manifest: "---\n# Source: a\n" + configMap + "---\n" + strings.Replace(configMap, "a}", "b}", 1),
			want:     []string{"a", "b"},
		},
		"a document of comments is none": {manifest: "---\n# nothing\n---\n" + configMap, want: []string{"a"}},
		"nothing":                        {manifest: ""},
		"a key that appears twice":       {manifest: configMap + "kind: Secret\n", wantErr: `decode document 1 of the manifest`},
		"a document that is no object":   {manifest: configMap + "---\nname: a\n", wantErr: "decode document 2 of the manifest"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			objects, err := charts.Decode([]byte(tc.manifest))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, object := range objects {
				got = append(got, object.GetName())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

// Numbers are int64, as everything that works on unstructured objects expects.
func TestObjectsCanBeReadAsUnstructured(t *testing.T) {
	objects, err := charts.Objects(t.Context(), charts.Options{Helm: helm(t), Args: set("replicaCount=3")})
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		spec, _ := object.Object["spec"].(map[string]any)
		if got, ok := spec["replicas"].(int64); !ok || got != 3 {
			t.Errorf("replicas %v of type %T, want int64 3", spec["replicas"], spec["replicas"])
		}
		return
	}
	t.Error("no Deployment")
}

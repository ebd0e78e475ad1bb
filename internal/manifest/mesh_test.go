package manifest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/routing"
)

// names is one line per name of the mesh: name -> revision version (tag).
func names(m *routing.Mesh) []string {
	var out []string
	line := func(name string) {
		found := m.Resolve(name)
		switch {
		case found.Revision == nil:
			out = append(out, name+" -> "+string(found.Reason))
		case found.Tag != nil:
			out = append(out, fmt.Sprintf("tag %s -> %s %s of %s", name, found.Revision.Name, found.Revision.Version, found.Revision.Istio))
		default:
			out = append(out, fmt.Sprintf("%s %s of %s", name, found.Revision.Version, found.Revision.Istio))
		}
	}
	for _, r := range m.Revisions() {
		line(r.Name)
	}
	for _, t := range m.Tags() {
		line(t.Name)
	}
	return out
}

func TestRecordedMeshes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"ambient-inplace":      {"default v1.29.6 of default"},
		"revisionbased-before": {"default-v1-29-6 v1.29.6 of default", "tag default -> default-v1-29-6 v1.29.6 of default", "tag prod -> default-v1-29-6 v1.29.6 of default"},
		"revisionbased-during": {"default-v1-29-6 v1.29.6 of default", "default-v1-30-3 v1.30.3 of default", "tag default -> default-v1-30-3 v1.30.3 of default", "tag prod -> default-v1-29-6 v1.29.6 of default"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := Read(t.Context(), Options{Paths: []string{"testdata/meshes/" + name + ".json"}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, names(set.Mesh)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if got := set.Mesh.NamespaceCount(); got != 12 {
				t.Errorf("got %d namespaces, want 12", got)
			}
		})
	}
}

// TestDeclaredMeshesMeanWhatTheOperatorMadeOfThem takes from what the real operator left behind everything that it
// wrote itself, and expects the same mesh of what is left.
func TestDeclaredMeshesMeanWhatTheOperatorMadeOfThem(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"ambient-inplace", "revisionbased-before", "revisionbased-during"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := "testdata/meshes/" + name + ".json"
			recorded, err := Read(t.Context(), Options{Paths: []string{file}})
			if err != nil {
				t.Fatal(err)
			}
			declared, err := Read(t.Context(), Options{Paths: []string{withoutStatus(t, file)}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(names(recorded.Mesh), names(declared.Mesh)); diff != "" {
				t.Errorf("names (-recorded +declared):\n%s", diff)
			}
		})
	}
}

// withoutStatus writes the objects of a user: no status, and no IstioRevision that an Istio stands for. The
// revision that is on its way out stays, as a user keeps it by an IstioRevision of their own.
func withoutStatus(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		Items      []map[string]any `json:"items"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	active := ""
	for _, o := range list.Items {
		if name, ok, _ := unstructured.NestedString(o, "status", "activeRevisionName"); ok {
			active = name
		}
	}
	kept := list.Items[:0]
	for _, o := range list.Items {
		delete(o, "status")
		name, _, _ := unstructured.NestedString(o, "metadata", "name")
		if o["kind"] == "MutatingWebhookConfiguration" || o["kind"] == "IstioRevision" && name == active {
			continue
		}
		kept = append(kept, o)
	}
	list.Items = kept
	out, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "declared.json")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDeclared(t *testing.T) {
	t.Parallel()
	object := func(kind, name, rest string) string {
		return "---\napiVersion: sailoperator.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + "}\n" + rest
	}
	const byRevision = ", updateStrategy: {type: RevisionBased}}\n"
	for name, tc := range map[string]struct {
		text     string
		live     bool
		want     []string
		warnings []string
	}{
		"an Istio in place stands for a revision of its name": {
			text: object("Istio", "east", "spec: {version: v1.30.3}\n"),
			want: []string{"east v1.30.3 of east"},
		},
		"an Istio by revision stands for one that has the version in its name": {
			text: object("Istio", "default", "spec: {version: v1.31.0-beta.1"+byRevision),
			want: []string{"default-v1-31-0-beta-1 v1.31.0-beta.1 of default"},
		},
		"an alias stays in the name": {
			text: object("Istio", "default", "spec: {version: v1.30-latest"+byRevision),
			want: []string{"default-v1-30-latest v1.30-latest of default"},
		},
		"a revision that is there is not implied": {
			text: object("Istio", "default", "spec: {version: v1.30-latest}\n") + object("IstioRevision", "default", "spec: {version: v1.30.3}\n"),
			want: []string{"default v1.30.3 of "},
		},
		"an older revision stays beside the one that is implied": {
			text: object("Istio", "default", "spec: {version: v1.30.3"+byRevision) + object("IstioRevision", "default-v1-29-6", "spec: {version: v1.29.6}\n"),
			want: []string{"default-v1-29-6 v1.29.6 of ", "default-v1-30-3 v1.30.3 of default"},
		},
		"tags lead where their spec says": {
			text: object("Istio", "default", "spec: {version: v1.30.3"+byRevision) +
				object("IstioRevisionTag", "prod", "spec: {targetRef: {kind: Istio, name: default}}\n") +
				object("IstioRevisionTag", "test", "spec: {targetRef: {kind: IstioRevision, name: default-v1-30-3}}\n"),
			want: []string{"default-v1-30-3 v1.30.3 of default", "tag prod -> default-v1-30-3 v1.30.3 of default", "tag test -> default-v1-30-3 v1.30.3 of default"},
		},
		"a tag leads where its status says, if it has one": {
			text: object("Istio", "default", "spec: {version: v1.30.3"+byRevision) + object("IstioRevision", "old", "spec: {version: v1.29.6}\n") +
				object("IstioRevisionTag", "prod", "spec: {targetRef: {kind: Istio, name: default}}\nstatus: {istioRevision: old}\n"),
			want: []string{"default-v1-30-3 v1.30.3 of default", "old v1.29.6 of ", "tag prod -> old v1.29.6 of "},
		},
		"a tag without its target dangles": {
			text: object("IstioRevision", "a", "spec: {version: v1.30.3}\n") + object("IstioRevisionTag", "b", "spec: {targetRef: {kind: Istio, name: default}}\n"),
			want: []string{"a v1.30.3 of ", "b -> DanglingTag"},
		},
		"an Istio with a status stands for its active revision": {
			text: object("Istio", "default", "spec: {version: v1.30.3"+byRevision+"status: {activeRevisionName: default-x}\n"),
			want: []string{"default-x v1.30.3 of default"},
		},
		"the version is not known while the operator has yet to see a change": {
			text: strings.Replace(object("Istio", "default", "spec: {version: v1.31.0"+byRevision+"status: {activeRevisionName: default-v1-30-3, observedGeneration: 1}\n"), "{name: default}", "{name: default, generation: 2}", 1),
			want: []string{"default-v1-30-3  of default"},
		},
		"an Istio by revision without a version": {
			text:     object("Istio", "default", "spec: {updateStrategy: {type: RevisionBased}}\n"),
			warnings: []string{"f.yaml:2: Istio default: without spec.version the name of its revision depends on the operator's release"},
		},
		"an update strategy that does not exist": {
			text:     object("Istio", "default", "spec: {updateStrategy: {type: Canary}}\n"),
			warnings: []string{`f.yaml:2: Istio default: spec.updateStrategy.type is "Canary", not InPlace or RevisionBased`},
		},
		"a value of the wrong type": {
			text:     object("Istio", "default", "spec: {version: v1.30.3, values: {global: {proxy: {autoInject: true}}}}\n"),
			want:     []string{"default v1.30.3 of default"},
			warnings: []string{"f.yaml:2: Istio default: spec.values.global.proxy.autoInject: is of type bool, want string"},
		},
		"in a cluster only what is there counts": {
			live: true,
			text: object("Istio", "default", "spec: {version: v1.30.3}\n") + object("IstioRevision", "a", "spec: {version: v1.29.6}\n") +
				object("IstioRevisionTag", "prod", "spec: {targetRef: {kind: IstioRevision, name: a}}\n"),
			want: []string{"a v1.29.6 of ", "prod -> DanglingTag"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewCollector(CollectOptions{Live: tc.live})
			if err := c.Add(t.Context(), "f.yaml", strings.NewReader(tc.text)); err != nil {
				t.Fatal(err)
			}
			set, err := c.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, names(set.Mesh)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.warnings, set.Warnings); diff != "" {
				t.Errorf("warnings (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPlainIstio reads what Istio's charts make: an injector, a tag, and the istiod that tells the version.
func TestPlainIstio(t *testing.T) {
	t.Parallel()
	injector := func(name, labels string) string {
		return "---\napiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata:\n  name: " + name +
			"\n  labels: {" + labels + "}\nwebhooks:\n- name: rev.namespace.sidecar-injector.istio.io\n" +
			"  clientConfig: {service: {name: istiod, namespace: istio-system}}\n  sideEffects: None\n  admissionReviewVersions: [v1]\n"
	}
	text := injector("istio-sidecar-injector-1-30", "istio.io/rev: 1-30") + injector("istio-revision-tag-prod", "istio.io/rev: 1-30, istio.io/tag: prod") +
		"---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: istiod-1-30\n  namespace: istio-system\n" +
		"  labels: {app: istiod, istio.io/rev: 1-30, app.kubernetes.io/version: 1.30.3}\nspec: {template: {}}\n"
	dir := written(t, map[string]string{"f.yaml": text})
	set, err := Read(t.Context(), Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"1-30 v1.30.3 of ", "tag prod -> 1-30 v1.30.3 of "}
	if diff := cmp.Diff(want, names(set.Mesh)); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

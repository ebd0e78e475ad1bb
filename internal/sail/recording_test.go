package sail_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// change is one line of a recording: a step of the procedure, or what became of one object.
type change struct {
	Step   string          `json:"step"`
	Event  string          `json:"event"`
	Object json.RawMessage `json:"object"`
}

func readRecording(t *testing.T, name string) []change {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var changes []change
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var c change
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		changes = append(changes, c)
	}
	return changes
}

// cluster folds objects as a watch would deliver them.
type cluster struct {
	revisions  map[string]routing.Revision
	tags       map[string]routing.Tag
	injectors  []sail.Injector
	istiods    []sail.Istiod
	namespaces []routing.Namespace
}

func newCluster() *cluster {
	return &cluster{revisions: map[string]routing.Revision{}, tags: map[string]routing.Tag{}}
}

func (c *cluster) apply(t *testing.T, event string, raw json.RawMessage) {
	t.Helper()
	var object metav1.PartialObjectMetadata
	decode(t, raw, &object)
	switch object.Kind {
	case "IstioRevision":
		var r sail.IstioRevision
		decode(t, raw, &r)
		c.revisions[r.Name] = r.Revision()
		if event == "DELETED" {
			delete(c.revisions, r.Name)
		}
	case "IstioRevisionTag":
		var tag sail.IstioRevisionTag
		decode(t, raw, &tag)
		c.tags[tag.Name] = tag.Tag()
		if event == "DELETED" {
			delete(c.tags, tag.Name)
		}
	case "MutatingWebhookConfiguration":
		var w admissionregistrationv1.MutatingWebhookConfiguration
		decode(t, raw, &w)
		if in, ok := sail.FromWebhookConfiguration(&w); ok {
			c.injectors = append(c.injectors, in)
		}
	case "Deployment":
		c.istiods = append(c.istiods, sail.IstiodOf(object.Namespace, object.Labels))
	case "Namespace":
		c.namespaces = append(c.namespaces, routing.NamespaceOf(object.Name, object.Labels))
	}
}

func (c *cluster) mesh() *routing.Mesh {
	in := sail.Inventory{Injectors: c.injectors, Istiods: c.istiods, Namespaces: c.namespaces}
	for _, r := range c.revisions {
		in.Revisions = append(in.Revisions, r)
	}
	for _, tag := range c.tags {
		in.Tags = append(in.Tags, tag)
	}
	return routing.NewMesh(in.Objects())
}

func decode(t *testing.T, raw []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

// describe writes a mesh on one line: name@version of each revision, then name->revision of each tag.
func describe(m *routing.Mesh) string {
	var words []string
	for _, r := range m.Revisions() {
		word := r.Name + "@" + r.Version
		if r.Deleting {
			word += "(deleting)"
		}
		words = append(words, word)
	}
	for _, tag := range m.Tags() {
		words = append(words, tag.Name+"->"+tag.Revision)
	}
	return strings.Join(words, " ")
}

// meaning tells what a name in istio.io/rev means.
func meaning(m *routing.Mesh, name string) string {
	r := m.Resolve(name)
	if r.Revision == nil {
		return string(r.Reason)
	}
	if r.Tag != nil {
		return fmt.Sprintf("%s by tag %s", r.Revision.Name, r.Tag.Name)
	}
	return r.Revision.Name
}

func TestRecordedUpdateWithTag(t *testing.T) {
	// What the mesh is when the next step begins. The first pair of steps is only milliseconds apart.
	want := []struct{ step, mesh, meansDefault string }{
		{"apply Istio default v1.29.6 RevisionBased", "", "UnknownRevision"},
		{"apply IstioRevisionTag default -> Istio default", "default-v1-29-6@v1.29.6", "UnknownRevision"},
		{"apply IstioCNI default", "default-v1-29-6@v1.29.6 default->default-v1-29-6", "default-v1-29-6 by tag default"},
		{"label ns bookinfo istio-injection=enabled; pod injected", "default-v1-29-6@v1.29.6 default->default-v1-29-6", "default-v1-29-6 by tag default"},
		{"patch Istio default v1.30.3", "default-v1-29-6@v1.29.6 default->default-v1-29-6", "default-v1-29-6 by tag default"},
		{"restart: old pod deleted, new pod injected by default-v1-30-3", "default-v1-29-6@v1.29.6 default-v1-30-3@v1.30.3 default->default-v1-30-3", "default-v1-30-3 by tag default"},
		{"apply IstioRevisionTag broken -> Istio missing", "default-v1-30-3@v1.30.3 default->default-v1-30-3", "default-v1-30-3 by tag default"},
		{"apply IstioRevisionTag default-v1-30-3 (name taken by an IstioRevision)", "default-v1-30-3@v1.30.3 broken-> default->default-v1-30-3", "default-v1-30-3 by tag default"},
		{"done", "default-v1-30-3@v1.30.3 broken-> default->default-v1-30-3 default-v1-30-3->", "default-v1-30-3 by tag default"},
	}
	c := newCluster()
	for _, change := range readRecording(t, "revisionbased-tag.jsonl") {
		if change.Step == "" {
			c.apply(t, change.Event, change.Object)
			continue
		}
		if len(want) == 0 || want[0].step != change.Step {
			t.Fatalf("step %q was not expected", change.Step)
		}
		if got := describe(c.mesh()); got != want[0].mesh {
			t.Errorf("before %q the mesh is %q, want %q", change.Step, got, want[0].mesh)
		}
		if got := meaning(c.mesh(), "default"); got != want[0].meansDefault {
			t.Errorf("before %q default means %q, want %q", change.Step, got, want[0].meansDefault)
		}
		want = want[1:]
	}
	if len(want) > 0 {
		t.Fatalf("step %q is missing", want[0].step)
	}
	m := c.mesh()
	if got := meaning(m, "broken"); got != "DanglingTag" {
		t.Errorf("a tag without target means %q, want DanglingTag", got)
	}
	if got := meaning(m, "default-v1-30-3"); got != "default-v1-30-3" {
		t.Errorf("a name that a younger tag also has means %q, want the revision", got)
	}
	if r := m.Resolve("default-v1-30-3").Revision; r.Istio != "default" || r.Namespace != "istio-system" || r.Origin != routing.Sail {
		t.Errorf("the revision is of Istio %q in %q from %s, want default in istio-system from Sail", r.Istio, r.Namespace, r.Origin)
	}
}

func TestRecordedMeshes(t *testing.T) {
	cases := map[string]struct {
		want  string
		means map[string]string
	}{
		"revisionbased-during.json": {
			want: "default-v1-29-6@v1.29.6 default-v1-30-3@v1.30.3 default->default-v1-30-3 prod->default-v1-29-6",
			means: map[string]string{
				"default": "default-v1-30-3 by tag default", "prod": "default-v1-29-6 by tag prod",
				"default-v1-29-6": "default-v1-29-6",
				"defualt":         "UnknownRevision",
			},
		},
		"ambient-inplace.json": {
			want:  "default@v1.29.6",
			means: map[string]string{"default": "default", "prod": "UnknownRevision"},
		},
	}
	for file, tc := range cases {
		t.Run(file, func(t *testing.T) {
			c := readMesh(t, file)
			if len(c.injectors) > 0 {
				t.Errorf("configurations that the Sail Operator owns were read: %+v", c.injectors)
			}
			m := c.mesh()
			if got := describe(m); got != tc.want {
				t.Errorf("the mesh is %q, want %q", got, tc.want)
			}
			for name, want := range tc.means {
				if got := meaning(m, name); got != want {
					t.Errorf("%s means %q, want %q", name, got, want)
				}
			}
		})
	}
}

// The objects of the Sail Operator alone say what there is: with every one of them gone, the configurations that
// they left behind bring nothing back.
func TestLeftoverConfigurationsOfSailCountForNothing(t *testing.T) {
	c := readMesh(t, "revisionbased-during.json")
	clear(c.revisions)
	clear(c.tags)
	if m := c.mesh(); !m.Empty() {
		t.Errorf("left with %q, want no revision", describe(m))
	}
}

// The same configurations without their owners are those of plain Istio, and tell the same mesh.
func TestConfigurationsAloneTellTheSameMesh(t *testing.T) {
	for _, file := range []string{"revisionbased-during.json", "ambient-inplace.json"} {
		t.Run(file, func(t *testing.T) {
			c := readMesh(t, file)
			want := describe(c.mesh())
			clear(c.revisions)
			clear(c.tags)
			for _, raw := range items(t, file) {
				var w admissionregistrationv1.MutatingWebhookConfiguration
				decode(t, raw, &w)
				w.OwnerReferences = nil
				if in, ok := sail.FromWebhookConfiguration(&w); ok {
					c.injectors = append(c.injectors, in)
				}
			}
			if got := describe(c.mesh()); got != want {
				t.Errorf("the mesh is %q, want %q", got, want)
			}
		})
	}
}

func items(t *testing.T, file string) []json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Items []json.RawMessage }
	decode(t, data, &list)
	return list.Items
}

func readMesh(t *testing.T, file string) *cluster {
	t.Helper()
	c := newCluster()
	for _, raw := range items(t, file) {
		c.apply(t, "ADDED", raw)
	}
	return c
}

package mesh_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
)

// TestReplayedUpdateWithTag writes what the Sail Operator wrote in a real update with a tag, object by object, to an
// API server, and judges the mesh before each next step of the procedure.
func TestReplayedUpdateWithTag(t *testing.T) {
	config := cluster.Shared(t).Config()
	if err := cluster.InstallCRDs(t.Context(), config, sail.CRDs()); err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, config)
	s, _ := run(t, mesh.Options{Config: config})
	awaitReady(t, s)

	want := []struct{ step, mesh, means string }{
		{"apply Istio default v1.29.6 RevisionBased", "", "UnknownRevision"},
		{"apply IstioRevisionTag default -> Istio default", "default-v1-29-6@v1.29.6", "UnknownRevision"},
		{"apply IstioCNI default", "default-v1-29-6@v1.29.6 default->default-v1-29-6", "default-v1-29-6"},
		{"label ns bookinfo istio-injection=enabled; pod injected", "default-v1-29-6@v1.29.6 default->default-v1-29-6", "default-v1-29-6"},
		{"patch Istio default v1.30.3", "default-v1-29-6@v1.29.6 default->default-v1-29-6", "default-v1-29-6"},
		{"restart: old pod deleted, new pod injected by default-v1-30-3", "default-v1-29-6@v1.29.6 default-v1-30-3@v1.30.3 default->default-v1-30-3", "default-v1-30-3"},
		{"apply IstioRevisionTag broken -> Istio missing", "default-v1-30-3@v1.30.3 default->default-v1-30-3", "default-v1-30-3"},
		{"apply IstioRevisionTag default-v1-30-3 (name taken by an IstioRevision)", "default-v1-30-3@v1.30.3 broken-> default->default-v1-30-3", "default-v1-30-3"},
		{"done", "default-v1-30-3@v1.30.3 broken-> default->default-v1-30-3 default-v1-30-3->", "default-v1-30-3"},
	}
	for _, line := range readRecording(t) {
		if line.Step == "" {
			a.replay(line.Event, &unstructured.Unstructured{Object: line.Object})
			continue
		}
		if len(want) == 0 || want[0].step != line.Step {
			t.Fatalf("step %q was not expected", line.Step)
		}
		awaitMesh(t, s, want[0].mesh)
		means := string(s.Mesh().Resolve("default").Reason)
		if r := s.Mesh().Resolve("default").Revision; r != nil {
			means = r.Name
		}
		if means != want[0].means {
			t.Errorf("before %q default means %q, want %q", line.Step, means, want[0].means)
		}
		// Ages decide about names, and creation times have whole seconds.
		a.awaitNextSecond()
		want = want[1:]
	}
	if len(want) > 0 {
		t.Fatalf("step %q is missing", want[0].step)
	}
	if own := s.Mesh().Resolve("default-v1-30-3"); own.Revision == nil || own.Tag != nil {
		t.Errorf("a name that a younger tag also has means %+v, want the revision itself", own)
	}
	if r := s.Mesh().Resolve("default-v1-30-3").Revision; r.Istio != "default" || r.Namespace != "istio-system" {
		t.Errorf("the revision is of Istio %q in %q, want default in istio-system", r.Istio, r.Namespace)
	}
	istios := s.Istios()
	if len(istios) != 1 || istios[0].Status.ActiveRevisionName != "default-v1-30-3" || istios[0].Spec.UpdateStrategy.Type != "RevisionBased" {
		t.Errorf("the Istios are %+v, want one with the active revision default-v1-30-3", istios)
	}
}

type recorded struct {
	Step   string         `json:"step"`
	Event  string         `json:"event"`
	Object map[string]any `json:"object"`
}

func readRecording(t *testing.T) []recorded {
	t.Helper()
	data, err := os.ReadFile("testdata/revisionbased-tag.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		var line recorded
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}

// replay writes one recorded state. The API server gives the object a UID and a creation time of its own.
func (a *api) replay(event string, o *unstructured.Unstructured) {
	a.t.Helper()
	deleting := o.GetDeletionTimestamp() != nil
	for _, field := range []string{"uid", "resourceVersion", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds"} {
		unstructured.RemoveNestedField(o.Object, "metadata", field)
	}
	switch {
	case event == "ADDED":
		text, err := json.Marshal(o.Object)
		if err != nil {
			a.t.Fatal(err)
		}
		a.create(string(text))
	case event == "DELETED":
		a.patch(o, `{"metadata":{"finalizers":null}}`)
	case deleting:
		a.delete(o)
	default:
		metadata, err := json.Marshal(map[string]any{"metadata": o.Object["metadata"], "spec": o.Object["spec"]})
		if err != nil {
			a.t.Fatal(err)
		}
		a.patch(o, string(metadata))
		if o.Object["status"] != nil {
			a.status(o)
		}
	}
}

// awaitNextSecond waits until an object made now would get another creation time than one made before.
func (a *api) awaitNextSecond() {
	a.t.Helper()
	var first string
	eventually(a.t, func() string {
		probe := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"generateName": "probe-"},
		}}
		made, err := a.of(probe).Create(a.t.Context(), probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err.Error()
		}
		created := made.GetCreationTimestamp()
		now := created.String()
		if first == "" {
			first = now
		}
		if now == first {
			return "the API server's clock is still at " + now
		}
		return ""
	})
}

package mesh

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// TestReplayedUpdateInForward plays what the Sail Operator wrote in a real update with a tag, which flips at once, and
// lets the new revision's endpoint come last: until then the tag stays where it was, after that it has moved.
func TestReplayedUpdateInForward(t *testing.T) {
	const old, next = "default-v1-29-6", "default-v1-30-3"
	s := offline(t, Options{Mode: routing.Forward})
	f := &fakeServer{objects: map[string]map[string]any{}}
	f.happen(t, s, event{"configmaps", false, aRoot("istio-system", authority(t))})
	f.happen(t, s, event{"endpointslices", false, aSlice("istio-system", "istiod-"+old, "a", true)})
	means := func() string {
		f.catchUp(t, s)
		r := s.Mesh().Resolve("default")
		if r.Revision == nil {
			return string(r.Reason)
		}
		return r.Revision.Name + string(r.Followed)
	}
	// What the tag default means before each step: in guard it is the new revision from the restart on.
	want := map[string]string{
		"apply IstioCNI default": old, "patch Istio default v1.30.3": old,
		"restart: old pod deleted, new pod injected by default-v1-30-3": old + "LastGood",
	}
	checked := 0
	replayRecording(t, func(step string, e event) {
		if step == "" {
			f.happen(t, s, e)
			return
		}
		if expected, ok := want[step]; ok {
			checked++
			if got := means(); got != expected {
				t.Errorf("before %q default means %s, want %s", step, got, expected)
			}
		}
		if step == "restart: old pod deleted, new pod injected by default-v1-30-3" {
			f.happen(t, s, event{"endpointslices", false, aSlice("istio-system", "istiod-"+next, "b", true)})
			if got := means(); got != next {
				t.Errorf("with an endpoint default means %s, want %s", got, next)
			}
		}
	})
	if checked != len(want) {
		t.Errorf("%d steps were found, want %d", checked, len(want))
	}
	if got := means(); got != next {
		t.Errorf("in the end default means %s, want %s", got, next)
	}
}

// replayRecording calls yield with each step, and with each event of a kind that counts.
func replayRecording(t *testing.T, yield func(step string, e event)) {
	t.Helper()
	data, err := os.ReadFile("testdata/revisionbased-tag.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		var line struct {
			Step, Event string
			Object      json.RawMessage
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		if line.Step != "" {
			yield(line.Step, event{})
			continue
		}
		var head struct{ Kind string }
		if err := json.Unmarshal(line.Object, &head); err != nil {
			t.Fatal(err)
		}
		known := map[string]struct {
			resource string
			object   runtime.Object
		}{
			"Istio": {"istios", &sail.Istio{}}, "IstioRevision": {"istiorevisions", &sail.IstioRevision{}},
			"IstioRevisionTag": {"istiorevisiontags", &sail.IstioRevisionTag{}},
		}
		made, ok := known[head.Kind]
		if !ok {
			continue
		}
		if err := json.Unmarshal(line.Object, made.object); err != nil {
			t.Fatal(err)
		}
		yield("", event{made.resource, line.Event == "DELETED", made.object})
	}
}

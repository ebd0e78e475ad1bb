package webhook

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// fuzzWorlds are what a review is answered in: the byte of a fuzz input picks one.
func fuzzWorlds() []struct{ mesh, namespace, entry string } {
	return []struct{ mesh, namespace, entry string }{
		{plainMesh, "istio.io/rev=prod", "namespace-revision"},
		{plainMesh, "istio.io/rev=prdo", "namespace-revision"},
		{"default@v1.30.3;byDefault;never=app;always=version", "istio-injection=enabled istio.io/rev=x", "namespace-injection"},
		{"default@v1.30.3;byDefault", "", "namespaces-by-default"},
		{"r1@1+2 canary;autoInject=disabled;always=version default->canary prod->gone", "", "pod-revision"},
		{"", "istio.io/rev=", "namespace-revision"},
	}
}

// FuzzPodReview holds the pod path to its promises for every body: it never panics, it reads what Kubernetes' decoder reads,
// its answer is an AdmissionReview with the request's UID or an error that the API server understands, and its
// patch applies, changes the router's keys alone and leaves nothing to do for a second call.
func FuzzPodReview(f *testing.F) {
	for i, name := range goldenNames() {
		f.Add(readGolden(f, name).sections["review.json"], byte(i))
	}
	for _, body := range oddBodies() {
		f.Add([]byte(body), byte(0))
	}
	f.Add(podOfSize(f, 6<<10), byte(2))
	f.Fuzz(func(t *testing.T, body []byte, pick byte) {
		read := checkDecode(t, body)
		if read {
			checkTyped(t, body)
		}
		world := fuzzWorlds()[int(pick)%len(fuzzWorlds())]
		// The snapshot knows no namespace, so that the one of the body comes from the API server, whatever its name.
		policy := routing.Policy{Unresolved: routing.Warn, NoMesh: routing.Warn}
		if pick >= 128 {
			policy = routing.DefaultPolicy()
		}
		r := newRig(meshOf(world.mesh), policy)
		r.live.ns, r.live.err = namespaceOf("bookinfo", world.namespace), nil
		h := r.router.Handler(entryNamed(t, world.entry))
		w := post(h, string(body))
		if r.recorder.panics > 0 {
			t.Fatalf("%q: a panic: %v", clipped(body), r.lines)
		}
		if w.Code != http.StatusOK {
			checkStatus(t, w, http.StatusBadRequest)
			return
		}
		if !read {
			t.Fatalf("%q is answered and cannot be read", clipped(body))
		}
		checkAnswer(t, h, r, answered{body, w.Body.Bytes()})
	})
}

// answered is a review and the answer to it.
type answered struct{ body, answer []byte }

func checkAnswer(t *testing.T, h http.Handler, r *rig, a answered) {
	t.Helper()
	response := strictReview(t, a.answer).Response
	want, err := reference(a.body, false)
	if err != nil || string(response.UID) != want.UID {
		t.Fatalf("%q: uid %q, want %q (%v)", clipped(a.body), response.UID, want.UID, err)
	}
	for _, line := range response.Warnings {
		if line == "" || len(line) > routing.MaxWarningLength {
			t.Fatalf("a warning of %d bytes: %q", len(line), line)
		}
	}
	if len(r.recorder.outcomes) == 0 {
		if len(response.Patch) > 0 {
			t.Fatalf("%q is patched without a decision: %s", clipped(a.body), response.Patch)
		}
		return
	}
	if !response.Allowed && len(response.Patch) > 0 {
		t.Fatalf("%q is denied and patched", clipped(a.body))
	}
	// With duplicate keys, a JSON Patch and Kubernetes' decoder do not mean the same pod. The API server never sends any.
	if !response.Allowed || duplicates(a.body) {
		return
	}
	d := r.recorder.outcomes[0].Decision
	checkPatch(t, d, objectOf(t, a.body))
	if len(response.Patch) == 0 {
		return
	}
	again := post(h, patchedReview(t, a.body, response.Patch))
	if second := strictReview(t, again.Body.Bytes()).Response; !second.Allowed || len(second.Patch) > 0 {
		t.Fatalf("%q: the second call is answered %s", clipped(a.body), again.Body)
	}
	if redecided := r.recorder.outcomes[1].Decision; redecided != d {
		t.Fatalf("%q: decided %+v, and after the patch %+v", clipped(a.body), d, redecided)
	}
}

func objectOf(t *testing.T, body []byte) []byte {
	t.Helper()
	var review, request map[string]json.RawMessage
	if err := json.Unmarshal(body, &review); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(review["request"], &request); err != nil {
		t.Fatal(err)
	}
	return request["object"]
}

package webhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/validation"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/revision-router/revision-router/routing"
)

// podReviewOf is a review about a pod in bookinfo, with the metadata and the rest of the request as given.
func podReviewOf(metadata, more string) string {
	return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u1","operation":"CREATE",` +
		`"namespace":"bookinfo","resource":{"group":"","version":"v1","resource":"pods"},` +
		`"kind":{"group":"","version":"v1","kind":"Pod"},"object":{"metadata":{` + metadata + `}}` + more + `}}`
}

func TestEntriesAreThoseOfTheContract(t *testing.T) {
	want := []Entry{
		{"namespace-injection.pods.revision-router.io", "/mutate-v1-pod/namespace-injection", HasInjection},
		{"namespace-revision.pods.revision-router.io", "/mutate-v1-pod/namespace-revision", HasRevision},
		{"pod-revision.pods.revision-router.io", "/mutate-v1-pod/pod-revision", HasNeither},
		{"pod-injection.pods.revision-router.io", "/mutate-v1-pod/pod-injection", HasNeither},
		{"namespaces-by-default.pods.revision-router.io", "/mutate-v1-pod/namespaces-by-default", HasNeither},
	}
	if diff := cmp.Diff(want, Entries()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAuditKeysAreAcceptedByTheAPIServer(t *testing.T) {
	for _, e := range Entries() {
		if msgs := validation.IsDNS1123Subdomain(e.Name); len(msgs) > 0 {
			t.Errorf("webhook name %s: %v", e.Name, msgs)
		}
		for _, key := range []string{auditDecision, auditReason, auditRevision, auditTag} {
			// This is how the API server makes the key, and what it checks (apiserver, admission/attributes.go).
			if msgs := validation.IsQualifiedName(e.Name + "/" + key); len(msgs) > 0 {
				t.Errorf("audit annotation %s/%s: %v", e.Name, key, msgs)
			}
		}
	}
}

var _ Registrar = ctrlwebhook.Server(nil)

// paths is a Registrar.
type paths map[string]http.Handler

func (p paths) Register(path string, hook http.Handler) { p[path] = hook }

func TestRegisterServesEveryEntryOnItsPath(t *testing.T) {
	r := newRig(meshOf(plainMesh, namespaceOf("bookinfo", "istio.io/rev=prod")), routing.DefaultPolicy())
	server := paths{}
	r.router.Register(server)
	for _, e := range Entries() {
		if server[e.Path] == nil {
			t.Errorf("nothing is registered on %s", e.Path)
			continue
		}
		post(server[e.Path], podReviewOf(`"name":"web"`, ""))
	}
	var want []string
	for _, e := range Entries() {
		want = append(want, e.Name)
	}
	if diff := cmp.Diff(want, r.recorder.served); diff != "" {
		t.Errorf("entries that served (-want +got):\n%s", diff)
	}
	if len(server) != len(want) {
		t.Errorf("%d paths are registered, want %d", len(server), len(want))
	}
}

func TestOptionsNameWhatIsMissing(t *testing.T) {
	if err := quiet(meshOf("")).Validate(); err != nil {
		t.Errorf("complete options: %v", err)
	}
	err := PodRouterOptions{}.Validate()
	for _, option := range []string{"Meshes", "Namespaces", "Policy", "Recorder", "Now"} {
		if err == nil || !strings.Contains(err.Error(), "option "+option+" is missing") {
			t.Errorf("error %v does not name %s", err, option)
		}
	}
}

func TestEventsOfARequest(t *testing.T) {
	mesh := func() *routing.Mesh { return meshOf(plainMesh, namespaceOf("bookinfo", "istio.io/rev=prdo")) }
	cases := map[string]struct {
		policy  routing.Policy
		body    string
		want    Outcome
		allowed bool
		log     string
	}{
		"refused": {
			policy: routing.DefaultPolicy(), body: podReviewOf(`"generateName":"web-"`, ""),
			want: Outcome{Decision: routing.Decision{Action: routing.Unresolvable, Reason: routing.UnknownRevision}, Verdict: routing.Refused},
			log: `"level"=0 "msg"="denied" "code"=403 "reason"="UnknownRevision" "wanted"="prdo" "pod"="web-*" ` +
				`"namespace"="bookinfo" "dryRun"=false`,
		},
		"let in by a policy that warns, in a dry run": {
			policy: routing.Policy{Unresolved: routing.Warn}, body: podReviewOf(`"name":"web"`, `,"dryRun":true`),
			want: Outcome{
				Decision: routing.Decision{Action: routing.Unresolvable, Reason: routing.UnknownRevision},
				Verdict:  routing.AdmittedUnresolved, DryRun: true,
			},
			allowed: true,
			log: `"level"=1 "msg"="allowed" "action"="Unresolvable" "reason"="UnknownRevision" "revision"="" "tag"="" ` +
				`"pod"="web" "namespace"="bookinfo" "dryRun"=true`,
		},
		"skipped": {
			policy: routing.DefaultPolicy(), body: podReviewOf(`"name":"web","labels":{"sidecar.istio.io/inject":"false"}`, ""),
			want:    Outcome{Decision: routing.Decision{Action: routing.Skip, Reason: routing.PodOptOut}, Verdict: routing.Admitted},
			allowed: true,
			log: `"level"=1 "msg"="allowed" "action"="Skip" "reason"="PodOptOut" "revision"="" "tag"="" ` +
				`"pod"="web" "namespace"="bookinfo" "dryRun"=false`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(mesh(), tc.policy)
			w := post(r.router.Handler(entryNamed(t, "namespace-revision")), tc.body)
			if got := strictReview(t, w.Body.Bytes()).Response.Allowed; got != tc.allowed {
				t.Errorf("allowed %t, want %t", got, tc.allowed)
			}
			got := r.recorder.outcomes
			if len(got) != 1 || got[0].Decision.Action != tc.want.Decision.Action ||
				got[0].Decision.Reason != tc.want.Decision.Reason || got[0].Verdict != tc.want.Verdict || got[0].DryRun != tc.want.DryRun {
				t.Errorf("outcomes %+v, want %+v", got, tc.want)
			}
			if diff := cmp.Diff([]string{tc.log}, r.lines); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
			if r.recorder.took[0] != time.Millisecond || r.recorder.bytes[0] != len(tc.body) {
				t.Errorf("served %d bytes in %s, want %d in 1ms", r.recorder.bytes[0], r.recorder.took[0], len(tc.body))
			}
		})
	}
}

func TestForeignRequestsPassAndAreCounted(t *testing.T) {
	pod := podReviewOf(`"name":"web","labels":{"revision-router.io/revision":"lie"}`, "")
	for name, tc := range map[string]struct {
		old, with string
		want      Exemption
	}{
		"an update":              {`"CREATE"`, `"UPDATE"`, OtherOperation},
		"no operation":           {`"operation":"CREATE",`, ``, OtherOperation},
		"another resource":       {`"resource":"pods"`, `"resource":"deployments"`, OtherResource},
		"pods of another group":  {`"group":"","version":"v1","resource"`, `"group":"metrics.k8s.io","version":"v1","resource"`, OtherResource},
		"pods of another time":   {`"version":"v1","resource"`, `"version":"v2","resource"`, OtherResource},
		"a subresource":          {`"uid"`, `"subResource":"eviction","uid"`, OtherResource},
		"another kind of object": {`"kind":"Pod"`, `"kind":"Binding"`, OtherResource},
	} {
		t.Run(name, func(t *testing.T) {
			r := guardRig()
			w := post(r.router.Handler(entryNamed(t, "namespace-revision")), strings.Replace(pod, tc.old, tc.with, 1))
			review := strictReview(t, w.Body.Bytes())
			if !review.Response.Allowed || len(review.Response.Patch) > 0 || review.Response.AuditAnnotations != nil {
				t.Errorf("answer %s", w.Body)
			}
			if diff := cmp.Diff([]Exemption{tc.want}, r.recorder.exemptions); diff != "" || len(r.recorder.outcomes) > 0 {
				t.Errorf("outcomes %v, exemptions (-want +got):\n%s", r.recorder.outcomes, diff)
			}
		})
	}
}

// panicking panics as a MeshSource, a NamespaceGetter and a policy.
type panicking struct{}

func (panicking) Mesh() *routing.Mesh { panic("mesh") }
func (panicking) Namespace(context.Context, string) (routing.Namespace, error) {
	panic("namespace")
}

func TestAPanicCostsOneRequest(t *testing.T) {
	for name, breakIt := range map[string]func(*PodRouterOptions){
		"in the source of the mesh":      func(o *PodRouterOptions) { o.Meshes = panicking{} },
		"in the getter of the namespace": func(o *PodRouterOptions) { o.Namespaces = panicking{} },
		"in the policy":                  func(o *PodRouterOptions) { o.Policy = func() routing.Policy { panic("policy") } },
	} {
		t.Run(name, func(t *testing.T) {
			r := guardRig()
			healthy := r.router.options
			breakIt(&r.router.options)
			entry := "namespace-revision"
			if name == "in the getter of the namespace" {
				entry = "pod-revision" // disagrees with the snapshot
			}
			w := post(r.router.Handler(entryNamed(t, entry)), podReviewOf(`"name":"secret-name"`, ""))
			if w.Code != http.StatusInternalServerError || r.recorder.panics != 1 || len(r.recorder.served) != 1 {
				t.Errorf("status %d, panics %d, served %d: %s", w.Code, r.recorder.panics, len(r.recorder.served), w.Body)
			}
			checkStatus(t, w, http.StatusInternalServerError)
			log := strings.Join(r.lines, "\n")
			if !strings.Contains(log, "panic: ") || !strings.Contains(log, "podhandler.go") || strings.Contains(log, "secret-name") {
				t.Errorf("the log should have the panic and the stack, and nothing of the request:\n%s", log)
			}
			r.router.options = healthy
			if w := post(r.router.Handler(entryNamed(t, "namespace-revision")), podReviewOf(`"name":"web"`, "")); w.Code != http.StatusOK {
				t.Errorf("the next request is answered with %d", w.Code)
			}
		})
	}
}

// Requests at the same time share buffers one after the other, and never see each other's.
func TestConcurrentRequestsDoNotMix(t *testing.T) {
	h := NewPodRouter(quiet(meshOf("r1@v1.30.3;never=none", namespaceOf("bookinfo", "istio.io/rev=gone")))).
		Handler(entryNamed(t, "namespace-revision"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				name := fmt.Sprintf("pod-%d-%d-%s", i, j, strings.Repeat("x", (i*37+j*11)%200))
				body := strings.Replace(podReviewOf(`"name":"`+name+`","labels":{"app":"`+name+`"}`, ""), `"u1"`, `"`+name+`"`, 1)
				review := strictReview(t, post(h, body).Body.Bytes())
				if string(review.Response.UID) != name || !strings.Contains(review.Response.Result.Message, `"`+name+`"`) {
					t.Errorf("asked about %s, answered %+v", name, review.Response)
					return
				}
			}
		})
	}
	wg.Wait()
}

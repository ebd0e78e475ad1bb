package webhook

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

func TestAnInjectedPodHasSidecarAndMarks(t *testing.T) {
	r := newForwardRig(t, injector.IstiodOptions{})
	body := recordedReview(t, "bookinfo-productpage")
	response := answered200(t, r.ask(t, body, "10s"))
	after := applyPatch(t, objectOf(t, []byte(body)), response.Patch)
	pod := looseObject(t, after)
	got := map[string]any{}
	for _, own := range ownKeys(marks{}) {
		got[own[1]] = mapIn(pod, own[0])[own[1]]
	}
	want := map[string]any{
		routing.LabelRoutedRevision: "r128", routing.LabelRoutedVersion: "v1.28.3", routing.AnnotationReason: "NamespaceRevision",
		routing.AnnotationTag: "prod", routing.AnnotationFollowed: nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks (-want +got):\n%s", diff)
	}
	if mapIn(pod, "annotations")["istio.io/rev"] != "r128" || !strings.Contains(string(after), injector.ProxyName) {
		t.Errorf("no sidecar: %s", after)
	}
	// The same pod once more, as in a reinvocation.
	again := answered200(t, r.ask(t, reviewOf(t, body, after), "10s"))
	if !again.Allowed || len(again.Patch) > 0 {
		t.Errorf("the second time: %+v %s", again, again.Patch)
	}
	if diff := cmp.Diff([]forward.Result{forward.Injected, forward.AlreadyInjected}, r.results); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if c := r.istiod.Counts(); c.Doubled != 0 || c.Injected != 1 {
		t.Errorf("counts %+v", c)
	}
}

// reviewOf puts another pod into a review.
func reviewOf(t testing.TB, body string, object []byte) string {
	t.Helper()
	var review map[string]any
	if err := json.Unmarshal([]byte(body), &review); err != nil {
		t.Fatal(err)
	}
	request, ok := review["request"].(map[string]any)
	if !ok {
		t.Fatalf("no request in %.200s", body)
	}
	request["object"] = json.RawMessage(object)
	return string(marshal(t, review))
}

// A tag that moves between two passes, or a pod that is copied, must not be given a second sidecar.
func TestNoPodGetsTwoRevisions(t *testing.T) {
	r := newForwardRig(t, injector.IstiodOptions{})
	body := recordedReview(t, "bookinfo-productpage")
	first := answered200(t, r.ask(t, body, "10s"))
	after := applyPatch(t, objectOf(t, []byte(body)), first.Patch)
	r.router.options.Meshes = fixedMesh{forwardMesh(routing.Rollout{Revision: "r130", Percent: 100})}
	second := answered200(t, r.ask(t, reviewOf(t, body, after), "10s"))
	if second.Allowed || second.Result.Code != http.StatusConflict || !strings.Contains(second.Result.Message, `sidecar of revision "r128"`) {
		t.Errorf("%+v", second.Result)
	}
	if c := r.istiod.Counts(); c.Requests != 1 {
		t.Errorf("%d requests", c.Requests)
	}
	fresh := answered200(t, r.ask(t, body, "10s"))
	for _, want := range []string{`"value":"r130"`, `followed","value":"` + string(routing.FollowedRollout)} {
		if !strings.Contains(string(fresh.Patch), want) {
			t.Errorf("the patch of a new pod lacks %s: %s", want, fresh.Patch)
		}
	}
	if fresh.AuditAnnotations["followed"] != string(routing.FollowedRollout) {
		t.Errorf("audit %v", fresh.AuditAnnotations)
	}
}

func TestWhatIsNotForwarded(t *testing.T) {
	in := func(namespace, object string) string {
		return `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","kind":{"version":"v1","kind":"Pod"},` +
			`"resource":{"version":"v1","resource":"pods"},"operation":"CREATE","namespace":"` + namespace + `","object":` + object + `}}`
	}
	pod := `{"metadata":{"name":"web"},"spec":{}}`
	for name, tc := range map[string]struct {
		body  string
		code  int32
		patch string
	}{
		"a pod that opts out":              {body: in("bookinfo", `{"metadata":{"name":"web","labels":{"sidecar.istio.io/inject":"false"}},"spec":{}}`)},
		"a pod on the host's network":      {body: in("bookinfo", `{"metadata":{"name":"web"},"spec":{"hostNetwork":true}}`)},
		"a pod that asks for nothing real": {body: in("wrong", pod), code: 403},
		"a pod of plain Istio": {
			body: in("beside", pod), patch: `"revision-router.io/revision":"plain"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newForwardRig(t, injector.IstiodOptions{})
			response := answered200(t, r.ask(t, tc.body, "10s"))
			if response.Allowed != (tc.code == 0) || !strings.Contains(string(response.Patch), tc.patch) {
				t.Errorf("%+v %s", response, response.Patch)
			}
			if n := r.istiod.Counts().Requests; n != 0 || len(r.results) != 0 {
				t.Errorf("%d requests, results %v", n, r.results)
			}
		})
	}
}

func TestDryRunsAreForwardedAsTheyCome(t *testing.T) {
	var dryRun any
	r := newForwardRig(t, injector.IstiodOptions{Answer: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var review struct{ Request struct{ DryRun any } }
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		dryRun = review.Request.DryRun
		_, _ = w.Write([]byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"allowed":true}}`))
	})})
	body := strings.Replace(recordedReview(t, "bookinfo-productpage"), `"dryRun": false`, `"dryRun": true`, 1)
	answered200(t, r.ask(t, body, "10s"))
	if got, _ := dryRun.(bool); !got || len(r.recorder.outcomes) != 1 || !r.recorder.outcomes[0].DryRun {
		t.Errorf("dryRun %v, outcomes %+v", dryRun, r.recorder.outcomes)
	}
}

// What the injector has to say to the user and the auditor is kept, apart from the router's own keys.
func TestWarningsAndAuditAnnotationsAreKept(t *testing.T) {
	r := newForwardRig(t, injector.IstiodOptions{})
	r.istiod.Break(injector.Say(200, `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"allowed":true,`+
		`"warnings":["first","sec\u00f6nd"],"auditAnnotations":{"b":"2","a":"1","reason":"theirs"},"patch":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL3NwZWMvYSIsInZhbHVlIjoxfV0=","patchType":"JSONPatch"}}`))
	response := answered200(t, r.ask(t, recordedReview(t, "bookinfo-productpage"), "10s"))
	if diff := cmp.Diff([]string{"first", "secönd"}, response.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"a": "1", "b": "2", "decision": "Inject", "reason": "NamespaceRevision", "revision": "r128", "tag": "prod", "forwarded": "injected",
	}
	if diff := cmp.Diff(want, response.AuditAnnotations); diff != "" {
		t.Errorf("audit annotations (-want +got):\n%s", diff)
	}
}

func TestARouterWithoutForwardingAdmitsNothingItWouldForward(t *testing.T) {
	router := NewPodRouter(quiet(forwardMesh(routing.Rollout{})))
	w := post(router.Handler(entryNamed(t, "namespace-revision")), recordedReview(t, "bookinfo-productpage"))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no_injector") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestForwardingHasToBeWhole(t *testing.T) {
	o := quiet(nil)
	if err := o.Validate(); err != nil {
		t.Errorf("guard mode: %v", err)
	}
	o.Forwarding.Client = nowhere{}
	err := o.Validate()
	for _, want := range []string{"Forwarding.Injectors", "Forwarding.Recorder"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("err %v, want it to name %s", err, want)
		}
	}
}

// Every message names the command that shows what is wrong, with the names of this very revision.
func TestTheNextCommand(t *testing.T) {
	for result, want := range map[forward.Result]string{
		forward.NoInjector:  "kubectl get istiorevision r128 -o yaml",
		forward.NoCA:        "kubectl get validatingwebhookconfigurations -l istio.io/rev=r128",
		forward.Untrusted:   "kubectl get validatingwebhookconfigurations -l istio.io/rev=r128",
		forward.Unreachable: "kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istiod-r128",
		forward.Broken:      "kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istiod-r128",
		forward.Suspended:   "kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istiod-r128",
		forward.TimedOut:    "kubectl logs -n istio-system -l app=istiod,istio.io/rev=r128 --tail=50",
		forward.BadReply:    "kubectl logs -n istio-system -l app=istiod,istio.io/rev=r128 --tail=50",
		forward.BadStatus:   "kubectl logs -n istio-system -l app=istiod,istio.io/rev=r128 --tail=50",
	} {
		f := forwarding{exchange: &exchange{}, decision: routing.Decision{Revision: "r128"}}
		f.to.Address = "istiod-r128.istio-system.svc:443"
		if got := f.next(result); got != "Next: "+want {
			t.Errorf("%s: %q, want %q", result, got, want)
		}
		f.to.Address = "istiod.example.com:443" // another cluster's
		if got := f.next(result); strings.Contains(got, "-n ") {
			t.Errorf("%s: %q names a namespace", result, got)
		}
		f.decision.Revision = "x; reboot"
		if got := f.next(result); got != "Next: kubectl get istiorevisions" {
			t.Errorf("%s: %q", result, got)
		}
	}
}

// The message becomes an event, which is cut at a kibibyte.
func TestMessagesAreBounded(t *testing.T) {
	f := forwarding{exchange: &exchange{}, decision: routing.Decision{Revision: "r128", Tag: strings.Repeat("t", 300)}}
	f.in.Namespace.Name, f.review.generateName = strings.Repeat("n", 63), []byte(strings.Repeat("g", 63))
	if got := f.explain(forward.Broken, errors.New(strings.Repeat("e", 9000))); len(got) > 1024 {
		t.Errorf("%d bytes", len(got))
	}
}

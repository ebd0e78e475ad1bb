package webhook

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

// forwardRig is a router in forward mode in front of a stand-in for istiod.
type forwardRig struct {
	*rig
	istiod    *injector.Istiod
	injectors map[string]forward.Injector
	results   []forward.Result
	policy    routing.Policy
}

func (r *forwardRig) Injector(revision string) (forward.Injector, bool) {
	to, ok := r.injectors[revision]
	return to, ok
}

func (r *forwardRig) Forwarded(_ string, result forward.Result, _ time.Duration) {
	r.results = append(r.results, result)
}

// forwardMesh has the tag prod on revision r128, where a rollout may send all workloads to r130, and a revision of plain
// Istio beside them.
func forwardMesh(rollout routing.Rollout) *routing.Mesh {
	sail := func(name, version string) routing.Revision {
		return routing.Revision{Name: name, Version: version, Origin: routing.Sail, Namespace: "istio-system"}
	}
	return routing.NewMesh(routing.Objects{
		Mode:      routing.Forward,
		Revisions: []routing.Revision{sail("r128", "v1.28.3"), sail("r130", "v1.30.3"), {Name: "plain", Origin: routing.Webhook}},
		Tags: []routing.Tag{{
			Name: "prod", Origin: routing.Sail, TargetKind: "IstioRevision", TargetName: "r128", Target: "r128", Revision: "r128",
			Rollout: rollout,
		}},
		Namespaces: []routing.Namespace{
			namespaceOf("bookinfo", "istio.io/rev=prod"), namespaceOf("direct", "istio.io/rev=r128"),
			namespaceOf("beside", "istio.io/rev=plain"), namespaceOf("wrong", "istio.io/rev=prdo"),
		},
	})
}

func newForwardRig(t testing.TB, o injector.IstiodOptions) *forwardRig {
	t.Helper()
	o.Revision, o.Version, o.Now = "r128", "v1.28.3", time.Now
	istiod, err := injector.StartIstiod(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := istiod.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &forwardRig{rig: newRig(forwardMesh(routing.Rollout{}), routing.DefaultPolicy()), istiod: istiod}
	to := forward.Injector{Address: istiod.Host(), ServerName: istiod.ServerName(), Path: istiod.Path(), CABundle: istiod.CABundle()}
	r.injectors = map[string]forward.Injector{}
	for _, name := range []string{"r128", "r130"} {
		to.Revision = name
		r.injectors[name] = to
	}
	client := forward.NewClient(forward.Options{
		Now: r.router.options.Now,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, istiod.Address())
		},
	})
	t.Cleanup(client.Close)
	r.policy = routing.DefaultPolicy()
	options := r.router.options
	options.Policy = func() routing.Policy { return r.policy }
	options.Forwarding = Forwarding{Client: client, Injectors: r, Recorder: r}
	r.router = NewPodRouter(options)
	return r
}

// ask sends a review with the deadline that an API server would give it.
func (r *forwardRig) ask(t testing.TB, body, timeout string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, "/?timeout="+timeout, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	r.router.Handler(entryNamed(t, "namespace-revision")).ServeHTTP(w, req)
	return w
}

func recordedReview(t testing.TB, name string) string {
	t.Helper()
	body, err := os.ReadFile("testdata/injection/" + name + ".request.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func answered200(t testing.TB, w *httptest.ResponseRecorder) *admissionv1.AdmissionResponse {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	review := strictReview(t, w.Body.Bytes())
	return review.Response
}

const recordedUID = "705ab4f5-6393-11e8-b7cc-42010a800002"

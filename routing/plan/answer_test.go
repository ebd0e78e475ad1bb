package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

func TestReasonsWhyThereIsNoPlan(t *testing.T) {
	t.Parallel()
	left := meshOf("v1.29.6", skew.InPlace).workload("plain", "left", "default", "v1.29.6")
	lonely := meshOf("v1.29.6", skew.InPlace).cni("v1.29.6")
	lonely.mesh.Istios = append(lonely.mesh.Istios, skew.Istio{Name: "other", Namespace: "other", Version: "v1.29.6", Active: "other", Observed: true})
	lonely.revision("other", "v1.29.6")
	lonely.mesh.Revisions[1].Istio, lonely.mesh.Revisions[1].Namespace = "other", "other"
	for name, tc := range map[string]struct {
		mesh    *world
		to      string
		request func(*plan.Request)
		reason  string
		advice  string
	}{
		"down in place with sidecars": {
			mesh: bookinfo(skew.InPlace, "v1.30.3"), to: "v1.29.6", reason: "DataPlaneAhead", advice: "--strategy RevisionBased",
		},
		"a sidecar that nothing asks for": {
			mesh: left, to: "v1.30.3", reason: "Deployment plain/left has a sidecar of revision default v1.29.6 that a restart would not give again (NotSelected)",
			advice: "kubectl rollout restart deployment -n plain left",
		},
		"another Istio squeezes IstioCNI": {
			mesh: lonely, to: "v1.31.0-beta.1", request: func(r *plan.Request) { r.Istio, r.Strategy = "default", skew.RevisionBased },
			reason: "SingletonSqueeze", advice: "kubectl patch istio other",
		},
		"a tag of another mesh": {
			mesh: bookinfo(skew.RevisionBased, "v1.29.6").tag("prod", "Istio", "other", ""), to: "v1.30.3",
			request: func(r *plan.Request) { r.Tag = "prod" }, reason: "tag prod points at Istio other",
		},
		"no version to go through is offered": {
			mesh: bookinfo(skew.InPlace, "v1.28.5"), to: "v1.30.3",
			request: func(r *plan.Request) { r.Available, r.Strategy = []string{"v1.28.5", "v1.30.3"}, skew.InPlace }, reason: "InPlaceStep",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tc.mesh.request(tc.to)
			r.Available = offered()
			if tc.request != nil {
				tc.request(&r)
			}
			p, err := plan.New(r)
			if err != nil {
				t.Fatal(err)
			}
			if p.Possible || !strings.Contains(p.Reason, tc.reason) || !strings.Contains(strings.Join(p.Advice, "\n"), tc.advice) {
				t.Errorf("possible: %v, reason %q, advice %q", p.Possible, p.Reason, p.Advice)
			}
		})
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	two := meshOf("v1.29.6", skew.InPlace)
	two.mesh.Istios = append(two.mesh.Istios, skew.Istio{Name: "other", Version: "v1.29.6"})
	for name, tc := range map[string]struct {
		mesh *world
		r    plan.Request
		want string
	}{
		"no version":                {meshOf("v1.29.6", ""), plan.Request{To: "master"}, "no version whose skew can be judged"},
		"a minor alone":             {meshOf("v1.29.6", ""), plan.Request{To: "v1.30"}, "names no patch"},
		"a version not offered":     {meshOf("v1.29.6", ""), plan.Request{To: "v1.30.3", Available: []string{"v1.29.6"}}, "does not offer v1.30.3"},
		"no such Istio":             {meshOf("v1.29.6", ""), plan.Request{To: "v1.30.3", Istio: "x"}, "no Istio named x"},
		"several Istios":            {two, plan.Request{To: "v1.30.3"}, "one of default, other"},
		"no Istio":                  {&world{mesh: &skew.Mesh{}}, plan.Request{To: "v1.30.3"}, "install one first"},
		"a tag that cannot be":      {meshOf("v1.29.6", ""), plan.Request{To: "v1.30.3", Tag: "a b"}, "cannot be the name"},
		"1.30.3 is as good as v...": {meshOf("v1.30.3", ""), plan.Request{To: "1.30.3"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.r.Mesh, tc.r.Policy = tc.mesh.mesh, skew.DefaultPolicy()
			_, err := plan.New(tc.r)
			if got := fmt.Sprint(err); tc.want != "" && !strings.Contains(got, tc.want) || tc.want == "" && err != nil {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// What the steps say besides: names, waits, the way back.
func TestCommands(t *testing.T) {
	t.Parallel()
	w := tagged("v1.29.6").ambient("v1.29.6").waypoint("bookinfo", "default", "default-v1-29-6", "v1.29.6")
	w.add(skew.Workload{Namespace: "bookinfo", Kind: "Job", Name: "once", Role: skew.Sidecar, Revision: "default-v1-29-6", Version: "v1.29.6", Pods: 1})
	p, err := plan.New(w.request("v1.30-latest"))
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{
			"kubectl wait --for=create deployment/istiod-default-v1-30-latest -n istio-system --timeout=5m",
			`until kubectl get deployment/istiod-default-v1-30-latest -n istio-system -o jsonpath='{.metadata.labels.app\.kubernetes\.io/version}' | grep -q '^1\.30\.'; do sleep 1; done`,
			"kubectl rollout status deployment/istiod-default-v1-30-latest -n istio-system --timeout=15m",
			"kubectl wait --for=jsonpath='{.status.istioRevision}'=default-v1-30-latest istiorevisiontag/default --timeout=5m",
			`kubectl wait --for=jsonpath='{.spec.template.metadata.annotations.istio\.io/rev}'=default-v1-30-latest deployment/waypoint -n bookinfo --timeout=5m`,
			"kubectl rollout status deployment/waypoint -n bookinfo --timeout=15m",
		},
		{
			"kubectl rollout status deployment/reviews -n bookinfo --timeout=15m",
			"kubectl wait --for=delete istiorevision/default-v1-29-6 --timeout=10m",
		},
	}
	for i, lines := range want {
		if diff := cmp.Diff(lines, p.Steps[i].WaitFor); diff != "" {
			t.Errorf("step %d waits (-want +got):\n%s", i+1, diff)
		}
	}
	if want := []string{
		"kubectl rollout restart deployment -n bookinfo reviews",
		"kubectl wait --for=condition=Complete job/once -n bookinfo --timeout=24h",
	}; !slices.Equal(p.Steps[1].Commands, want) {
		t.Errorf("got the commands %q", p.Steps[1].Commands)
	}
	if len(p.Steps[0].Warnings) != 1 || !strings.HasPrefix(p.Steps[0].Warnings[0], "AliasWithRevisionBased") {
		t.Errorf("got the warnings %q", p.Steps[0].Warnings)
	}
}

// istiod replaces the proxies of a Gateway a moment after its own rollout, and a rollout status that comes before would be
// that of the last one. An image without a version does not tell.
func TestTheImageOfAWaypointIsWaitedFor(t *testing.T) {
	t.Parallel()
	const rollout = "kubectl rollout status deployment/waypoint -n bookinfo --timeout=15m"
	image := func(pattern string) string {
		return `until kubectl get deployment/waypoint -n bookinfo -o jsonpath='{.spec.template.spec.containers[*].image}' | grep -qE ':` +
			pattern + `'; do sleep 1; done`
	}
	for name, tc := range map[string]struct {
		version, to string
		want        []string
	}{
		"a version":          {"v1.29.6", "v1.30.3", []string{image(`1\.30\.3([^0-9]|$)`), rollout}},
		"an alias":           {"v1.29.6", "v1.30-latest", []string{image(`1\.30\.`), rollout}},
		"an image by digest": {"", "v1.30.3", []string{rollout}},
	} {
		p, err := plan.New(meshOf("v1.29.6", skew.InPlace).waypoint("bookinfo", "", "default", tc.version).request(tc.to))
		if err != nil {
			t.Fatal(err)
		}
		waits := slices.DeleteFunc(p.Steps[0].WaitFor, func(line string) bool { return !strings.Contains(line, "waypoint") })
		if diff := cmp.Diff(tc.want, waits); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A plan for a mesh that is still on its way waits for that first.
func TestAPlanWaitsForWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	w := bookinfo(skew.InPlace, "v1.30.3")
	w.mesh.Revisions[0].Istiod = runs("v1.29.6")
	w.mesh.Workloads[0].Version, w.mesh.Workloads[1].Version = "v1.29.6", "v1.29.6"
	p, err := plan.New(w.request("v1.30.3"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Before) != 2 || !strings.HasPrefix(p.Before[1], "kubectl rollout status deployment/istiod ") || len(p.Steps) != 1 {
		t.Errorf("waits for %q, then %q", p.Before, short(p))
	}
}

// The operator has made the revision, and not yet its Deployment: kubectl would wait for none.
func TestAPlanWaitsForAnIstiodThatIsNotThere(t *testing.T) {
	t.Parallel()
	w := bookinfo(skew.RevisionBased, "v1.29.6")
	w.mesh.Istios[0].Version, w.mesh.Istios[0].Active = "v1.30.3", "default-v1-30-3"
	w.revision("default-v1-30-3", "v1.30.3")
	w.mesh.Revisions[1].Istiod, w.mesh.Revisions[1].Ready = skew.Rollout{}, skew.NotObserved
	p, err := plan.New(w.request("v1.30.3"))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Before) != 3 || p.Before[0] != "kubectl wait --for=create deployment/istiod-default-v1-30-3 -n istio-system --timeout=5m" {
		t.Errorf("waits for %q", p.Before)
	}
}

// Who has just taken a step back finds the revision that it made on its way out.
func TestAPlanWaitsForARevisionThatIsBeingDeleted(t *testing.T) {
	t.Parallel()
	w := meshOf("v1.29.6", skew.RevisionBased).waypoint("bookinfo", "default-v1-29-6", "default-v1-29-6", "v1.29.6").revision("default-v1-30-3", "v1.30.3")
	w.mesh.Revisions[1].Deleting = true
	p, err := plan.New(w.request("v1.30.3"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"kubectl wait --for=delete istiorevision/default-v1-30-3 --timeout=10m"}
	if !p.Possible || len(p.Steps) != 2 || !slices.Equal(p.Before, want) {
		t.Errorf("waits for %q, then %q (%s)", p.Before, short(p), p.Reason)
	}
}

// A large mesh is as many objects as it has kinds of namespaces and workloads.
func BenchmarkPlan(b *testing.B) {
	w := tagged("v1.24.3").ambient("v1.24.3")
	for i := range 10_000 {
		name := fmt.Sprintf("ns-%d", i)
		w.namespace(name, "istio.io/rev=default-v1-24-3").workload(name, "a", "default-v1-24-3", "v1.24.3").
			workload(name, "b", "default-v1-24-3", "v1.24.3").waypoint(name, "", "default-v1-24-3", "v1.24.3")
	}
	r := w.request("v1.28.5")
	r.Available = offered()
	for b.Loop() {
		if p, err := plan.New(r); err != nil || !p.Possible {
			b.Fatal(p, err)
		}
	}
}

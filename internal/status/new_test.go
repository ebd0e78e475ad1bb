package status_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func TestPodsThatAskInVain(t *testing.T) {
	t.Parallel()
	w := twoRevisions().namespace("shop", to(newRevision)).namespace("typo", to("default-v1-30-4")).
		namespace("amb", map[string]string{"istio.io/dataplane-mode": "ambient"}).namespace("plain", nil).
		namespace("auto", map[string]string{"istio-injection": "enabled"}).
		runs("shop/early", status.Proxy{}, 2).runs("shop/out", status.Proxy{}, 1, labelled(routing.LabelInject, "false")).
		runs("typo/web", status.Proxy{}, 1).runs("typo/old", older(), 1).
		runs("amb/api", status.Proxy{}, 3).runs("plain/db", status.Proxy{}, 1).runs("auto/x", status.Proxy{}, 1)
	r := w.report()
	got := []string{}
	for _, a := range slices.Concat(r.WithoutSidecar, r.Unresolvable) {
		got = append(got, fmt.Sprintf("%s/%s %d/%d %s", a.Namespace, a.Name, a.WithSidecar, a.Pods, a.Reason))
	}
	if diff := cmp.Diff([]string{
		"shop/early 0/2 NamespaceRevision", "auto/x 0/1 NoDefaultRevision", "typo/old 1/1 UnknownRevision", "typo/web 0/1 UnknownRevision",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var names []string
	for _, p := range r.Problems {
		names = append(names, string(p.Severity)+" "+p.Name)
	}
	if diff := cmp.Diff([]string{"Error UnknownRevisionLabel", "Error InjectionLabels", "Error NoSidecar"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if text := r.Problems[0].Message; !strings.Contains(text, "2 workloads (2 pods) are concerned: 1 pod would not be admitted again") {
		t.Errorf("the label's problem does not say what it means: %s", text)
	}
	if n := r.Workloads[0]; n.Role != "Ambient" || n.Pods != 3 {
		t.Errorf("got %+v, want the ambient pods", n)
	}
}

func TestTagsInForwardMode(t *testing.T) {
	t.Parallel()
	rollout := routing.Rollout{Revision: newRevision, Percent: 50}
	w := newWorld(routing.Forward, skew.RevisionBased, oldVersion, newVersion).
		tag("prod", oldRevision, oldRevision, rollout).tag("next", newRevision, oldRevision, routing.Rollout{}).
		namespace("shop", to("prod")).namespace("lab", to("next"))
	want := status.Share{Revision: newRevision, Percent: 50}
	for i := range 20 {
		name := fmt.Sprintf("w%02d", i)
		moves := rollout.Includes("prod", "shop", routing.Workload{Kind: "Deployment", Name: name})
		revision, version := oldRevision, oldVersion
		if moves && i%2 == 0 { // half of those that move have been restarted
			revision, version = newRevision, newVersion
			want.Moved++
		}
		if want.Workloads++; !moves || revision == newRevision {
			want.Reached++
		}
		w.runs("shop/"+name, status.Proxy{Revision: revision, Version: version}, 2)
	}
	w.runs("lab/api", older(), 1)
	r := w.report()
	if diff := cmp.Diff(want, r.Tags[1].Share); diff != "" {
		t.Errorf("share of prod (-want +got):\n%s", diff)
	}
	if moved := slices.IndexFunc(r.Restarts, func(x status.Restart) bool { return x.Reason == status.RolloutMoved }); moved < 0 {
		t.Errorf("nothing waits because of the rollout: %+v", r.Restarts)
	}
	if r.Tags[0].State != status.Following || r.Tags[0].Revision != newRevision {
		t.Errorf("got %+v, want next to lead to its target", r.Tags[0])
	}

	w.revisions[1].Unroutable = routing.NoEndpoints
	r = w.report()
	if g := r.Tags[0]; g.State != status.Lagging || g.Followed != routing.FollowedLastGood || g.Revision != oldRevision ||
		!strings.Contains(g.Why, "no ready endpoint") {
		t.Errorf("got %+v, want next to stay at the last good revision and say why", g)
	}
	if c := r.ControlPlanes[1]; c.Unroutable != routing.NoEndpoints || r.Mode != routing.Forward {
		t.Errorf("got %+v", c)
	}
}

func TestTagsInGuardMode(t *testing.T) {
	t.Parallel()
	none := routing.Rollout{}
	w := twoRevisions().tag("lagging", newRevision, oldRevision, none).tag("gone", "default-v1-31-0", "default-v1-28-0", none).
		tag(newRevision, oldRevision, oldRevision, none).tag("never", "default-v1-31-0", "", none).
		tag("shared", oldRevision, oldRevision, routing.Rollout{Revision: newRevision, Percent: 5})
	got := map[string]string{}
	for _, g := range w.report().Tags {
		got[g.Name] = string(g.State) + " " + g.Revision + ": " + g.Why
	}
	want := map[string]string{
		"lagging":   "Lagging default-v1-29-6: its target means default-v1-30-3: the operator has yet to move the webhook of the tag",
		"gone":      "Dangling : it points at revision default-v1-28-0, which does not exist",
		"never":     "Dangling : its target, the IstioRevision default-v1-31-0, has no revision",
		newRevision: "Shadowed : the revision default-v1-30-3 has the same name and comes first",
		"shared":    "Following default-v1-29-6: its rollout has no effect: the router does not inject",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*world)
		want   status.State
	}{
		"what is declared runs":                {func(*world) {}, status.Running},
		"two versions run":                     {func(w *world) { w.revisions[1].Istiod = rollout(oldVersion, newVersion) }, status.RollingOut},
		"another version runs":                 {func(w *world) { w.revisions[1].Istiod = rollout(oldVersion) }, status.RollingOut},
		"a newer() template is not everywhere": {func(w *world) { w.revisions[1].Istiod.Pods = 2 }, status.RollingOut},
		"nothing serves":                       {func(w *world) { w.revisions[1].Istiod.Ready = 0 }, status.NotRunning},
		"nothing is known":                     {func(w *world) { w.revisions[1].Istiod = skew.Rollout{} }, status.Declared},
		"the operator says that it is not up":  {func(w *world) { w.revisions[1].Istiod, w.revisions[1].Ready = skew.Rollout{}, skew.NotReady }, status.NotRunning},
		"it goes":                              {func(w *world) { w.revisions[1].Deleting = true }, status.Deleting},
		"it is elsewhere":                      {func(w *world) { w.revisions[1].Remote = true }, status.Remote},
		"it is to come":                        {func(w *world) { w.revisions = w.revisions[:1]; w.istios[0].Observed = false }, status.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := twoRevisions()
			tc.change(w)
			planes := w.report().ControlPlanes
			if got := planes[len(planes)-1]; got.State != tc.want || got.Name != newRevision {
				t.Errorf("got %s %s, want %s", got.Name, got.State, tc.want)
			}
		})
	}
}

func TestProxiesWhoseRevisionIsGone(t *testing.T) {
	t.Parallel()
	gone := status.Proxy{Revision: "default-v1-28-3", Version: "v1.28.3"}
	w := twoRevisions().namespace("shop", to(newRevision)).runs("shop/cart", gone, 2).runs("shop/pay", gone, 1).
		runs("shop/new", newer(), 1).runs("shop/plain", status.Proxy{}, 1, labelled(routing.LabelInject, "false"))
	r := w.report()
	if len(r.Problems) != 1 || r.Problems[0].Name != status.NoControlPlane || r.Summary.Healthy {
		t.Fatalf("got %+v", r.Problems)
	}
	want := []string{"kubectl rollout restart deployment -n shop cart pay"}
	if p := r.Problems[0]; !strings.HasPrefix(p.Message, "3 pods of 2 workloads run with revision default-v1-28-3") || !slices.Equal(p.Next, want) {
		t.Errorf("got %q and %q", p.Message, p.Next)
	}
	w.only = "other"
	if r := w.report(); len(r.Problems) != 0 {
		t.Errorf("another namespace is told %+v", r.Problems)
	}
}

func TestOneNamespaceLeavesTheMeshWhole(t *testing.T) {
	t.Parallel()
	w := twoRevisions().namespace("shop", to(newRevision)).namespace("typo", to("x")).
		runs("shop/cart", older(), 1).runs("typo/web", status.Proxy{}, 1)
	w.cni = &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.31.0"}
	w.only = "shop"
	r := w.report()
	if len(r.Problems) != 2 || r.Problems[0].Name != "CNISkew" || len(r.Restarts) != 1 || len(r.Unresolvable) != 0 || r.Summary.Pods != 1 {
		t.Errorf("got %+v", r)
	}
	if len(r.ControlPlanes) != 2 || r.ControlPlanes[0].Pods != 1 {
		t.Errorf("got control planes %+v", r.ControlPlanes)
	}
}

func TestPodsThatDoNotCount(t *testing.T) {
	t.Parallel()
	w := twoRevisions().namespace("shop", to(newRevision))
	for _, phase := range []string{"Succeeded", "Failed"} {
		w.runs("shop/"+phase, status.Proxy{}, 1, func(p *inventory.Pod) { p.Status.Phase = phase })
	}
	w.runs("shop/going", status.Proxy{}, 1, func(p *inventory.Pod) { p.DeletionTimestamp = &metav1.Time{} })
	if got := len(w.pods.Groups()); got != 0 {
		t.Errorf("%d groups of pods are counted", got)
	}
}

func TestAnInventoryForgetsWhatIsRemoved(t *testing.T) {
	t.Parallel()
	w := twoRevisions()
	pod := &inventory.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "b", Labels: map[string]string{"istio.io/use-waypoint": "w"}}}
	one, ok := status.PodOf(pod, routing.Pod{})
	if !ok {
		t.Fatal("the pod does not count")
	}
	w.pods.Add(one)
	if parts := w.pods.Parts(); len(parts.Consumers) != 1 || len(w.pods.Groups()) != 1 {
		t.Errorf("got %+v", parts)
	}
	w.pods.Remove(one)
	if parts := w.pods.Parts(); len(parts.Consumers) != 0 || len(w.pods.Groups()) != 0 {
		t.Errorf("got %+v after all is removed", parts)
	}
}

// A report is made of values alone: the order in which pods were counted must not show.
func TestTheReportDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	reportOf := func(names []string) *status.Report {
		w := twoRevisions().tag("prod", newRevision, newRevision, routing.Rollout{}).namespace("shop", to("prod")).namespace("typo", to("x"))
		for _, name := range names {
			w.runs("shop/"+name, older(), 2).runs("typo/"+name, status.Proxy{}, 1)
		}
		return w.report()
	}
	names := []string{"a", "b", "c", "d", "e", "f"}
	want := reportOf(names)
	slices.Reverse(names)
	if diff := cmp.Diff(want, reportOf(names), cmpopts.IgnoreUnexported(status.Problem{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

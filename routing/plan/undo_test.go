package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

const (
	annotateIstio = "kubectl annotate istio default revision-router.io/override='undo a step of an update'"
	unannotate    = "kubectl annotate istio default revision-router.io/override-"
	istioTo       = `kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.29.6"}}'`
	versionOf     = `kubectl wait --for=jsonpath='{.metadata.labels.app\.kubernetes\.io/version}'=1.29.6 `
)

// A step back is judged as well: where it would be refused, its override is part of it, and where what it led away from
// is gone, that comes back first.
func TestUndo(t *testing.T) {
	t.Parallel()
	const old, restart = "default-v1-29-6", "kubectl rollout restart deployment -n bookinfo "
	revisionBack := []string{
		"# Back to before the new version of the Istio, which is all that this step can be taken back to:",
		istioTo,
		"kubectl wait --for=create deployment/istiod-" + old + " -n istio-system --timeout=5m",
		versionOf + "deployment/istiod-" + old + " -n istio-system --timeout=5m",
		"kubectl rollout status deployment/istiod-" + old + " -n istio-system --timeout=15m",
	}
	gone := "kubectl wait --for=delete istiorevision/default-v1-30-3 --timeout=10m"
	lagging := meshOf("v1.29.6", skew.InPlace).namespace("bookinfo", "istio-injection=enabled").workload("bookinfo", "reviews", "default", "v1.28.5").
		workload("bookinfo", "details", "default", "v1.29.5")
	halfway := meshOf("v1.30.3", skew.RevisionBased).revision(old, "v1.29.6").namespace("bookinfo", "istio.io/rev="+old).
		workload("bookinfo", "reviews", old, "v1.29.6-distroless")
	nodes := meshOf("v1.29.6", skew.InPlace).ambient("v1.29.6")
	for name, tc := range map[string]struct {
		mesh  *world
		drain plan.Drain
		step  int
		want  []string
	}{
		"waypoints have followed a control plane in place": {
			mesh: meshOf("v1.29.6", skew.InPlace).waypoint("bookinfo", "", "default", "v1.29.6"), step: 1,
			want: []string{annotateIstio, istioTo, unannotate},
		},
		"sidecars are new, in place": {
			mesh: bookinfo(skew.InPlace, "v1.29.6"), step: 2,
			want: []string{
				"# The control plane goes back first, and is behind its proxies until they are restarted (DataPlaneAhead):",
				annotateIstio, istioTo, unannotate,
				versionOf + "deployment/istiod -n istio-system --timeout=5m",
				"kubectl rollout status deployment/istiod -n istio-system --timeout=15m",
				restart + "details reviews",
				"kubectl rollout status deployment/details -n bookinfo --timeout=15m",
				"kubectl rollout status deployment/reviews -n bookinfo --timeout=15m",
			},
		},
		"labels alone, while the pods still use the old revision": {
			mesh: bookinfo(skew.RevisionBased, "v1.29.6"), step: 2,
			want: []string{"kubectl label namespace bookinfo istio.io/rev=" + old + " --overwrite"},
		},
		"sidecars are new, and their old revision is deleted": {
			mesh: tagged("v1.29.6"), step: 2,
			want: append(append([]string{}, revisionBack...),
				"kubectl wait --for=jsonpath='{.status.istioRevision}'="+old+" istiorevisiontag/default --timeout=5m",
				restart+"reviews", "kubectl rollout status deployment/reviews -n bookinfo --timeout=15m", gone),
		},
		"a Gateway was the last to use a revision": {
			mesh: meshOf("v1.29.6", skew.RevisionBased).waypoint("bookinfo", old, old, "v1.29.6"), step: 2,
			want: append(append([]string{}, revisionBack...),
				"kubectl label gateway waypoint -n bookinfo istio.io/rev="+old+" --overwrite",
				`kubectl wait --for=jsonpath='{.spec.template.metadata.annotations.istio\.io/rev}'=`+old+" deployment/waypoint -n bookinfo --timeout=5m",
				"kubectl rollout status deployment/waypoint -n bookinfo --timeout=15m", gone),
		},
		"proxies that lagged behind, by two versions": {
			mesh: lagging, step: 1, want: []string{"# Nothing to take back to: the pods ran several versions before"},
		},
		"a plan that begins after the Istio has its version": {
			mesh: halfway, step: 2,
			want: append(append([]string{}, revisionBack...), "kubectl label namespace bookinfo istio.io/rev="+old+" --overwrite",
				restart+"reviews", "kubectl rollout status deployment/reviews -n bookinfo --timeout=15m", gone),
		},
		"nodes that were drained": {
			mesh: nodes, drain: plan.DrainOnDelete, step: 5,
			want: []string{
				"# Back to before the new version of ZTunnel:",
				`kubectl patch ztunnel default --type=merge -p '{"spec":{"version":"v1.29.6"}}'`,
				versionOf + "daemonset/ztunnel -n ztunnel --timeout=5m",
				"for node in ",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := tc.mesh.request("v1.30.3")
			r.Drain = tc.drain
			p, err := plan.New(r)
			if err != nil || len(p.Steps) < tc.step {
				t.Fatal(err, short(p))
			}
			got := p.Steps[tc.step-1].Undo
			for i := range got {
				if strings.HasPrefix(got[i], "(for node in ") {
					got[i] = "for node in "
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", p.Steps[tc.step-1].Object, diff)
			}
		})
	}
}

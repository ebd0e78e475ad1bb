package inventory_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func istiod(revision string, r skew.Rollout) inventory.Rollout {
	return inventory.Rollout{Component: of(inventory.IstiodPart, revision), Rollout: r}
}

func of(part inventory.Part, revision string) inventory.Component {
	return inventory.Component{Part: part, Namespace: "mesh", Revision: revision}
}

func runs(part inventory.Part, revision, version string) inventory.Running {
	return inventory.Running{Component: of(part, revision), Version: version}
}

func TestWhatRunsOfARevision(t *testing.T) {
	old := skew.Rollout{Found: true, Version: "v1.29.6", Observed: true, Pods: 2, Updated: 1, Ready: 2}
	withPods := func(r skew.Rollout, versions ...string) skew.Rollout {
		r.PodVersions = versions
		return r
	}
	cases := map[string]struct {
		rollouts []inventory.Rollout
		running  []inventory.Running
		want     skew.Rollout
	}{
		"nothing":                       {want: skew.Rollout{}},
		"a Deployment":                  {rollouts: []inventory.Rollout{istiod("r", old)}, want: old},
		"a Deployment of another one":   {rollouts: []inventory.Rollout{istiod("other", old)}, want: skew.Rollout{}},
		"a Deployment elsewhere":        {rollouts: []inventory.Rollout{{Component: inventory.Component{Part: inventory.IstiodPart, Namespace: "x", Revision: "r"}, Rollout: old}}},
		"a DaemonSet in the same place": {rollouts: []inventory.Rollout{{Component: of(inventory.CNIPart, "r"), Rollout: old}}},
		"pods of both versions": {
			rollouts: []inventory.Rollout{istiod("r", old)},
			running: []inventory.Running{
				runs(inventory.IstiodPart, "r", "v1.30.3"), runs(inventory.IstiodPart, "r", "v1.29.6"),
				runs(inventory.IstiodPart, "r", "v1.30.3"), runs(inventory.IstiodPart, "other", "v1.28.0"),
			},
			want: withPods(old, "v1.29.6", "v1.30.3"),
		},
		"pods that do not tell their version count for nothing": {
			rollouts: []inventory.Rollout{istiod("r", old)},
			running:  []inventory.Running{runs(inventory.IstiodPart, "r", "v1.30.3"), runs(inventory.IstiodPart, "r", "")},
			want:     old,
		},
		"pods without a Deployment": {running: []inventory.Running{runs(inventory.IstiodPart, "r", "v1.30.3")}, want: skew.Rollout{}},
		"two Deployments of one version": {
			rollouts: []inventory.Rollout{istiod("r", old), istiod("r", done("v1.29.6"))},
			want:     skew.Rollout{Found: true, Version: "v1.29.6", Observed: true, Pods: 3, Updated: 2, Ready: 3},
		},
		"two Deployments of two versions": {
			rollouts: []inventory.Rollout{istiod("r", done("v1.30.3")), istiod("r", old)},
			want: skew.Rollout{
				Found: true, Version: "v1.29.6", Observed: true, Pods: 3, Updated: 2, Ready: 3,
				PodVersions: []string{"v1.29.6", "v1.30.3"},
			},
		},
		"two Deployments, one of them without pods": {
			rollouts: []inventory.Rollout{istiod("r", skew.Rollout{Found: true, Version: "v1.30.3"}), istiod("r", old)},
			want: skew.Rollout{
				Found: true, Version: "v1.29.6", Pods: 2, Updated: 1, Ready: 2, PodVersions: []string{"v1.29.6"},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			revision := skew.Revision{Revision: routing.Revision{Name: "r", Namespace: "mesh", Origin: routing.Sail}, Ambient: true, Ready: skew.Ready}
			p := inventory.Parts{Revisions: []skew.Revision{revision}, Rollouts: tc.rollouts, Running: tc.running}
			want := revision
			want.Istiod = tc.want
			if diff := cmp.Diff([]skew.Revision{want}, p.Mesh().Revisions); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// Pods of a DaemonSet that replaces them when they are deleted keep running what they run.
func TestWhatRunsOnNodes(t *testing.T) {
	p := inventory.Parts{
		CNIs:     []skew.CNI{{Name: "default", Namespace: "mesh"}},
		ZTunnels: []skew.ZTunnel{{Name: "default", Namespace: "mesh", OnDelete: true}},
		Rollouts: []inventory.Rollout{
			{Component: of(inventory.CNIPart, ""), Rollout: done("v1.30.3")},
			{Component: of(inventory.ZTunnelPart, ""), Rollout: done("v1.30.3")},
		},
		Running: []inventory.Running{runs(inventory.ZTunnelPart, "", "v1.30.3"), runs(inventory.ZTunnelPart, "", "v1.29.6")},
	}
	ztunnel := done("v1.30.3")
	ztunnel.PodVersions = []string{"v1.29.6", "v1.30.3"}
	want := &skew.Mesh{
		CNI:     &skew.CNI{Name: "default", Namespace: "mesh", DaemonSet: done("v1.30.3")},
		ZTunnel: &skew.ZTunnel{Name: "default", Namespace: "mesh", OnDelete: true, DaemonSet: ztunnel},
	}
	for range 2 { // the first mesh changes nothing of the parts
		if diff := cmp.Diff(want, p.Mesh(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

func TestPlainIstioJoins(t *testing.T) {
	p := inventory.Parts{
		Revisions: []skew.Revision{{Revision: routing.Revision{Name: "own", Namespace: "mesh", Origin: routing.Sail}, Ready: skew.NotReady}},
		Tags:      make([]routing.Tag, 1, 8),
		Injectors: []sail.Injector{{Revision: "plain", Namespace: "mesh"}, {Revision: "plain", Tag: "prod", Namespace: "mesh"}},
		Rollouts:  []inventory.Rollout{istiod("plain", done("v1.28.0")), istiod("own", done("v1.30.3"))},
	}
	p.Tags[0] = routing.Tag{Name: "stable", Revision: "own", Origin: routing.Sail}
	m := p.Mesh()
	want := []skew.Revision{
		{Revision: routing.Revision{Name: "own", Namespace: "mesh", Origin: routing.Sail}, Ready: skew.NotReady, Istiod: done("v1.30.3")},
		{Revision: routing.Revision{Name: "plain", Namespace: "mesh", Version: "v1.28.0", Origin: routing.Webhook}, Istiod: done("v1.28.0")},
	}
	if diff := cmp.Diff(want, m.Revisions); diff != "" {
		t.Errorf("revisions (-want +got)\n%s", diff)
	}
	tags := []routing.Tag{p.Tags[0], {Name: "prod", Revision: "plain", Origin: routing.Webhook}}
	if diff := cmp.Diff(tags, m.Tags); diff != "" {
		t.Errorf("tags (-want +got)\n%s", diff)
	}
	if got := p.Tags[:2][1]; got != (routing.Tag{}) {
		t.Errorf("the slice that was given now also holds %+v", got)
	}
}

func TestRolloutsOfOthersAreLeftOut(t *testing.T) {
	labelled := func(key, value string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "mesh", Labels: map[string]string{key: value, "app.kubernetes.io/version": "1.30.3"}}
	}
	for _, m := range []metav1.ObjectMeta{labelled("app", "web"), labelled("app", "ztunnel"), labelled("k8s-app", "istio-cni-node"), {}} {
		if r, ok := inventory.DeploymentRollout(&appsv1.Deployment{ObjectMeta: m}); ok {
			t.Errorf("a Deployment with labels %v is the rollout %+v", m.Labels, r)
		}
	}
	for _, m := range []metav1.ObjectMeta{labelled("app", "web"), labelled("app", "istiod"), labelled("k8s-app", "kube-dns"), {}} {
		if r, ok := inventory.DaemonSetRollout(&appsv1.DaemonSet{ObjectMeta: m}); ok {
			t.Errorf("a DaemonSet with labels %v is the rollout %+v", m.Labels, r)
		}
	}
	d := &appsv1.Deployment{ObjectMeta: labelled("app", "istiod")}
	d.Generation, d.Status.ObservedGeneration = 3, 2
	d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas = 3, 1, 2
	want := istiod("", skew.Rollout{Found: true, Version: "v1.30.3", Pods: 3, Updated: 1, Ready: 2})
	if got, ok := inventory.DeploymentRollout(d); !ok || !cmp.Equal(got, want) {
		t.Errorf("an unfinished rollout is %+v (%t), want %+v", got, ok, want)
	}
}

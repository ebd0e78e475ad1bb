package figures_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/figures"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

const before, after = "default-v1-29-6", "default-v1-30-3"

// world is a mesh in the middle of an upgrade: two revisions, and the tag prod that has moved to the newer one.
func world(tag routing.Tag, workloads ...skew.Workload) (*routing.Mesh, *skew.Mesh) {
	old := routing.Revision{Name: before, Version: "v1.29.6", Origin: routing.Sail}
	recent := routing.Revision{Name: after, Version: "v1.30.3", Origin: routing.Sail}
	namespaces := map[string]map[string]string{"shop": {"istio.io/rev": "prod"}, "bank": {"istio.io/rev": before}, "open": nil}
	o := routing.Objects{Revisions: []routing.Revision{old, recent}, Tags: []routing.Tag{tag}}
	s := &skew.Mesh{
		Revisions: []skew.Revision{
			{Revision: old, Istiod: skew.Rollout{Found: true, Version: "v1.29.6", PodVersions: []string{"v1.29.6"}}},
			{Revision: recent, Istiod: skew.Rollout{Found: true, Version: "v1.30.3"}},
		},
		Tags: []routing.Tag{tag}, Workloads: workloads,
	}
	for name, labels := range namespaces {
		o.Namespaces = append(o.Namespaces, routing.NamespaceOf(name, labels))
		s.Namespaces = append(s.Namespaces, skew.Namespace{Name: name, Labels: labels})
	}
	return routing.NewMesh(o), s
}

func moved() routing.Tag {
	return routing.Tag{Name: "prod", TargetKind: "IstioRevision", TargetName: after, Revision: after, Origin: routing.Sail}
}

func runs(namespace, name, revision, version string) skew.Workload {
	return skew.Workload{Namespace: namespace, Kind: "Deployment", Name: name, Role: skew.Sidecar, Revision: revision, Version: version, Pods: 2}
}

func TestFigures(t *testing.T) {
	asked := runs("open", "web", before, "v1.29.6")
	asked.Label = "prod"
	opted := runs("open", "job", before, "v1.29.6")
	opted.Label = "default"
	gateway := runs("shop", "gw", before, "v1.29.6")
	gateway.Role = skew.GatewayProxy
	cases := map[string]struct {
		workloads []skew.Workload
		want      figures.Figures
	}{
		"nothing runs": {want: figures.Figures{Tags: []figures.Tag{{Name: "prod"}}}},
		"the tag was moved, and one of its two workloads restarted": {
			[]skew.Workload{runs("shop", "cart", before, "v1.29.6"), runs("shop", "pay", after, "v1.30.3")},
			figures.Figures{
				Workloads: []figures.Workloads{{before, "v1.29.6", skew.Sidecar, 1}, {after, "v1.30.3", skew.Sidecar, 1}},
				Restarts:  []figures.Restarts{{before, "v1.29.6", 1}, {after, "v1.30.3", 0}},
				Tags:      []figures.Tag{{Name: "prod", Workloads: []figures.Running{{before, 1}, {after, 1}}}},
			},
		},
		"half restarted is both": {
			[]skew.Workload{runs("shop", "cart", before, "v1.29.6"), runs("shop", "cart", after, "v1.30.3")},
			figures.Figures{
				Workloads: []figures.Workloads{{before, "v1.29.6", skew.Sidecar, 1}, {after, "v1.30.3", skew.Sidecar, 1}},
				Restarts:  []figures.Restarts{{before, "v1.29.6", 1}, {after, "v1.30.3", 0}},
				Tags:      []figures.Tag{{Name: "prod", Workloads: []figures.Running{{before, 1}, {after, 1}}}},
			},
		},
		"a namespace that names its revision has nothing to restart, and an older patch has": {
			[]skew.Workload{runs("bank", "core", before, "v1.29.6-distroless"), runs("bank", "edge", before, "v1.29.4"), runs("bank", "odd", before, "")},
			figures.Figures{
				Workloads: []figures.Workloads{
					{before, skew.Parse("").String(), skew.Sidecar, 1}, {before, "v1.29.4", skew.Sidecar, 1}, {before, "v1.29.6-distroless", skew.Sidecar, 1},
				},
				Restarts: []figures.Restarts{{before, skew.Parse("").String(), 0}, {before, "v1.29.4", 1}, {before, "v1.29.6-distroless", 0}},
				Tags:     []figures.Tag{{Name: "prod"}},
			},
		},
		"a pod's own label counts where its namespace has none": {
			[]skew.Workload{asked},
			figures.Figures{
				Workloads: []figures.Workloads{{before, "v1.29.6", skew.Sidecar, 1}}, Restarts: []figures.Restarts{{before, "v1.29.6", 1}},
				Tags: []figures.Tag{{Name: "prod", Workloads: []figures.Running{{before, 1}}}},
			},
		},
		"what could not be injected again is not to be restarted, nor are proxies that istiod deploys": {
			[]skew.Workload{opted, gateway},
			figures.Figures{
				Workloads: []figures.Workloads{{before, "v1.29.6", skew.GatewayProxy, 1}, {before, "v1.29.6", skew.Sidecar, 1}},
				Restarts:  []figures.Restarts{{before, "v1.29.6", 0}}, Tags: []figures.Tag{{Name: "prod"}},
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m, s := world(moved(), tc.workloads...)
			got := figures.Of(m, s, skew.DefaultPolicy())
			got.Observations, got.Injectors = nil, nil // their own tests below
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatTheRulesObserve(t *testing.T) {
	m, s := world(moved())
	s.CNI = &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.32.0"}
	for i, name := range []string{after, before} {
		s.Namespaces = append(s.Namespaces, skew.Namespace{Name: "user-" + string(rune('a'+i)), Labels: map[string]string{"istio.io/rev": name}})
	}
	var got []skew.Rule
	total := 0
	for _, o := range figures.Of(m, s, skew.DefaultPolicy()).Observations {
		got = append(got, o.Rule)
		total += o.Count
	}
	if diff := cmp.Diff([]skew.Rule{skew.CNISkew}, got); diff != "" || total < 1 {
		t.Errorf("%d observations (-want +got):\n%s", total, diff)
	}
}

func TestReadyInjectors(t *testing.T) {
	m, s := world(moved())
	s.Revisions[0].Istiod.Ready = 2
	s.Revisions = append(s.Revisions, skew.Revision{Revision: routing.Revision{Name: "elsewhere", Remote: true}})
	want := []figures.Injector{{Revision: before, Ready: 2}, {Revision: after}}
	if diff := cmp.Diff(want, figures.Of(m, s, skew.DefaultPolicy()).Injectors); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTagsThatAreHeldBack(t *testing.T) {
	dangling := moved()
	dangling.Revision = "gone"
	m, s := world(dangling)
	if got := figures.Of(m, s, skew.DefaultPolicy()).Tags; len(got) != 1 || !got[0].Held {
		t.Errorf("a tag that leads nowhere: %+v", got)
	}
	m, _ = world(moved())
	if got := figures.Of(m, nil, skew.DefaultPolicy()).Tags; len(got) != 1 || got[0].Held {
		t.Errorf("a tag that leads to its target, with nothing else known: %+v", got)
	}
	if diff := cmp.Diff(figures.Figures{}, figures.Of(nil, s, skew.DefaultPolicy())); diff != "" {
		t.Errorf("figures of no mesh: %s", diff)
	}
}

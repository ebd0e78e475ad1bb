package metrics

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/revision-router/revision-router/internal/figures"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func newMeshRig(t *testing.T, known figures.Figures) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewPedanticRegistry()}
	gauges := Mesh{
		Figures: func() figures.Figures { return known }, Policy: func() Policy { return Policy{Generation: 3, Failed: true} },
		Overlaps: func() int { return 2 },
	}
	if err := gauges.Register(r.registry); err != nil {
		t.Fatal(err)
	}
	return r
}

func everything() figures.Figures {
	return figures.Figures{
		Workloads:    []figures.Workloads{{Revision: "a", Version: "v1.29.6", Role: skew.Sidecar, Count: 4}},
		Restarts:     []figures.Restarts{{Revision: "a", Version: "v1.29.6", Count: 3}},
		Observations: []figures.Observations{{Rule: skew.CNISkew, Level: skew.Deny, Count: 1}},
		Tags: []figures.Tag{
			{Name: "prod", Rollout: routing.Rollout{Revision: "b", Percent: 20}, Held: true, Workloads: []figures.Running{{Revision: "a", Count: 4}}},
			{Name: "test"},
		},
		Injectors: []figures.Injector{{Revision: "a", Ready: 2}, {Revision: "b"}},
	}
}

func TestMeshGauges(t *testing.T) {
	var got []string
	for name, f := range newMeshRig(t, everything()).gather(t) {
		for _, m := range f.GetMetric() {
			got = append(got, strings.TrimPrefix(name, prefix)+labels(m)+" "+number(m.GetGauge().GetValue()))
		}
	}
	slices.Sort(got)
	want := []string{
		"injector_overlaps 2",
		`injector_ready_pods{revision="a"} 2`,
		`injector_ready_pods{revision="b"} 0`,
		`mesh_observations{level="Deny",rule="CNISkew"} 1`,
		`mesh_workloads_to_restart{revision="a",version="v1.29.6"} 3`,
		`mesh_workloads{revision="a",role="Sidecar",version="v1.29.6"} 4`,
		"policy_failed 1",
		"policy_generation 3",
		`tag_held_back{tag="prod"} 1`,
		`tag_held_back{tag="test"} 0`,
		`tag_rollout_percent{revision="b",tag="prod"} 20`,
		`tag_workloads{revision="a",tag="prod"} 4`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMeshCatalogIsWhatIsExported(t *testing.T) {
	r := newMeshRig(t, everything())
	families := r.gather(t)
	for _, want := range MeshCatalog() {
		f := families[want.Name]
		if f == nil {
			t.Errorf("%s is not exported", want.Name)
			continue
		}
		got := Metric{Name: f.GetName(), Kind: Kind(strings.ToLower(f.GetType().String())), Help: f.GetHelp()}
		for _, l := range f.GetMetric()[0].GetLabel() {
			got.Labels = append(got.Labels, l.GetName())
		}
		slices.Sort(want.Labels)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-catalog +exported):\n%s", want.Name, diff)
		}
	}
	if len(families) != len(MeshCatalog()) {
		t.Errorf("%d metrics are exported, the catalog has %d", len(families), len(MeshCatalog()))
	}
	problems, err := testutil.GatherAndLint(r.registry)
	if diff := cmp.Diff([]promlint.Problem(nil), problems); diff != "" || err != nil {
		t.Errorf("%v, promlint:\n%s", err, diff)
	}
}

func TestNamesFromObjectsMakeABoundedNumberOfSeries(t *testing.T) {
	var many figures.Figures
	for i := range 3 * maxMeshSeries {
		name := fmt.Sprintf("r%04d", i)
		many.Workloads = append(many.Workloads, figures.Workloads{Revision: name, Version: "v1.30.3", Role: skew.Sidecar, Count: 1})
		many.Restarts = append(many.Restarts, figures.Restarts{Revision: name, Version: "v1.30.3", Count: 1})
		many.Tags = append(many.Tags, figures.Tag{
			Name: name, Rollout: routing.Rollout{Revision: name, Percent: 1}, Workloads: []figures.Running{{Revision: name, Count: 1}},
		})
		many.Injectors = append(many.Injectors, figures.Injector{Revision: name, Ready: 1})
	}
	families := newMeshRig(t, many).gather(t)
	for _, name := range []string{meshWorkloads, meshRestarts, tagWorkloads} {
		total := 0.0
		series := families[prefix+name].GetMetric()
		for _, m := range series {
			total += m.GetGauge().GetValue()
		}
		if len(series) != maxMeshSeries+1 || total != 3*maxMeshSeries {
			t.Errorf("%s: %d series with %v workloads, want %d with %d", name, len(series), total, maxMeshSeries+1, 3*maxMeshSeries)
		}
	}
	for _, name := range []string{tagHeldBack, tagRollout, injectorReady} {
		if n := len(families[prefix+name].GetMetric()); n != maxMeshSeries {
			t.Errorf("%s: %d series, want %d", name, n, maxMeshSeries)
		}
	}
}

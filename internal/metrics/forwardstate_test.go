package metrics

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/routing"
)

func TestRoutableRevisions(t *testing.T) {
	r := &rig{registry: prometheus.NewPedanticRegistry()}
	var m *routing.Mesh
	if err := (ForwardState{Mesh: func() *routing.Mesh { return m }}).Register(r.registry); err != nil {
		t.Fatal(err)
	}
	if got := r.gather(t); len(got) > 0 {
		t.Errorf("before the first snapshot: %v", got)
	}
	revisions := []routing.Revision{
		{Name: "x", Origin: routing.Sail},
		{Name: "away", Origin: routing.Sail, Unroutable: routing.NoEndpoints},
		{Name: "gone", Origin: routing.Sail, Unroutable: routing.NoEndpoints},
		{Name: "plain", Origin: routing.Webhook},
	}
	m = routing.NewMesh(routing.Objects{Mode: routing.Forward, Revisions: revisions})
	got := map[string]float64{}
	for name, f := range r.gather(t) {
		for _, metric := range f.GetMetric() {
			got[name+labels(metric)] = metric.GetGauge().GetValue()
		}
	}
	want := map[string]float64{
		prefix + `revision_routable{revision="x"}`: 1, prefix + `revision_routable{revision="away"}`: 0, prefix + `revision_routable{revision="gone"}`: 0,
	}
	for _, why := range routing.UnroutableReasons() {
		want[fmt.Sprintf("%sunroutable_revisions{reason=%q}", prefix, string(why))] = 0
	}
	want[prefix+`unroutable_revisions{reason="NoEndpoints"}`] = 2
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exported (-want +got):\n%s", diff)
	}

	for n := range 2 * maxRevisions {
		revisions = append(revisions, routing.Revision{Name: fmt.Sprint("made-", n), Origin: routing.Sail, Unroutable: routing.NoCA})
	}
	m = routing.NewMesh(routing.Objects{Mode: routing.Forward, Revisions: revisions})
	families := r.gather(t)
	if got := len(families[prefix+revisionRoutable].GetMetric()); got != maxRevisions {
		t.Errorf("%d series for %d revisions, want %d", got, len(revisions), maxRevisions)
	}
}

package metrics

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

func newForwardRig(t *testing.T, circuits ...forward.Circuit) (*ForwardRecorder, *rig) {
	t.Helper()
	r := &rig{registry: prometheus.NewPedanticRegistry()}
	recorder, err := NewForwardRecorder(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	if err := (Circuits{func() []forward.Circuit { return circuits }}).Register(r.registry); err != nil {
		t.Fatal(err)
	}
	m := routing.NewMesh(routing.Objects{Mode: routing.Forward, Revisions: []routing.Revision{{Name: "x", Origin: routing.Sail}}})
	if err := (ForwardState{Mesh: func() *routing.Mesh { return m }}).Register(r.registry); err != nil {
		t.Fatal(err)
	}
	return recorder, r
}

func TestForwardsAreCounted(t *testing.T) {
	recorder, r := newForwardRig(t, forward.Circuit{Revision: "x", Open: true}, forward.Circuit{Revision: "y"})
	recorder.Forwarded("x", forward.Injected, 3*time.Millisecond)
	recorder.Forwarded("x", forward.Injected, 5*time.Millisecond)
	recorder.Forwarded("y", forward.TimedOut, time.Second)
	recorder.Forwarded("y", "unheard of", 0)
	recorder.Retried("x")
	families := r.gather(t)
	want := []string{
		`istio_revision_router_forward_duration_seconds{revision="x"} 2 in 0.008`,
		`istio_revision_router_forward_duration_seconds{revision="y"} 2 in 1`,
		`istio_revision_router_forward_retries_total{revision="x"} 1`,
		`istio_revision_router_forwards_total{result="injected",revision="x"} 2`,
		`istio_revision_router_forwards_total{result="timed_out",revision="y"} 1`,
	}
	if diff := cmp.Diff(want, nonZero(families)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
	if got, want := len(families[prefix+forwards].GetMetric()), 2*len(forward.Results()); got != want {
		t.Errorf("%d series of results, want all %d from the first pod on", got, want)
	}
	var open []string
	for _, m := range families[prefix+forwardCircuit].GetMetric() {
		open = append(open, labels(m)+fmt.Sprint(m.GetGauge().GetValue()))
	}
	if diff := cmp.Diff([]string{`{revision="x"}1`, `{revision="y"}0`}, open); diff != "" {
		t.Errorf("circuits (-want +got):\n%s", diff)
	}
}

func TestForwardCatalogIsWhatIsExported(t *testing.T) {
	recorder, r := newForwardRig(t, forward.Circuit{Revision: "x"})
	recorder.Retried("x")
	families := r.gather(t)
	for _, want := range ForwardCatalog() {
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
	if len(families) != len(ForwardCatalog()) {
		t.Errorf("%d metrics are exported, the catalog has %d", len(families), len(ForwardCatalog()))
	}
	problems, err := testutil.GatherAndLint(r.registry)
	if diff := cmp.Diff([]promlint.Problem(nil), problems); diff != "" || err != nil {
		t.Errorf("%v, promlint:\n%s", err, diff)
	}
}

func TestRevisionsInMetricsAreBounded(t *testing.T) {
	recorder, r := newForwardRig(t)
	for i := range 10 * maxRevisions {
		recorder.Forwarded(fmt.Sprintf("r%d", i), forward.Injected, 0)
	}
	series := r.gather(t)[prefix+forwards].GetMetric()
	if got, want := len(series), (maxRevisions+1)*len(forward.Results()); got != want {
		t.Errorf("%d series, want %d", got, want)
	}
	other := func(m *dto.Metric) bool {
		return labels(m) == `{result="injected",revision="other"}` && m.GetCounter().GetValue() == 9*maxRevisions
	}
	if !slices.ContainsFunc(series, other) {
		t.Error("what is beyond the bound is not counted")
	}
}

func TestRecordingForwardsAllocatesNothing(t *testing.T) {
	recorder, _ := newForwardRig(t)
	if n := testing.AllocsPerRun(100, func() { recorder.Forwarded("x", forward.Injected, time.Millisecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package metrics

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/revision-router/revision-router/internal/registration"
	"github.com/revision-router/revision-router/internal/server"
)

func registerServer(t *testing.T, registry prometheus.Registerer, panicked func()) *ServerRecorder {
	t.Helper()
	recorder, err := NewServerRecorder(registry, panicked)
	if err != nil {
		t.Fatal(err)
	}
	gauges := Server{
		Stats: func() server.Stats {
			return server.Stats{Connections: map[server.Phase]int{server.Idle: 3}, InFlight: 2, BodyBytes: 4096}
		},
		Registration: func() (registration.State, bool) {
			return registration.State{Findings: []registration.Finding{{Problem: registration.Order}}}, true
		},
	}
	if err := gauges.Register(registry); err != nil {
		t.Fatal(err)
	}
	return recorder
}

func TestTheServerIsCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	panics := 0
	r := registerServer(t, registry, func() { panics++ })
	r.Refused(server.TooManyBytes)
	r.Closed(server.Drained)
	r.HandshakeFailed(server.NotTLS)
	r.Panicked()
	r.Refused("x")
	r.Closed("x")
	r.HandshakeFailed("x")
	got, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range got {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue(); v != 0 {
				values[f.GetName()[len(prefix):]+labels(m)] = v
			}
		}
	}
	want := map[string]float64{
		`refused_requests_total{cause="too_many_bytes"}`: 1,
		`closed_connections_total{reason="drained"}`:     1,
		`tls_handshake_errors_total{cause="not_tls"}`:    1,
		`open_connections{phase="idle"}`:                 3,
		`requests_in_flight`:                             2,
		`body_bytes`:                                     4096,
		`webhook_registration_problems{problem="order"}`: 1,
	}
	if diff := cmp.Diff(want, values); diff != "" || panics != 1 {
		t.Errorf("%d panics; (-want +got):\n%s", panics, diff)
	}
	series, err := testutil.GatherAndCount(registry)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(server.Refusals()) + len(server.Closures()) + len(server.HandshakeFailures()) + len(server.Phases()) +
		len(registration.Problems()) + 2; series != want {
		t.Errorf("%d series, want %d, all of them from the start", series, want)
	}
}

func TestTheAgeOfWhatIsNotFollowed(t *testing.T) {
	r := newRig(t)
	stale := func() float64 {
		return r.gather(t)[prefix+snapshotStale].GetMetric()[0].GetGauge().GetValue()
	}
	r.snapshot = Snapshot{Generation: 1, Made: r.now.Add(-time.Hour)}
	if got := stale(); got != 0 {
		t.Errorf("%v seconds although everything is followed", got)
	}
	r.snapshot.StaleSince = r.now.Add(-10 * time.Minute)
	if got := stale(); got != 600 {
		t.Errorf("%v seconds after ten minutes without the API server", got)
	}
}

// ofServer tells which gauges TestSnapshotGauges leaves to this file.
func ofServer(name string) bool {
	return slices.Contains([]string{
		prefix + openConnections, prefix + requestsInFlight, prefix + bodyBytes, prefix + registrationProblems,
	}, name)
}

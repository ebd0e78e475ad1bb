package metrics

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

// ofCertificates tells the gauges of certificates from those of the snapshot.
func ofCertificates(name string) bool {
	for _, own := range []string{certificateExpiry, certificateFailed, bundleWebhooks, bundlePublished, rotationPhase, writes} {
		if name == prefix+own {
			return true
		}
	}
	return false
}

// certificateGauges are those that are not 0.
func certificateGauges(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetGauge().GetValue(); f.GetType() == dto.MetricType_GAUGE && ofCertificates(f.GetName()) && v != 0 {
				values[strings.TrimPrefix(f.GetName(), prefix)+labels(m)] = v
			}
		}
	}
	return values
}

func until(second int64) *x509.Certificate { return &x509.Certificate{NotAfter: time.Unix(second, 0)} }

func TestCertificateGauges(t *testing.T) {
	cases := map[string]struct {
		report secretca.Report
		want   map[string]float64
	}{
		"before the first look there is a phase and nothing else": {
			secretca.Report{Phase: certs.NoCA}, map[string]float64{`ca_rotation_phase{phase="NoCA"}`: 1},
		},
		"in the middle of a rotation everything is told": {
			secretca.Report{
				Leaf: until(10), Current: until(20), Next: until(30), Previous: []*x509.Certificate{until(12), until(15), until(14)},
				Phase: certs.Publishing, Webhooks: 8, InOrder: 5, Published: time.Unix(5, 5e8), Failed: true, Writes: true,
			},
			map[string]float64{
				`certificate_expiry_timestamp_seconds{certificate="leaf"}`:        10,
				`certificate_expiry_timestamp_seconds{certificate="ca"}`:          20,
				`certificate_expiry_timestamp_seconds{certificate="next_ca"}`:     30,
				`certificate_expiry_timestamp_seconds{certificate="previous_ca"}`: 15,
				`certificate_failed`: 1, `ca_bundle_webhooks{state="in_order"}`: 5, `ca_bundle_webhooks{state="different"}`: 3,
				`ca_bundle_published_timestamp_seconds`: 5.5, `ca_rotation_phase{phase="Publishing"}`: 1, `writes_enabled`: 1,
			},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.report = tc.report
			if diff := cmp.Diff(tc.want, certificateGauges(t, r.registry)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMountedCertificateHasNoCA(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	mounted := func() (*x509.Certificate, bool) { return until(10), true }
	if err := (Certificates{Mounted: mounted}).Register(registry); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{`certificate_expiry_timestamp_seconds{certificate="leaf"}`: 10, `certificate_failed`: 1}
	if diff := cmp.Diff(want, certificateGauges(t, registry)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCertificateActionsAreCounted(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	r, err := NewCertificateRecorder(registry)
	if err != nil {
		t.Fatal(err)
	}
	r.CertificateAction(certs.PublishBundle, secretca.Done)
	r.CertificateAction(certs.PublishBundle, secretca.Done)
	r.CertificateAction(certs.CreateCA, secretca.Conflict)
	r.CertificateAction("x", "x")
	r.CertificateAction(certs.Nothing, secretca.Done)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := nonZero(map[string]*dto.MetricFamily{families[0].GetName(): families[0]})
	want := []string{
		`istio_revision_router_certificate_actions_total{action="CreateCA",outcome="Conflict"} 1`,
		`istio_revision_router_certificate_actions_total{action="PublishBundle",outcome="Done"} 2`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := len(families[0].GetMetric()), (len(certs.Kinds())-1)*len(secretca.Outcomes()); got != want {
		t.Errorf("%d series, want %d", got, want)
	}
}

//go:build kind

package e2ekind

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/certmanager"
	"github.com/revision-router/revision-router/test/load"
)

// What the chart calls its Certificates.
const (
	servingCertificate = "revision-router-tls"
	caCertificate      = "revision-router-cert-manager-ca"
)

// testCertManager installs the chart with cert-manager's objects. They are cert-manager's own, and who acts on them is a
// stand-in (test/certmanager); that the Secret is mounted, and brought again when it changes, is the kubelet's doing.
func (w *world) testCertManager(t *testing.T) {
	w.uninstall(t)
	if err := certmanager.Install(t.Context(), w.cluster.Config()); err != nil {
		t.Fatal(err)
	}
	issuer, err := certmanager.NewIssuer(w.cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cluster.Namespace(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.values = chartValues("certs.provider=cert-manager")
	installed := make(chan error, 1) // Helm waits until the pods are ready, and those for their certificate
	go func() { installed <- w.chart.Install(t.Context(), w.values...) }()
	eventually(t, "the certificates are issued", func(ctx context.Context) error {
		if err := issuer.Issue(ctx, charts.Name, caCertificate); err != nil {
			return err
		}
		return issuer.Issue(ctx, charts.Name, servingCertificate)
	})
	eventually(t, "the CA is injected", func(ctx context.Context) error {
		_, err := issuer.Inject(ctx)
		return err
	})
	if err := <-installed; err != nil {
		t.Fatal(err)
	}
	pods := w.settled(t, replicas)
	w.routes(t, oldRevision)
	r := w.underLoad(t, "renewal by cert-manager's objects", []string{oldRevision}, func(*load.Generator) {
		before := w.expiries(t.Context(), t, pods)
		if err := issuer.Issue(t.Context(), charts.Name, servingCertificate); err != nil {
			t.Fatal(err)
		}
		eventually(t, "every replica serves the new certificate", func(ctx context.Context) error {
			for pod, expiry := range w.expiries(ctx, t, pods) {
				if expiry == before[pod] {
					return fmt.Errorf("%s serves the old one", pod)
				}
			}
			return nil
		})
	})
	noneFailed(t, r)
}

// expiries are when the certificates end that these replicas serve.
func (w *world) expiries(ctx context.Context, t *testing.T, pods []corev1.Pod) map[string]float64 {
	t.Helper()
	ends := map[string]float64{}
	for i := range pods {
		pod := &pods[i]
		for name, value := range w.metrics(ctx, t, pod.Name) {
			if strings.HasPrefix(name, "istio_revision_router_certificate_expiry_timestamp_seconds{") {
				ends[pod.Name] = value
			}
		}
		if ends[pod.Name] == 0 {
			t.Fatalf("%s tells nothing about its certificate", pod.Name)
		}
	}
	return ends
}

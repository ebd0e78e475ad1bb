package cli

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/test/cluster"
)

// testResolveForward asks about pods of one namespace, while the injector of their revision is in another.
func testResolveForward(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	args := []string{"--kubeconfig", c.Kubeconfig(), "-n", "resolve-shop", "-o", "json", "--mode", "forward"}
	got := ran(t, "", args...)
	for _, row := range rowsOf(t, got.stdout) {
		if row.Reason != "NotRoutable" {
			t.Errorf("without an endpoint: %+v", row)
		}
	}
	if got.code != ExitRefused || !strings.Contains(got.stderr, "its injector has no ready endpoint") {
		t.Errorf("got exit code %d and stderr %q", got.code, got.stderr)
	}
	client := kubernetes.NewForConfigOrDie(c.Config())
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "istio-system"}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "injector", Labels: map[string]string{"kubernetes.io/service-name": "istiod-resolve-v1"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
	}
	if _, err := client.DiscoveryV1().EndpointSlices("istio-system").Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	got = ran(t, "", args...)
	rows := rowsOf(t, got.stdout)
	for _, row := range rows {
		if row.Action != "Inject" || row.Revision != "resolve-v1" || row.Tag != "resolve-prod" {
			t.Errorf("with an endpoint: %+v", row)
		}
	}
	if got.code != 0 || len(rows) != podsInCluster {
		t.Errorf("got exit code %d, %d rows and stderr %q", got.code, len(rows), got.stderr)
	}
}

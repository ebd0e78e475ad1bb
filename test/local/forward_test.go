package local

import (
	"context"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

// What the chart renders for mode forward is enough: with the rendered flags and the rights of its ServiceAccount the
// router becomes ready, and finds the injector of a revision that comes after it.
func TestTheChartInForwardModeRoutesWithItsOwnRights(t *testing.T) {
	for name, tc := range map[string]struct {
		values []string
		// namespace of the control plane, and whether the router may look there.
		namespace string
		routable  bool
	}{
		"a control plane where the chart expects it": {[]string{"--set", "mode=forward"}, "istio-system", true},
		"one elsewhere is not looked at":             {[]string{"--set", "mode=forward"}, "mesh-system", false},
		"one elsewhere where the chart expects any": {
			[]string{"--set", "mode=forward", "--set-json", "forward.controlPlaneNamespaces=[]"}, "mesh-system", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := Start(t.Context(), Options{Values: tc.values})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
			controlPlane(t, e, tc.namespace)
			state := map[bool]string{true: "1", false: "0"}[tc.routable]
			awaitMetrics(t, e, `istio_revision_router_revision_routable{revision="canary"} `+state,
				"istio_revision_router_injector_overlaps 0")
			log := routerLog(t, e, !tc.routable)
			if forbidden := strings.Contains(log, "forbidden"); forbidden == tc.routable {
				t.Errorf("the log tells of something that is forbidden: %t\n%s", forbidden, log)
			}
			if ok, answer := get(t.Context(), e.Health+"/readyz?verbose"); !ok {
				t.Errorf("a control plane that cannot be read makes the router unready: %s", answer)
			}
		})
	}
}

// controlPlane makes what the router has to see of one that runs.
func controlPlane(t *testing.T, e *Environment, namespace string) {
	t.Helper()
	kube, err := kubernetes.NewForConfig(e.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	_, _ = kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}) // it may be there: what follows would fail
	root := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "istio-ca-root-cert"}, Data: map[string]string{"root-cert.pem": string(e.injectors.ca)},
	}
	if _, err := kube.CoreV1().ConfigMaps(namespace).Create(t.Context(), root, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "istiod-canary-1", Labels: map[string]string{discoveryv1.LabelServiceName: "istiod-canary"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}},
	}
	if _, err := kube.DiscoveryV1().EndpointSlices(namespace).Create(t.Context(), slice, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(e.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	revision := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "IstioRevision", "metadata": map[string]any{"name": "canary"},
		"spec": map[string]any{"version": "v1.30.3", "namespace": namespace},
	}}
	kind := schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: "istiorevisions"}
	if _, err := client.Resource(kind).Create(t.Context(), revision, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// routerLog is the router's log; where it has to tell of something forbidden, once it does, which may be after the metric.
func routerLog(t *testing.T, e *Environment, forbidden bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	for {
		log, err := os.ReadFile(e.RouterLog())
		if err != nil {
			t.Fatal(err)
		}
		if !forbidden || strings.Contains(string(log), "forbidden") || ctx.Err() != nil {
			return string(log)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// awaitMetrics waits until the router tells all of this.
func awaitMetrics(t *testing.T, e *Environment, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	for {
		page := scrape(ctx, t, e.Metrics)
		missing := slices.DeleteFunc(slices.Clone(want), func(line string) bool { return strings.Contains(page, line+"\n") })
		if len(missing) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("missing: %q\n%s", missing, e.router.tail())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func scrape(ctx context.Context, t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return string(page)
}

//go:build e2e

package installed

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// previous is the package of the chart's version before this one.
const previous = "../../charts/testdata/revision-router-0.1.0.tgz"

const (
	shop     = "shop"
	revision = "default-v1-30-3"
)

// From the version before to this one, to other values, and away again, with a webhook that fails closed: while pods are
// created all the time, none is refused and none is missed, until the router is asked to go.
func TestUpgradeAndUninstallLeaveAWorkingCluster(t *testing.T) {
	s := newSite(t)
	s.mesh() // before the router: the role of the version before lets today's router route pods, and not judge changes
	s.install(previous, "--set", "webhook.failurePolicy=Fail")
	s.eventually("pods are routed", s.routed)
	chart := s.pack()

	t.Run("an upgrade to this version", func(t *testing.T) {
		traffic := s.start(t)
		s.upgrade(chart)
		traffic.wantRouted()
	})
	t.Run("an upgrade that replaces the routers", func(t *testing.T) {
		traffic := s.start(t)
		s.upgrade(chart, "--set", "log.level=debug,enableNamespacesByDefault=true,changes.perHook.mesh.failurePolicy=Fail")
		traffic.wantRouted()
	})
	t.Run("back to the version before", func(t *testing.T) {
		traffic := s.start(t)
		s.helm("rollback", release, "1", "--wait", "--timeout", patience.String())
		traffic.wantRouted()
	})
	t.Run("uninstalled", func(t *testing.T) { s.uninstall(t) })
}

func (s site) upgrade(chart string, values ...string) {
	s.t.Helper()
	args := append([]string{"upgrade", release, chart, "--reset-then-reuse-values", "--wait", "--timeout", patience.String()}, s.Values()...)
	s.helm(append(args, values...)...)
}

// uninstall takes the release away while pods are created, and looks at the order in which its objects go.
func (s site) uninstall(t *testing.T) {
	t.Helper()
	order := s.follow(t)
	traffic := s.start(t)
	s.helm("uninstall", release, "--wait", "--timeout", patience.String())
	traffic.wantCreated()
	gone := order()
	t.Logf("deleted in this order: %s", strings.Join(gone, ", "))
	last := max(slices.Index(gone, "MutatingWebhookConfiguration"), slices.Index(gone, "ValidatingWebhookConfiguration"))
	if last != 1 {
		t.Errorf("deleted in the order %v, want the configurations first", gone)
	}
	pod, err := s.create(t.Context())
	s.must(err)
	if value, there := pod.Labels[routing.LabelRoutedRevision]; there {
		t.Errorf("a pod is routed to %s by a router that is gone", value)
	}
	left, err := s.kube.CoreV1().Pods(release).List(t.Context(), metav1.ListOptions{})
	s.must(err)
	for _, pod := range left.Items {
		if pod.DeletionTimestamp == nil {
			t.Errorf("pod %s is left", pod.Name)
		}
	}
}

// mesh makes a revision as the operator does, and a namespace that asks for it.
func (s site) mesh() {
	s.t.Helper()
	s.must(s.namespace(s.t.Context(), "istio-system", nil))
	client, err := dynamic.NewForConfig(s.Cluster.Config())
	s.must(err)
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sailoperator.io/v1", "kind": "IstioRevision", "metadata": map[string]any{"name": revision},
		"spec": map[string]any{"version": "v1.30.3", "namespace": "istio-system", "values": map[string]any{"revision": revision}},
	}}
	_, err = client.Resource(sail.GroupVersion().WithResource("istiorevisions")).Create(s.t.Context(), object, metav1.CreateOptions{})
	s.must(err)
	s.eventually("a namespace of the mesh", func(ctx context.Context) error {
		return s.namespace(ctx, shop, map[string]string{routing.LabelRevision: revision})
	})
}

// create creates a pod of the mesh, as a dry run so that nothing piles up.
func (s site) create(ctx context.Context) (*corev1.Pod, error) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Image: "app:1"}}, AutomountServiceAccountToken: new(false),
		},
	}
	return s.kube.CoreV1().Pods(shop).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
}

func (s site) routed(ctx context.Context) error {
	pod, err := s.create(ctx)
	if err != nil {
		return err
	}
	if got := pod.Labels[routing.LabelRoutedRevision]; got != revision {
		return fmt.Errorf("routed to %q", got)
	}
	return nil
}

// traffic creates pods until it is stopped.
type traffic struct {
	t       *testing.T
	cancel  context.CancelFunc
	running sync.WaitGroup

	routed, unrouted int
	refused          []error
}

func (s site) start(t *testing.T) *traffic {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	tr := &traffic{t: t, cancel: cancel}
	tr.running.Go(func() {
		pause := time.NewTicker(20 * time.Millisecond)
		defer pause.Stop()
		for ctx.Err() == nil {
			pod, err := s.create(ctx)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				tr.refused = append(tr.refused, err)
			case pod.Labels[routing.LabelRoutedRevision] == revision:
				tr.routed++
			default:
				tr.unrouted++
			}
			select {
			case <-pause.C:
			case <-ctx.Done():
			}
		}
	})
	return tr
}

func (tr *traffic) stop() {
	tr.cancel()
	tr.running.Wait()
	tr.t.Logf("%d pods routed, %d not, %d refused", tr.routed, tr.unrouted, len(tr.refused))
}

// wantRouted: every pod found a router.
func (tr *traffic) wantRouted() {
	tr.t.Helper()
	tr.stop()
	if tr.routed == 0 || tr.unrouted > 0 || len(tr.refused) > 0 {
		tr.t.Errorf("%d pods routed, %d not, refused: %v", tr.routed, tr.unrouted, tr.refused)
	}
}

// wantCreated: every pod was created, with a router or without one.
func (tr *traffic) wantCreated() {
	tr.t.Helper()
	tr.stop()
	if tr.routed == 0 || len(tr.refused) > 0 {
		tr.t.Errorf("%d pods routed before, refused: %v", tr.routed, tr.refused)
	}
}

// follow watches what of a release keeps pods from being created or is needed to create them. The function that it returns
// tells in which order these kinds were deleted, once all are.
func (s site) follow(t *testing.T) func() []string {
	t.Helper()
	client, err := dynamic.NewForConfig(s.Cluster.Config())
	s.must(err)
	kinds := map[string]schema.GroupVersionResource{
		"MutatingWebhookConfiguration":   admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingwebhookconfigurations"),
		"ValidatingWebhookConfiguration": admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations"),
		"Service":                        corev1.SchemeGroupVersion.WithResource("services"),
		"Deployment":                     appsv1.SchemeGroupVersion.WithResource("deployments"),
	}
	var mu sync.Mutex
	versions := map[string]string{} // from the kind to the resource version of its first deletion
	var seen sync.WaitGroup
	for kind, resource := range kinds {
		w, err := client.Resource(resource).Watch(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + release})
		s.must(err)
		seen.Go(func() {
			defer w.Stop()
			for event := range w.ResultChan() {
				if object, ok := event.Object.(*unstructured.Unstructured); ok && event.Type == watch.Deleted {
					mu.Lock()
					versions[kind] = object.GetResourceVersion()
					mu.Unlock()
					return
				}
			}
		})
	}
	return func() []string {
		seen.Wait()
		order := make([]string, 0, len(versions))
		for kind := range versions {
			order = append(order, kind)
		}
		// All kinds share one store, whose versions grow with time.
		slices.SortFunc(order, func(a, b string) int {
			return compareVersions(versions[a], versions[b])
		})
		return order
	}
}

// compareVersions compares resource versions, which are numbers that etcd counts up.
func compareVersions(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

//go:build e2e

package local

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// told is a router in a mesh of one revision, and what it says in Events.
type told struct {
	*Environment

	kube    kubernetes.Interface
	dynamic dynamic.Interface
}

func newTold(t *testing.T) *told {
	t.Helper()
	e, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &told{Environment: e}
	if w.kube, err = kubernetes.NewForConfig(e.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	if w.dynamic, err = dynamic.NewForConfig(e.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	w.create(t, "istiorevisions", map[string]any{
		"kind": "IstioRevision", "metadata": map[string]any{"name": "canary"},
		"spec": map[string]any{"version": "v1.30.3", "namespace": "istio-system"},
	})
	awaitMetrics(t, e, `istio_revision_router_snapshot_objects{kind="revision"} 1`)
	return w
}

func (w *told) create(t *testing.T, resource string, object map[string]any) *unstructured.Unstructured {
	t.Helper()
	object["apiVersion"] = "sailoperator.io/v1"
	kind := schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: resource}
	made, err := w.dynamic.Resource(kind).Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// namespace is one whose label the router refuses unless somebody overrides it.
func (w *told) namespace(t *testing.T, name string) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{routing.LabelRevision: "canarry"},
		Annotations: map[string]string{skew.AnnotationOverride: "it stood before the router"},
	}}
	if _, err := w.kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// refused creates pods and returns how many were refused.
func (w *told) refused(t *testing.T, namespace string, pods int, o metav1.CreateOptions) int {
	t.Helper()
	var mu sync.Mutex
	var running sync.WaitGroup
	count := 0
	const atOnce = 8
	for worker := range atOnce {
		running.Go(func() {
			for i := worker; i < pods; i += atOnce {
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web-%d", i)},
					Spec: corev1.PodSpec{
						Containers:                   []corev1.Container{{Name: "web", Image: "registry.example/web"}},
						AutomountServiceAccountToken: new(false),
					},
				}
				_, err := w.kube.CoreV1().Pods(namespace).Create(t.Context(), pod, o)
				mu.Lock()
				if apierrors.IsForbidden(err) && strings.Contains(err.Error(), "UnknownRevision") {
					count++
				} else {
					t.Errorf("pod %d is not refused: %v", i, err)
				}
				mu.Unlock()
			}
		})
	}
	running.Wait()
	return count
}

// events are those of a namespace, as kubectl get events -n NAMESPACE lists them.
func (w *told) events(ctx context.Context, t *testing.T, namespace, selector string) []corev1.Event {
	t.Helper()
	list, err := w.kube.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{FieldSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// await waits for an Event of a namespace that is as wanted.
func (w *told) await(t *testing.T, namespace, selector string, wanted func(corev1.Event) bool) corev1.Event {
	t.Helper()
	var seen []corev1.Event
	var found corev1.Event
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		seen = w.events(ctx, t, namespace, selector)
		at := slices.IndexFunc(seen, wanted)
		if at >= 0 {
			found = seen[at]
		}
		return at >= 0, nil
	})
	if err != nil {
		t.Fatalf("no such Event in %s: %+v\n%s", namespace, seen, w.router.tail())
	}
	return found
}

// The router of the chart, with its flags and the rights of its ServiceAccount, tells people what they should notice.
func TestPeopleAreToldInEvents(t *testing.T) {
	w := newTold(t)

	w.namespace(t, "quiet")
	w.namespace(t, "shop")
	w.await(t, "shop", "reason="+string(skew.UnknownRevisionLabel), func(e corev1.Event) bool {
		return e.Type == corev1.EventTypeWarning && e.Action == "Override" && e.InvolvedObject.UID != "" &&
			strings.Contains(e.Message, "it stood before the router")
	})

	dry := w.refused(t, "quiet", 20, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	const pods = 1000
	n := w.refused(t, "shop", pods, metav1.CreateOptions{})
	if n != pods || dry != 20 {
		t.Fatalf("%d of %d pods are refused, and %d of 20 dry runs", n, pods, dry)
	}
	counted := w.await(t, "shop", "reason=UnknownRevision,involvedObject.kind=Namespace", func(e corev1.Event) bool { return int(e.Count) >= n })
	if all := w.events(t.Context(), t, "shop", "reason=UnknownRevision"); len(all) != 1 || counted.Action != "Refuse" ||
		!strings.Contains(counted.Message, `Did you mean "canary"?`) {
		t.Errorf("%d Events for %d pods: %+v", len(all), n, all)
	}
	// By now those of the dry runs, which came before, would be there.
	if got := w.events(t.Context(), t, "quiet", "reason=UnknownRevision"); len(got) > 0 {
		t.Errorf("dry runs were told of: %+v", got)
	}

	tag := w.create(t, "istiorevisiontags", map[string]any{
		"kind": "IstioRevisionTag", "metadata": map[string]any{"name": "prod"},
		"spec": map[string]any{"targetRef": map[string]any{"kind": "IstioRevision", "name": "canary"}},
	})
	// Nobody reconciles it, so that it leads nowhere. These are the fields that kubectl describe asks by.
	w.await(t, metav1.NamespaceDefault, "involvedObject.kind=IstioRevisionTag,involvedObject.name=prod,involvedObject.uid="+string(tag.GetUID()),
		func(e corev1.Event) bool { return e.Reason == string(routing.DanglingTag) && e.Count == 1 })

	w.withoutTheRight(t)
}

// withoutTheRight takes the right to write Events away, as a cluster's administrator may: the router goes on.
func (w *told) withoutTheRight(t *testing.T) {
	t.Helper()
	roles := w.kube.RbacV1().ClusterRoles()
	role, err := roles.Get(t.Context(), charts.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	before := len(role.Rules)
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "events") })
	if len(role.Rules) != before-1 {
		t.Fatalf("%d of %d rules are left", len(role.Rules), before)
	}
	if _, err := roles.Update(t.Context(), role, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:               "system:serviceaccount:" + charts.Name + ":" + charts.Name,
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: "late", Verb: "create", Resource: "events"},
	}}
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		answer, err := w.kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		return err == nil && !answer.Status.Allowed, err
	})
	if err != nil {
		t.Fatal(err)
	}
	w.namespace(t, "late")
	if n := w.refused(t, "late", 10, metav1.CreateOptions{}); n != 10 {
		t.Errorf("%d of 10 pods are refused", n)
	}
	err = wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		log, err := os.ReadFile(w.RouterLog())
		return strings.Contains(string(log), "Events cannot be written"), err
	})
	if err != nil {
		t.Errorf("the log does not say that a right is missing: %v\n%s", err, w.router.tail())
	}
	if ok, answer := get(t.Context(), w.Health+"/readyz"); !ok {
		t.Errorf("without the right the router is not ready: %s", answer)
	}
}

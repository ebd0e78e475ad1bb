//go:build kind

package e2ekind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/forward"
)

const (
	replicas = 3
	// mutatingName is the name of the router's configuration.
	mutatingName = "0-istio-revision-router"
)

// chartValues are three replicas, of which one may run beside the API server: the nodes are one control plane and two
// workers. The metrics may be read by anybody, so that these tests can.
func chartValues(more ...string) []string {
	values := []string{
		"replicaCount=3", "networkPolicy.enabled=true", "networkPolicy.metricsFrom[0].ipBlock.cidr=0.0.0.0/0",
		"tolerations[0].key=node-role.kubernetes.io/control-plane", "tolerations[0].operator=Exists", "tolerations[0].effect=NoSchedule",
	}
	return []string{"--set", strings.Join(append(values, more...), ",")}
}

func (w *world) install(t *testing.T, more ...string) {
	t.Helper()
	if err := w.cluster.Namespace(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.values = chartValues(more...)
	if err := w.chart.Install(t.Context(), w.values...); err != nil {
		t.Fatal(err)
	}
	w.settled(t, replicas)
}

func (w *world) testInstall(t *testing.T) {
	w.install(t)
	pod := w.routes(t, oldRevision)
	if version := pod.Labels[routing.LabelRoutedVersion]; version != oldVersion {
		t.Errorf("pods are labelled with version %q, want %q", version, oldVersion)
	}
}

// testSpread prints what kubectl get pods -o wide would.
func (w *world) testSpread(t *testing.T) {
	pods := w.settled(t, replicas)
	var lines, nodes []string
	for i := range pods {
		p := &pods[i]
		nodes = append(nodes, p.Spec.NodeName)
		lines = append(lines, fmt.Sprintf("%-40s 1/1  %-8s restarts %d  %-12s %s", p.Name, p.Status.Phase, restarts(p), p.Status.PodIP, p.Spec.NodeName))
		if restarts(p) > 0 {
			t.Errorf("%s was restarted %d times", p.Name, restarts(p))
		}
	}
	slices.Sort(nodes)
	if len(slices.Compact(nodes)) != replicas {
		t.Errorf("the pods are not on %d nodes", replicas)
	}
	t.Logf("the pods of the router:\n%s", strings.Join(lines, "\n"))
	w.results.figure("```\n%s\n```", strings.Join(lines, "\n"))
}

func (w *world) testPodSecurity(t *testing.T) {
	namespace, err := w.kube.CoreV1().Namespaces().Get(t.Context(), charts.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if level := namespace.Labels["pod-security.kubernetes.io/enforce"]; level != "restricted" {
		t.Errorf("the namespace enforces %q", level)
	}
	loose := aPod(charts.Name)
	loose.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: new(true)}
	_, err = w.kube.CoreV1().Pods(charts.Name).Create(t.Context(), loose, dryRun())
	if err == nil || !strings.Contains(err.Error(), `violates PodSecurity "restricted`) {
		t.Errorf("a privileged pod in the router's namespace: %v, want a violation of restricted", err)
	}
}

// testNetworkPolicy: whether it is enforced is for the network of the cluster; that of a kind cluster need not.
func (w *world) testNetworkPolicy(t *testing.T) {
	policy, err := w.kube.NetworkingV1().NetworkPolicies(charts.Name).Get(t.Context(), charts.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(policy.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}) {
		t.Errorf("it is about %v", policy.Spec.PolicyTypes)
	}
	selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range w.settled(t, replicas) {
		if !selector.Matches(labels.Set(pod.Labels)) {
			t.Errorf("it does not select %s", pod.Name)
		}
	}
	// By its name: a port that no container has would open nothing.
	port := policy.Spec.Ingress[0].Ports[0].Port.StrVal
	for _, pod := range w.settled(t, replicas) {
		if !slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.Name == port }) {
			t.Errorf("it lets callers reach port %q, which %s does not have", port, pod.Name)
		}
	}
}

// testWorkload: the containers run, the sidecar among them.
func (w *world) testWorkload(t *testing.T) {
	if _, err := w.kube.AppsV1().Deployments(shop).Create(t.Context(), deployment(shop, "web", 2), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.rolledOut(t, shop, "web", 2)
	pods, err := w.kube.CoreV1().Pods(shop).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		p := &pods.Items[i]
		if revision, err := forward.Sidecar(p); err != nil || revision != oldRevision {
			t.Errorf("%s has the sidecar of %q: %v", p.Name, revision, err)
		}
		if len(p.Status.ContainerStatuses) != 2 || restarts(p) > 0 {
			t.Errorf("%s has %d containers and %d restarts", p.Name, len(p.Status.ContainerStatuses), restarts(p))
		}
	}
}

// noRouter scales the router to zero, and waits until nothing answers any more.
func (w *world) noRouter(t *testing.T) {
	t.Helper()
	w.scale(t, charts.Name, charts.Name, 0)
	w.settled(t, 0)
}

// comesBack scales it up again. Nobody does anything else: that its own pods do not wait for it is what is tested.
func (w *world) comesBack(t *testing.T, revision string) {
	t.Helper()
	w.scale(t, charts.Name, charts.Name, replicas)
	w.settled(t, replicas)
	w.routes(t, revision)
	// All at once, as when every node with a router is lost.
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
	before := w.settled(t, replicas)
	if err := w.kube.CoreV1().Pods(charts.Name).DeleteCollection(t.Context(), now, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, pod := range w.settled(t, replicas) {
		if slices.ContainsFunc(before, func(b corev1.Pod) bool { return b.UID == pod.UID }) {
			t.Errorf("%s was not replaced", pod.Name)
		}
	}
	w.routes(t, revision)
}

// testZeroInGuardMode: with failurePolicy Ignore the mesh works as it did before the router.
func (w *world) testZeroInGuardMode(t *testing.T) {
	w.noRouter(t)
	_, pod, err := w.ask(t.Context())
	if !errors.Is(err, errNotRouted) {
		t.Fatalf("a pod of the mesh while there is no router: %v, want it admitted and unmarked", err)
	}
	if !hasSidecar(pod) || pod.Annotations[routing.LabelRevision] != oldRevision {
		t.Errorf("it has a sidecar: %t, of %q, want that of Istio's own webhook", hasSidecar(pod), pod.Annotations[routing.LabelRevision])
	}
	w.results.figure("Scaled to zero in guard mode: a pod of the mesh is admitted with the sidecar of %s, by Istio's own webhook, and without marks.",
		pod.Annotations[routing.LabelRevision])
	w.comesBack(t, oldRevision)
}

func (w *world) testReinstall(t *testing.T) {
	w.uninstall(t)
	_, pod, err := w.ask(t.Context())
	if !errors.Is(err, errNotRouted) || !hasSidecar(pod) {
		t.Errorf("a pod of the mesh without the router: %v, want it with a sidecar and unmarked", err)
	}
	w.install(t)
	w.routes(t, oldRevision)
}

// uninstall removes the release and looks whether anything is left that calls a router.
func (w *world) uninstall(t *testing.T) {
	t.Helper()
	if err := w.chart.Uninstall(t.Context()); err != nil {
		t.Fatal(err)
	}
	hooks := w.kube.AdmissionregistrationV1()
	_, err1 := hooks.MutatingWebhookConfigurations().Get(t.Context(), mutatingName, metav1.GetOptions{})
	_, err2 := hooks.ValidatingWebhookConfigurations().Get(t.Context(), "istio-revision-router", metav1.GetOptions{})
	if !apierrors.IsNotFound(err1) || !apierrors.IsNotFound(err2) {
		t.Errorf("webhook configurations are left: %v, %v", err1, err2)
	}
	eventually(t, "the pods of the router are gone", func(ctx context.Context) error {
		list, err := w.kube.CoreV1().Pods(charts.Name).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = fmt.Errorf("%d are left", len(list.Items))
		}
		return err
	})
}

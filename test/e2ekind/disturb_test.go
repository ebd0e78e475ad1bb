//go:build kind

package e2ekind

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/load"
)

func (w *world) testRollingUpdate(t *testing.T) {
	w.rollingUpdate(t, "rolling update, guard mode", oldRevision)
}

// rollingUpdate changes the pods by an upgrade of the release.
func (w *world) rollingUpdate(t *testing.T, name, revision string) {
	t.Helper()
	before := w.settled(t, replicas)
	r := w.underLoad(t, name, []string{revision}, func(*load.Generator) {
		if err := w.chart.Upgrade(t.Context(), append(slices.Clone(w.values), "--set-string", "podAnnotations.round=2")...); err != nil {
			t.Fatal(err)
		}
		w.settled(t, replicas)
	})
	noneFailed(t, r)
	for _, pod := range w.settled(t, replicas) {
		if slices.ContainsFunc(before, func(b corev1.Pod) bool { return b.UID == pod.UID }) {
			t.Errorf("%s was not replaced", pod.Name)
		}
		if restarts(&pod) > 0 {
			t.Errorf("%s was restarted %d times", pod.Name, restarts(&pod))
		}
	}
}

// testRotation has the CA replaced as an administrator does.
func (w *world) testRotation(t *testing.T) {
	bundle := func() string {
		c, err := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), mutatingName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return string(c.Webhooks[0].ClientConfig.CABundle)
	}
	before := bundle()
	r := w.underLoad(t, "rotation of the CA", []string{oldRevision}, func(*load.Generator) {
		out, err := w.run(t.Context(), "certs", "rotate", "--wait", "--timeout=10m")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("router certs rotate --wait:\n%s", out)
	})
	noneFailed(t, r)
	if after := bundle(); after == before {
		t.Error("the CA bundle is what it was")
	}
}

// testDrain does what kubectl drain does: cordon, and evict everything but DaemonSets' pods.
func (w *world) testDrain(t *testing.T) {
	// A worker: on the control plane's node nobody would drain what runs the API server.
	var node string
	for _, pod := range w.settled(t, replicas) {
		if strings.Contains(pod.Spec.NodeName, "worker") {
			node = pod.Spec.NodeName
		}
	}
	if node == "" {
		t.Fatal("no worker has a router")
	}
	t.Cleanup(func() { w.cordon(context.Background(), t, node, false) }) // the test's context is over
	r := w.underLoad(t, "a node is drained", []string{oldRevision}, func(*load.Generator) {
		w.cordon(t.Context(), t, node, true)
		w.evictAll(t, node)
		w.settled(t, replicas)
	})
	noneFailed(t, r)
	for _, pod := range w.settled(t, replicas) {
		if pod.Spec.NodeName == node {
			t.Errorf("%s is on the node that was drained", pod.Name)
		}
	}
}

func (w *world) cordon(ctx context.Context, t *testing.T, node string, yes bool) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"unschedulable":%t}}`, yes)
	if _, err := w.kube.CoreV1().Nodes().Patch(ctx, node, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Error(err)
	}
}

// evictAll tries again what a budget holds back.
func (w *world) evictAll(t *testing.T, node string) {
	t.Helper()
	eventually(t, "node "+node+" is empty", func(ctx context.Context) error {
		pods, err := w.kube.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=" + node})
		if err != nil {
			return err
		}
		var left []string
		for i := range pods.Items {
			p := &pods.Items[i]
			owner := metav1.GetControllerOf(p)
			if owner != nil && (owner.Kind == "DaemonSet" || owner.Kind == "Node") {
				continue
			}
			left = append(left, p.Namespace+"/"+p.Name)
			if p.DeletionTimestamp != nil {
				continue
			}
			eviction := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: p.Name, Namespace: p.Namespace}}
			err := w.kube.CoreV1().Pods(p.Namespace).EvictV1(ctx, eviction)
			if err != nil && !apierrors.IsTooManyRequests(err) && !apierrors.IsNotFound(err) {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("there are still %s", strings.Join(left, ", "))
		}
		return nil
	})
}

// testKill ends the process of a replica from the node, without a warning. What it was answering, and what is sent to it until
// the Service knows, the API server admits by failurePolicy Ignore; nothing is refused, and nothing is missed once the container
// is back.
func (w *world) testKill(t *testing.T) {
	victim := w.settled(t, replicas)[0]
	var back time.Duration
	r := w.underLoad(t, "a replica is killed", []string{oldRevision}, func(g *load.Generator) {
		g.Burst(t.Context()) // so that requests are under way
		w.kill(t, &victim)
		eventually(t, "its container is started again and ready", func(ctx context.Context) error {
			pod, err := w.kube.CoreV1().Pods(charts.Name).Get(ctx, victim.Name, metav1.GetOptions{})
			if err == nil && (restarts(pod) <= restarts(&victim) || !ready(pod)) {
				err = fmt.Errorf("%d restarts, ready: %t", restarts(pod), ready(pod))
			}
			return err
		})
		back = g.Elapsed()
	})
	if refused := r.Failed() - r.Counts[load.Unmarked]; refused > 0 {
		t.Errorf("%d pods were refused, want none:\n%s", refused, r.Failures())
	}
	if late := r.Failed() - r.SentBefore(back); late > 0 {
		t.Errorf("%d pods were missed after the replica was back:\n%s", late, r.Failures())
	}
	if r.Failed() > r.Requests()/10 {
		t.Errorf("%d of %d pods were missed while two of three replicas served", r.Failed(), r.Requests())
	}
	t.Logf("%d of %d pods were admitted unmarked", r.Failed(), r.Requests())
}

// restart replaces the pods of a Deployment as kubectl rollout restart does.
func (w *world) restart(t *testing.T, namespace, name string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
	_, err := w.kube.AppsV1().Deployments(namespace).Patch(t.Context(), name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) kill(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	_, id, _ := strings.Cut(pod.Status.ContainerStatuses[0].ContainerID, "://")
	pid, err := w.cluster.OnNode(t.Context(), pod.Spec.NodeName, "crictl", "inspect", "--output=go-template", "--template={{.info.pid}}", id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.cluster.OnNode(t.Context(), pod.Spec.NodeName, "kill", "-KILL", strings.TrimSpace(string(pid))); err != nil {
		t.Fatal(err)
	}
}

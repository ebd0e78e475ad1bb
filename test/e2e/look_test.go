//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

// pollRest is how often it is looked whether a mesh is at rest, which takes several lists.
const pollRest = 250 * time.Millisecond

// atRest fails while the operator or a controller has something left to do.
func (w *world) atRest(ctx context.Context) error {
	for _, kind := range written() {
		if kind.Group != "sailoperator.io" || kind == revisions() { // their Istio tells of those that matter
			continue
		}
		list, err := w.client.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			o := &list.Items[i]
			seen, _, _ := unstructured.NestedInt64(o.Object, "status", "observedGeneration")
			state, _, _ := unstructured.NestedString(o.Object, "status", "state")
			if seen != o.GetGeneration() || state != "Healthy" && state != "NotReferencedByAnything" {
				return fmt.Errorf("%s %s is %s", o.GetKind(), o.GetName(), state)
			}
		}
	}
	deployments, err := w.kube.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range deployments.Items {
		if d := &deployments.Items[i]; !rolledOut(d) {
			return fmt.Errorf("Deployment %s/%s has not rolled out", d.Namespace, d.Name)
		}
	}
	sets, err := w.kube.AppsV1().DaemonSets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range sets.Items {
		s := &sets.Items[i]
		byHand := s.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType
		if s.Status.ObservedGeneration != s.Generation || s.Status.NumberReady != s.Status.DesiredNumberScheduled ||
			!byHand && s.Status.UpdatedNumberScheduled != s.Status.DesiredNumberScheduled {
			return fmt.Errorf("DaemonSet %s/%s has not rolled out", s.Namespace, s.Name)
		}
	}
	return nil
}

func rolledOut(d *appsv1.Deployment) bool {
	want := int32(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == want &&
		d.Status.Replicas == want && d.Status.ReadyReplicas == want
}

// pods are those of a namespace that stay.
func (s *step) pods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	list, err := s.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	var stay []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			stay = append(stay, pod)
		}
	}
	if len(stay) == 0 {
		return nil, fmt.Errorf("there is no pod in %s", namespace)
	}
	return stay, nil
}

// sidecars wants every pod of a namespace to have one sidecar, of this revision and version, as its injector tells.
func (s *step) sidecars(namespace, revision, version string) {
	s.Helper()
	pods, err := s.pods(s.Context(), namespace)
	s.must(err)
	for i := range pods {
		if got, want := sidecar(&pods[i]), revision+" "+strings.TrimPrefix(version, "v"); got != want {
			s.Errorf("pod %s/%s has the sidecar %q, want %q", namespace, pods[i].Name, got, want)
		}
	}
}

// sidecar tells of which revision and version a pod's sidecar is, and more where it has more of them.
func sidecar(pod *corev1.Pod) string {
	var found []string
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == injector.ProxyName {
				_, version, _ := strings.Cut(list[i].Image, ":")
				found = append(found, pod.Annotations[routing.LabelRevision]+" "+version)
			}
		}
	}
	return strings.Join(found, " and ")
}

// injects waits until a pod that came now would get the sidecar of this revision and version: the API server and, in forward
// mode, the router hear a moment later of what has happened. Without a router nothing injects in forward mode, ever.
func (s *step) injects(namespace, revision, version string) {
	s.Helper()
	if routerOff() && s.procedure.mode == forwarding {
		return
	}
	probe := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-", Labels: map[string]string{"app": "probe"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: s.platform.image()}}},
	}
	s.until(revision+" injects into "+namespace, func(ctx context.Context) error {
		pod, err := s.kube.CoreV1().Pods(namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return err
		}
		if got, want := sidecar(pod), revision+" "+strings.TrimPrefix(version, "v"); got != want {
			return fmt.Errorf("a pod would get the sidecar %q, not %q", got, want)
		}
		return nil
	})
}

// recorded wants every pod of a namespace to carry the router's labels.
func (s *step) recorded(namespace, revision, version string) {
	s.Helper()
	pods, err := s.pods(s.Context(), namespace)
	s.must(err)
	for i := range pods {
		labels := pods[i].Labels
		if labels[routing.LabelRoutedRevision] != revision || labels[routing.LabelRoutedVersion] != version {
			s.Errorf("pod %s/%s is recorded as %q at %q, want %s at %s", namespace, pods[i].Name,
				labels[routing.LabelRoutedRevision], labels[routing.LabelRoutedVersion], revision, version)
		}
	}
}

// status is what router status says of the mesh.
func (s *step) status() status.Report {
	s.Helper()
	// Its exit code tells of problems.
	out := s.sh("router status -o json || true")
	var d status.Report
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		s.Fatalf("router status -o json: %v\n%s", err, out)
	}
	return d
}

// podsRefused wants the pods of a Deployment to be refused by the router. That its pods run ends the wait, too.
func (s *step) podsRefused(namespace, name string) {
	s.Helper()
	var d *appsv1.Deployment
	s.until("the pods of "+name+" are refused, or run", func(ctx context.Context) error {
		var err error
		if d, err = s.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
		if !rolledOut(d) && refusal(d) == "" {
			return fmt.Errorf("its status is %+v", d.Status)
		}
		return nil
	})
	if !strings.Contains(refusal(d), ".pods.revision-router.io") {
		s.Fatalf("the pods of %s/%s run: %+v", namespace, name, d.Status)
	}
}

// refusal is why the pods of a Deployment could not be created.
func refusal(d *appsv1.Deployment) string {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return c.Message
		}
	}
	return ""
}

//go:build kind

package e2ekind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/forward"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/kind"
)

func dryRun() metav1.CreateOptions { return metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}} }

func aPod(namespace string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "asked-", Namespace: namespace, Labels: map[string]string{"app": "asked"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: kind.AppImage}}},
	}
}

func hasSidecar(pod *corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers), func(c corev1.Container) bool {
		return c.Name == injector.ProxyName
	})
}

// ask is what a pod of the mesh gets that is created now: the revision of its sidecar, where the router routed it.
func (w *world) ask(ctx context.Context) (revision string, pod *corev1.Pod, err error) {
	if pod, err = w.kube.CoreV1().Pods(shop).Create(ctx, aPod(shop), dryRun()); err != nil {
		return "", nil, err
	}
	if pod.Labels[routing.LabelRoutedRevision] == "" {
		return "", pod, errNotRouted
	}
	revision, err = forward.Sidecar(pod)
	return revision, pod, err
}

var errNotRouted = errors.New("the pod has no marks of the router's")

// routes waits until pods get a revision.
func (w *world) routes(t *testing.T, revision string) *corev1.Pod {
	t.Helper()
	var last *corev1.Pod
	eventually(t, "pods get "+revision, func(ctx context.Context) error {
		got, pod, err := w.ask(ctx)
		if last = pod; err == nil && got != revision {
			err = fmt.Errorf("they get %q", got)
		}
		return err
	})
	return last
}

// settled waits until n routers are ready and those before them are gone.
func (w *world) settled(t *testing.T, n int) []corev1.Pod {
	t.Helper()
	w.rolledOut(t, charts.Name, charts.Name, int32(n))
	var pods []corev1.Pod
	eventually(t, fmt.Sprintf("there are %d routers", n), func(ctx context.Context) error {
		list, err := w.kube.CoreV1().Pods(charts.Name).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if pods = list.Items; len(pods) != n {
			return fmt.Errorf("there are %d pods", len(pods))
		}
		for i := range pods {
			if !ready(&pods[i]) {
				return fmt.Errorf("%s is not ready", pods[i].Name)
			}
		}
		return nil
	})
	return pods
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func restarts(pod *corev1.Pod) (n int32) {
	for _, status := range pod.Status.ContainerStatuses {
		n += status.RestartCount
	}
	return n
}

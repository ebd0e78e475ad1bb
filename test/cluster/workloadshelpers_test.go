package cluster

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

func appLabels() map[string]string { return map[string]string{"app": "app"} }

func template(annotations map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: appLabels(), Annotations: annotations}, Spec: pod().Spec}
}

func namedPod(name string) *corev1.Pod {
	p := pod()
	p.Name, p.GenerateName = name, ""
	return p
}

func createDeployment(t *testing.T, client kubernetes.Interface, namespace string, annotations map[string]string) {
	t.Helper()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: appLabels()},
			Template: template(annotations),
		},
	}
	if _, err := client.AppsV1().Deployments(namespace).Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func patchTemplate(t *testing.T, client kubernetes.Interface, namespace, annotations string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":%s}}}}`, annotations)
	_, err := client.AppsV1().Deployments(namespace).Patch(t.Context(), "app", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// available judges as kubectl rollout status does.
func available(client kubernetes.Interface, namespace string) func(context.Context) error {
	return func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments(namespace).Get(ctx, "app", metav1.GetOptions{})
		if err != nil {
			return err
		}
		s := &d.Status
		if s.ObservedGeneration != d.Generation || s.UpdatedReplicas != 2 || s.Replicas != 2 || s.AvailableReplicas != 2 {
			return fmt.Errorf("generation %d, status %+v", d.Generation, s)
		}
		return nil
	}
}

// podNames are those of the pods that nobody has deleted.
func podNames(ctx context.Context, t *testing.T, client kubernetes.Interface, namespace string) map[string]bool {
	t.Helper()
	pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for i := range pods.Items {
		if pods.Items[i].DeletionTimestamp == nil {
			names[pods.Items[i].Name] = true
		}
	}
	return names
}

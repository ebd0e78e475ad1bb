package cluster

import (
	"context"
	"fmt"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
)

const testNodes = 3

// Each part of what runs workloads is there, and does what tests rely on. One control plane serves all: a start takes
// seconds.
func TestNodesMakeWorkloadsReal(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	c, err := Start(t.Context(), Options{Nodes: testNodes})
	if err != nil {
		t.Fatal(err)
	}
	client := clientFor(t, c.Config())
	t.Run("tests", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, kubernetes.Interface){
			"a Deployment rolls out and its Service has endpoints":        rollsOut,
			"a Deployment that does not become ready hangs and recovers":  hangs,
			"a ready pod loses its readiness":                             losesReadiness,
			"a DaemonSet has a pod on each node":                          daemonSet,
			"a disruption budget holds an eviction back":                  eviction,
			"what has no owner any more is collected, a namespace is too": collected,
			"pods have a token of their ServiceAccount":                   token,
			"a Job completes": jobCompletes,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, client)
			})
		}
	})
	processes := c.workloads
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if !p.ended() {
			t.Errorf("%s runs after Stop", p.name)
		}
	}
}

func rollsOut(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec:       corev1.ServiceSpec{Selector: appLabels(), Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if _, err := client.CoreV1().Services(namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	createDeployment(t, client, namespace, nil)
	eventually(t, "two replicas are available", available(client, namespace))
	first := podNames(t.Context(), t, client, namespace)
	eventually(t, "the Service has two ready endpoints", func(ctx context.Context) error {
		slices, err := client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{
			LabelSelector: discoveryv1.LabelServiceName + "=app",
		})
		if err != nil {
			return err
		}
		ready := 0
		for i := range slices.Items {
			for _, endpoint := range slices.Items[i].Endpoints {
				if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
					ready++
				}
			}
		}
		if ready != 2 {
			return fmt.Errorf("%d endpoints are ready", ready)
		}
		return nil
	})
	patchTemplate(t, client, namespace, `{"example.com/restarted":"now"}`)
	eventually(t, "the new replicas are available", available(client, namespace))
	for name := range podNames(t.Context(), t, client, namespace) {
		if first[name] {
			t.Errorf("pod %s is still there after the roll-out", name)
		}
	}
}

func hangs(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	createDeployment(t, client, namespace, map[string]string{AnnotationReady: "false"})
	deployments := client.AppsV1().Deployments(namespace)
	eventually(t, "both pods run", func(ctx context.Context) error {
		pods, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{FieldSelector: "status.phase=Running"})
		if err != nil || len(pods.Items) != 2 {
			return fmt.Errorf("%d pods run: %w", len(pods.Items), err)
		}
		return nil
	})
	deployment, err := deployments.Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil || deployment.Status.ReadyReplicas != 0 {
		t.Fatalf("%d replicas are ready (%v), want none", deployment.Status.ReadyReplicas, err)
	}
	patchTemplate(t, client, namespace, `{"`+AnnotationReady+`":null}`)
	eventually(t, "it recovers", available(client, namespace))
}

func losesReadiness(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	eventually(t, "the ServiceAccount is there", func(ctx context.Context) error {
		_, err := client.CoreV1().Pods(namespace).Create(ctx, namedPod("moody"), metav1.CreateOptions{})
		return err
	})
	for _, step := range []struct {
		value string
		want  corev1.ConditionStatus
	}{{"true", corev1.ConditionTrue}, {"false", corev1.ConditionFalse}, {"true", corev1.ConditionTrue}} {
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, AnnotationReady, step.value)
		if _, err := client.CoreV1().Pods(namespace).Patch(t.Context(), "moody", types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "Ready is "+string(step.want), func(ctx context.Context) error {
			pod, err := client.CoreV1().Pods(namespace).Get(ctx, "moody", metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, condition := range pod.Status.Conditions {
				if condition.Type == corev1.PodReady && condition.Status == step.want {
					return nil
				}
			}
			return fmt.Errorf("conditions are %v", pod.Status.Conditions)
		})
	}
}

func daemonSet(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	set := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "agent"},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: appLabels()}, Template: template(nil)},
	}
	if _, err := client.AppsV1().DaemonSets(namespace).Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a pod is ready on each node", func(ctx context.Context) error {
		set, err := client.AppsV1().DaemonSets(namespace).Get(ctx, "agent", metav1.GetOptions{})
		if err != nil || set.Status.NumberReady != testNodes {
			return fmt.Errorf("%d are ready: %w", set.Status.NumberReady, err)
		}
		return nil
	})
}

func eviction(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	createDeployment(t, client, namespace, nil)
	eventually(t, "two replicas are available", available(client, namespace))
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: appLabels()}, MinAvailable: new(intstr.FromInt32(2)),
		},
	}
	budgets := client.PolicyV1().PodDisruptionBudgets(namespace)
	if _, err := budgets.Create(t.Context(), budget, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	evict := func(ctx context.Context) error {
		for name := range podNames(ctx, t, client, namespace) {
			return client.PolicyV1().Evictions(namespace).Evict(ctx, &policyv1.Eviction{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			})
		}
		return fmt.Errorf("there are no pods in %s", namespace)
	}
	if err := evict(t.Context()); !apierrors.IsTooManyRequests(err) {
		t.Fatalf("eviction below the budget: %v, want it to be held back", err)
	}
	if err := budgets.Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "without the budget the pod goes", evict)
	eventually(t, "it is replaced", available(client, namespace))
}

func collected(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	createDeployment(t, client, namespace, nil)
	eventually(t, "two replicas are available", available(client, namespace))
	if err := client.AppsV1().Deployments(namespace).Delete(t.Context(), "app", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the pods of a deleted Deployment are gone", func(ctx context.Context) error {
		if left := podNames(ctx, t, client, namespace); len(left) > 0 {
			return fmt.Errorf("pods %v are left", left)
		}
		return nil
	})
	if err := client.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace ends", func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return fmt.Errorf("the API server says %w", err)
		}
		return nil
	})
}

func token(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	eventually(t, "the ServiceAccount default and the ConfigMap with the CA are there", func(ctx context.Context) error {
		if _, err := client.CoreV1().ConfigMaps(namespace).Get(ctx, "kube-root-ca.crt", metav1.GetOptions{}); err != nil {
			return err
		}
		_, err := client.CoreV1().Pods(namespace).Create(ctx, namedPod("app"), metav1.CreateOptions{})
		return err
	})
	pod, err := client.CoreV1().Pods(namespace).Get(t.Context(), "app", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if pod.Spec.ServiceAccountName != "default" || len(pod.Spec.Volumes) != 1 || pod.Spec.Volumes[0].Projected == nil {
		t.Errorf("ServiceAccount %q and volumes %v, want default and a projected token", pod.Spec.ServiceAccountName, pod.Spec.Volumes)
	}
}

func jobCompletes(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	namespace := createNamespace(t, client, nil)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: batchv1.JobSpec{Template: template(nil)}}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	if _, err := client.BatchV1().Jobs(namespace).Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Job has succeeded", func(ctx context.Context) error {
		job, err := client.BatchV1().Jobs(namespace).Get(ctx, "once", metav1.GetOptions{})
		if err != nil || job.Status.Succeeded != 1 {
			return fmt.Errorf("status %+v: %w", job.Status, err)
		}
		return nil
	})
}

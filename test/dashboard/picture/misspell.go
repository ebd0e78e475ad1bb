package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/dashboard"
)

// misspell has somebody label a namespace wrongly while the workloads are deployed, have some pods refused, and mend it:
// what the first row of the dashboard is for.
func misspell(ctx context.Context, d *dashboard.Demo) error {
	kube, err := kubernetes.NewForConfig(d.Cluster.Config())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := untilTagged(ctx, d); err != nil {
		return err
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "payments", Labels: map[string]string{routing.LabelRevision: "defualt"},
		Annotations: map[string]string{skew.AnnotationOverride: "as it stood before the router"},
	}}
	if _, err := kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	refused := 0
	err = wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "checkout-"},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "checkout", Image: "registry.example/checkout"}}, AutomountServiceAccountToken: new(false)},
		}
		if _, err := kube.CoreV1().Pods(ns.Name).Create(ctx, pod, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
			return false, fmt.Errorf("a pod with a label that nothing has the name of is not refused: %w", err)
		}
		refused++
		return refused == 24, nil
	})
	if err != nil {
		return fmt.Errorf("having pods refused: %w", err)
	}
	mended := []byte(`{"metadata":{"labels":{"istio.io/rev":"default"}}}`)
	if _, err := kube.CoreV1().Namespaces().Patch(ctx, ns.Name, types.MergePatchType, mended, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("mending the label: %w", err)
	}
	return nil
}

// untilTagged waits for the tag: in a cluster without a mesh nothing is refused.
func untilTagged(ctx context.Context, d *dashboard.Demo) error {
	client, err := dynamic.NewForConfig(d.Cluster.Config())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	tags := client.Resource(schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: "istiorevisiontags"})
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		_, err := tags.Get(ctx, routing.DefaultRevision, metav1.GetOptions{})
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the tag: %w", err)
	}
	return nil
}

//go:build kind

package e2ekind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/kind"
)

const (
	oldVersion, newVersion   = "v1.29.6", "v1.30.3"
	oldRevision, newRevision = "default-v1-29-6", "default-v1-30-3"
	prod                     = "prod"
	controlPlane             = "istio-system"
	// shop is a namespace of the mesh with workloads, crowd one for loads.
	shop, crowd = "shop", "crowd"
)

func sailKind(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: plural}
}

// testMesh installs an Istio with a tag, and waits until its control plane runs.
func (w *world) testMesh(t *testing.T) {
	w.namespace(t, controlPlane, nil)
	w.namespace(t, shop, map[string]string{routing.LabelRevision: prod})
	w.namespace(t, crowd, map[string]string{routing.LabelRevision: prod})
	w.installMesh(t, map[string]any{})
	eventually(t, "the injector answers through its Service", func(ctx context.Context) error {
		pod, err := w.kube.CoreV1().Pods(shop).Create(ctx, aPod(shop), dryRun())
		if err == nil && !hasSidecar(pod) {
			err = errors.New("the pod has no sidecar")
		}
		return err
	})
}

// installMesh creates an Istio at the old version with two istiods and the tag prod.
func (w *world) installMesh(t *testing.T, values map[string]any) {
	t.Helper()
	values["pilot"] = map[string]any{"replicaCount": int64(2)}
	w.createSail(t, "Istio", "default", map[string]any{
		"version": oldVersion, "namespace": controlPlane, "values": values,
		// Nothing is pruned while the tests go on.
		"updateStrategy": map[string]any{"type": "RevisionBased", "inactiveRevisionDeletionGracePeriodSeconds": int64(36000)},
	})
	w.createSail(t, "IstioRevisionTag", prod, leadsTo(oldRevision))
	w.rolledOut(t, controlPlane, "istiod-"+oldRevision, 2)
}

func leadsTo(revision string) map[string]any {
	return map[string]any{"targetRef": map[string]any{"kind": "IstioRevision", "name": revision}}
}

// removeMesh deletes the Istio, with everything of it.
func (w *world) removeMesh(t *testing.T) {
	t.Helper()
	for _, plural := range []string{"istiorevisiontags", "istios"} {
		err := w.dyn.Resource(sailKind(plural)).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, plural := range []string{"istiorevisiontags", "istiorevisions", "istios"} {
		eventually(t, plural+" are gone", func(ctx context.Context) error {
			left, err := w.dyn.Resource(sailKind(plural)).List(ctx, metav1.ListOptions{})
			if err == nil && len(left.Items) > 0 {
				err = fmt.Errorf("%d are left", len(left.Items))
			}
			return err
		})
	}
}

func (w *world) namespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := w.kube.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "namespace "+name+" has its ServiceAccount", func(ctx context.Context) error {
		_, err := w.kube.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func (w *world) createSail(t *testing.T, ofKind, name string, spec map[string]any) {
	t.Helper()
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion("sailoperator.io/v1")
	object.SetKind(ofKind)
	object.SetName(name)
	if _, err := w.dyn.Resource(sailKind(strings.ToLower(ofKind)+"s")).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create %s %s: %v", ofKind, name, err)
	}
}

func (w *world) patchSail(t *testing.T, plural, name string, change map[string]any) {
	t.Helper()
	patch, err := json.Marshal(change)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.dyn.Resource(sailKind(plural)).Patch(t.Context(), name, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatalf("change %s %s: %v", plural, name, err)
	}
}

// rolledOut waits until a Deployment has all of its pods, and they are ready and of its latest template.
func (w *world) rolledOut(t *testing.T, namespace, name string, replicas int32) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s/%s has %d pods", namespace, name, replicas), func(ctx context.Context) error {
		d, err := w.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if s := d.Status; s.ObservedGeneration < d.Generation || s.Replicas != replicas || s.ReadyReplicas != replicas || s.UpdatedReplicas != replicas {
			return fmt.Errorf("%d pods, %d ready, %d updated", s.Replicas, s.ReadyReplicas, s.UpdatedReplicas)
		}
		return nil
	})
}

// scale sets the replicas of a Deployment and waits until it has them.
func (w *world) scale(t *testing.T, namespace, name string, replicas int32) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := w.kube.AppsV1().Deployments(namespace).Patch(t.Context(), name, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w.rolledOut(t, namespace, name, replicas)
}

// deployment is an application's.
func deployment(namespace, name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(replicas), Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					TerminationGracePeriodSeconds: new(int64(1)), Containers: []corev1.Container{{Name: "app", Image: kind.AppImage}},
				},
			},
		},
	}
}

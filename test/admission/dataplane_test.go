package admission

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

func gatewayResource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
}

// sidecar creates the pod of a Deployment as it is after injection.
func (c *changes) sidecar(namespace, deployment, version string) {
	c.t.Helper()
	const hash = "7d775cb4f6"
	if c.rollsOut {
		c.replicaSet(namespace, deployment+"-"+hash, version)
		return
	}
	pod := newPod(namespace, map[string]string{"pod-template-hash": hash})
	pod.Name = deployment + "-" + hash + "-x"
	pod.OwnerReferences = []metav1.OwnerReference{{
		APIVersion: "apps/v1", Kind: "ReplicaSet", Name: deployment + "-" + hash, UID: "1", Controller: new(true),
	}}
	pod.Annotations = map[string]string{routing.LabelRevision: "default"}
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
		Name: injector.ProxyName, Image: "istio/proxyv2:" + version,
	})
	_, err := c.kube.CoreV1().Pods(namespace).Create(c.t.Context(), pod, metav1.CreateOptions{})
	c.must(err)
}

// replicaSet has a controller create such a pod: one without an owner that exists would be collected as garbage.
func (c *changes) replicaSet(namespace, name, version string) {
	c.t.Helper()
	labels := map[string]string{"pod-template-hash": "7d775cb4f6"}
	_, err := c.kube.AppsV1().ReplicaSets(namespace).Create(c.t.Context(), &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.ReplicaSetSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: map[string]string{routing.LabelRevision: "default"}},
				Spec: corev1.PodSpec{Containers: []corev1.Container{
					{Name: "app", Image: "app:1"}, {Name: injector.ProxyName, Image: "istio/proxyv2:" + version},
				}},
			},
		},
	}, metav1.CreateOptions{})
	c.must(err)
}

func (c *changes) removeSidecar(namespace, deployment string) {
	c.t.Helper()
	if c.rollsOut {
		c.must(c.kube.AppsV1().ReplicaSets(namespace).Delete(c.t.Context(), deployment+"-7d775cb4f6",
			metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationForeground)}))
		c.eventually("its pods are gone", func() error {
			pods, err := c.kube.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{})
			c.must(err)
			_, err = c.kube.AppsV1().ReplicaSets(namespace).Get(c.t.Context(), deployment+"-7d775cb4f6", metav1.GetOptions{})
			return notYet(len(pods.Items) == 0 && apierrors.IsNotFound(err))
		})
		return
	}
	c.must(c.kube.CoreV1().Pods(namespace).
		Delete(c.t.Context(), deployment+"-7d775cb4f6-x", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}))
}

// gateway creates a Gateway with one HBONE listener.
func (c *changes) gateway(namespace, name, class string, edit func(*unstructured.Unstructured)) error {
	c.t.Helper()
	o := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
		"metadata": map[string]any{"namespace": namespace, "name": name},
		"spec": map[string]any{
			"gatewayClassName": class,
			"listeners": []any{map[string]any{
				"name": "mesh", "port": int64(15008), "protocol": "HBONE",
			}},
		},
	}}
	if edit != nil {
		edit(o)
	}
	_, err := c.dyn.Resource(gatewayResource()).Namespace(namespace).Create(c.t.Context(), o, metav1.CreateOptions{})
	return err
}

// fromAll lets every namespace use the Gateway.
func fromAll(o *unstructured.Unstructured) {
	listeners, _, _ := unstructured.NestedSlice(o.Object, "spec", "listeners")
	listener, _ := listeners[0].(map[string]any)
	listener["allowedRoutes"] = map[string]any{"namespaces": map[string]any{"from": "All"}}
	_ = unstructured.SetNestedSlice(o.Object, listeners, "spec", "listeners")
}

// label sets labels of a namespace, as kubectl label --overwrite does.
func (c *changes) label(namespace string, set map[string]string) error {
	c.t.Helper()
	return c.relabel(namespace, set)
}

func (c *changes) relabel(namespace string, set map[string]string, dryRun ...string) error {
	c.t.Helper()
	client := c.kube.CoreV1().Namespaces()
	for {
		ns, err := client.Get(c.t.Context(), namespace, metav1.GetOptions{})
		c.must(err)
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		maps.Copy(ns.Labels, set)
		if _, err = client.Update(c.t.Context(), ns, metav1.UpdateOptions{DryRun: dryRun}); !apierrors.IsConflict(err) {
			return err
		}
	}
}

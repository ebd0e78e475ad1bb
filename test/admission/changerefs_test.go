package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// tagOf is an IstioRevisionTag; a rollout is written where one is given.
func tagOf(name, kind, target string, rollout ...string) *unstructured.Unstructured {
	o := sailObject("IstioRevisionTag", name, map[string]any{"targetRef": map[string]any{"kind": kind, "name": target}})
	if len(rollout) > 0 {
		o.SetAnnotations(map[string]string{routing.AnnotationRollout: rollout[0]})
	}
	return o
}

// otherIstio is an Istio beside the one named default.
func otherIstio(name, namespace, profile string) *unstructured.Unstructured {
	spec := map[string]any{
		"version": "v1.29.6", "namespace": namespace, "updateStrategy": map[string]any{"type": "InPlace"},
	}
	if profile != "" {
		spec["profile"] = profile
	}
	return sailObject("Istio", name, spec)
}

func TestChangesOfTags(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.29.6", "RevisionBased")))
	c.runs("default-v1-29-6", "v1.29.6")
	c.runs("default-v1-30-3", "v1.30.3") // one that the operator made since
	wantAdmitted(t, c.write("", otherIstio("far", "istio-system", "remote")))
	wantAdmitted(t, c.write("", otherIstio("east", "istio-east", "")))
	wantAdmitted(t, c.write(operator, sailObject("IstioRevision", "east", map[string]any{
		"version": "v1.29.6", "namespace": "istio-east", "values": map[string]any{"revision": "east"},
	})))
	leaving := otherIstio("leaving", "istio-system", "")
	leaving.SetFinalizers([]string{"example.com/held"})
	wantAdmitted(t, c.write("", leaving))
	wantAdmitted(t, c.sail("istios").Delete(t.Context(), "leaving", metav1.DeleteOptions{}))

	const istioKind, revisionKind = "Istio", "IstioRevision"
	wantAdmitted(t, c.write("", tagOf("prod", revisionKind, "default-v1-29-6")))
	for name, tc := range map[string]struct {
		tag   *unstructured.Unstructured
		words []string // none: it is admitted
	}{
		"a target that exists":           {tagOf("next", istioKind, "default"), nil},
		"a target that is missing":       {tagOf("next", istioKind, "nobody"), []string{"TagTarget", "does not exist"}},
		"a target that a tag loses":      {tagOf("prod", revisionKind, "nobody"), []string{"TagTarget", "does not exist"}},
		"a target that is being deleted": {tagOf("next", istioKind, "leaving"), []string{"TagTarget", "is being deleted"}},
		"a target that is remote":        {tagOf("next", istioKind, "far"), []string{"TagTarget", "is remote", "istioctl tag set next"}},
		"the name of a revision":         {tagOf("default-v1-29-6", istioKind, "default"), []string{"NameConflict", "default-v1-29-6"}},
		"a share for a newer revision":   {tagOf("prod", revisionKind, "default-v1-29-6", "default-v1-30-3=10"), nil},
		"a new tag with a share":         {tagOf("next", istioKind, "default", "default-v1-29-6=100"), nil},
		"a share that is no number":      {tagOf("prod", revisionKind, "default-v1-29-6", "default-v1-30-3=ten"), []string{"TagRollout", "from 0 to 100"}},
		"a share of more than all":       {tagOf("prod", revisionKind, "default-v1-29-6", "default-v1-30-3=101"), []string{"TagRollout", "from 0 to 100"}},
		"a share for nobody": {tagOf("prod", revisionKind, "default-v1-29-6", "default-v1-30-4=10"), []string{
			"TagRollout", "is no IstioRevision", "kubectl annotate istiorevisiontag prod revision-router.io/rollout=default-v1-30-3=10 --overwrite",
		}},
		"a share for another mesh": {tagOf("prod", revisionKind, "default-v1-29-6", "east=10"), []string{"TagRollout", "another mesh", "istio-east"}},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.try(tc.tag)
			if len(tc.words) == 0 {
				wantAdmitted(t, err)
				return
			}
			wantRefusal(t, err, tc.words...)
		})
	}
	t.Run("a share for another mesh that is meant", func(t *testing.T) {
		meant := tagOf("prod", revisionKind, "default-v1-29-6", "east=10")
		meant.SetAnnotations(map[string]string{routing.AnnotationRollout: "east=10", skew.AnnotationOverride: "one root certificate"})
		wantAdmitted(t, c.write("", meant))
		wantAdmitted(t, c.write("", tagOf("prod", revisionKind, "default-v1-29-6", "east=5"))) // less of it
		wantRefusal(t, c.write("", tagOf("prod", revisionKind, "default-v1-29-6", "east=15")), "TagRollout")
		wantAdmitted(t, c.write("", tagOf("prod", revisionKind, "default-v1-29-6")))
	})
}

func (c *changes) gatewayClass(name, controller string) {
	c.t.Helper()
	class := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass",
		"metadata": map[string]any{"name": name}, "spec": map[string]any{"controllerName": controller},
	}}
	resource := schema.GroupVersionResource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
	_, err := c.dyn.Resource(resource).Create(c.t.Context(), class, metav1.CreateOptions{})
	c.must(err)
}

func TestChangesOfWaypointsOfCustomClasses(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.30.3", "InPlace")))
	c.runs("default", "v1.30.3")
	c.namespace("infra", nil)
	c.namespace("bookinfo", nil)
	c.gatewayClass("corp-waypoint", "istio.io/mesh-controller")
	c.gatewayClass("corp-ingress", "istio.io/gateway-controller")
	wantAdmitted(t, c.gateway("infra", "waypoint", "corp-waypoint", fromAll))
	wantAdmitted(t, c.gateway("infra", "ingress", "corp-ingress", fromAll))
	names := func(waypoint string) map[string]string {
		return map[string]string{"istio.io/use-waypoint": waypoint, "istio.io/use-waypoint-namespace": "infra"}
	}
	t.Run("an ingress by another name is no waypoint", func(t *testing.T) {
		c.eventually("the class is seen", func() error { return notYet(refused(c.relabel("bookinfo", names("ingress"), metav1.DryRunAll))) })
		wantRefusal(t, c.label("bookinfo", names("ingress")), "WaypointMissing", "of class corp-ingress")
	})
	t.Run("a waypoint by another name is one", func(t *testing.T) {
		wantAdmitted(t, c.label("bookinfo", names("waypoint")))
	})
	t.Run("and its revision and its image count", func(t *testing.T) {
		wantRefusal(t, c.gateway("infra", "other", "corp-waypoint", func(o *unstructured.Unstructured) {
			o.SetLabels(map[string]string{"istio.io/rev": "nobody"})
		}), "UnknownRevisionLabel", "nobody")
		wantRefusal(t, c.gateway("infra", "other", "corp-waypoint", func(o *unstructured.Unstructured) {
			o.SetAnnotations(map[string]string{skew.AnnotationProxyImage: "istio/proxyv2:1.28.3"})
		}), "DataPlaneBehind", "v1.28.3")
	})
	t.Run("it is not deleted under a namespace", func(t *testing.T) {
		gateways := c.dyn.Resource(gatewayResource()).Namespace("infra")
		c.eventually("its use is seen", func() error { return notYet(refused(gateways.Delete(t.Context(), "waypoint", dryDelete()))) })
		wantRefusal(t, gateways.Delete(t.Context(), "waypoint", metav1.DeleteOptions{}), "WaypointInUseDelete", "Namespace bookinfo")
	})
}

func TestChangesOfAmbientNamespacesAndServices(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.30.3", "InPlace")))
	c.runs("default", "v1.30.3")
	c.namespace("infra", nil)
	c.namespace("shop", nil)
	wantAdmitted(t, c.gateway("infra", "waypoint", "istio-waypoint", fromAll))

	t.Run("an ambient namespace with a revision is warned of", func(t *testing.T) {
		client, heard := c.listening("alice")
		ns := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{
				"name": "flat", "labels": map[string]any{"istio.io/dataplane-mode": "ambient", "istio.io/rev": "default"},
			},
		}}
		_, err := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}).
			Create(t.Context(), ns, metav1.CreateOptions{})
		wantAdmitted(t, err)
		wantWarning(t, heard, "AmbientAndRevision: Namespace flat")
	})
	t.Run("a waypoint that a Service of another namespace uses is not deleted", func(t *testing.T) {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: "cart", Namespace: "shop", Labels: map[string]string{
				"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "infra",
			}},
			Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
		}
		_, err := c.kube.CoreV1().Services("shop").Create(t.Context(), service, metav1.CreateOptions{})
		c.must(err)
		gateways := c.dyn.Resource(gatewayResource()).Namespace("infra")
		c.eventually("its use is seen", func() error { return notYet(refused(gateways.Delete(t.Context(), "waypoint", dryDelete()))) })
		wantRefusal(t, gateways.Delete(t.Context(), "waypoint", metav1.DeleteOptions{}), "WaypointInUseDelete", "Service shop/cart",
			"kubectl label service cart -n shop")
	})
	t.Run("without that label it is", func(t *testing.T) {
		c.must(c.kube.CoreV1().Services("shop").Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		gateways := c.dyn.Resource(gatewayResource()).Namespace("infra")
		c.eventually("the Service's end is seen", func() error { return gateways.Delete(t.Context(), "waypoint", dryDelete()) })
		wantAdmitted(t, gateways.Delete(t.Context(), "waypoint", metav1.DeleteOptions{}))
	})
}

// A namespace takes its waypoints along; once that is decided nothing keeps it from ending.
func TestDeletionOfNamespaces(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.30.3", "InPlace")))
	c.runs("default", "v1.30.3")
	use := map[string]string{"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "infra"}
	c.namespace("infra", nil)
	wantAdmitted(t, c.gateway("infra", "waypoint", "istio-waypoint", fromAll))
	c.namespace("bookinfo", use)
	namespaces := c.kube.CoreV1().Namespaces()
	gateways := c.dyn.Resource(gatewayResource()).Namespace("infra")
	c.eventually("its use is seen", func() error {
		return notYet(refused(namespaces.Delete(t.Context(), "infra", dryDelete())))
	})
	t.Run("with a waypoint that others use", func(t *testing.T) {
		wantRefusal(t, namespaces.Delete(t.Context(), "infra", metav1.DeleteOptions{}), "WaypointInUseDelete",
			"Gateway infra/waypoint", "Namespace bookinfo", "kubectl label namespace bookinfo")
	})
	t.Run("that uses it", func(t *testing.T) {
		wantAdmitted(t, namespaces.Delete(t.Context(), "bookinfo", dryDelete()))
	})
	t.Run("without any Gateway", func(t *testing.T) {
		c.namespace("plain", nil)
		wantAdmitted(t, namespaces.Delete(t.Context(), "plain", metav1.DeleteOptions{}))
	})
	t.Run("of the router, whatever is in it", func(t *testing.T) {
		c.namespace(charts.Name, nil)
		wantAdmitted(t, c.gateway(charts.Name, "waypoint", "istio-waypoint", fromAll))
		use["istio.io/use-waypoint-namespace"] = charts.Name
		c.namespace("shop", use)
		wantAdmitted(t, namespaces.Delete(t.Context(), charts.Name, metav1.DeleteOptions{}))
	})
	t.Run("that somebody means", func(t *testing.T) {
		ns, err := namespaces.Get(t.Context(), "infra", metav1.GetOptions{})
		c.must(err)
		ns.Annotations = map[string]string{skew.AnnotationOverride: "the mesh moves"}
		_, err = namespaces.Update(t.Context(), ns, metav1.UpdateOptions{})
		c.must(err)
		wantAdmitted(t, namespaces.Delete(t.Context(), "infra", metav1.DeleteOptions{}))
	})
	t.Run("that is terminating", func(t *testing.T) {
		wantAdmitted(t, namespaces.Delete(t.Context(), "infra", metav1.DeleteOptions{}))
		for _, controller := range []string{
			"system:serviceaccount:kube-system:namespace-controller", "system:serviceaccount:kube-system:generic-garbage-collector",
		} {
			err := c.as(controller).Resource(gatewayResource()).Namespace("infra").Delete(t.Context(), "waypoint", dryDelete())
			wantAdmitted(t, err)
		}
		c.eventually("that is seen", func() error { return gateways.Delete(t.Context(), "waypoint", dryDelete()) })
		wantAdmitted(t, gateways.Delete(t.Context(), "waypoint", metav1.DeleteOptions{}))
		ns, err := namespaces.Get(t.Context(), "infra", metav1.GetOptions{})
		c.must(err)
		ns.Spec.Finalizers = nil // as the namespace controller does, of which there is none here
		_, err = namespaces.Finalize(t.Context(), ns, metav1.UpdateOptions{})
		wantAdmitted(t, err)
	})
}

package admission

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing/skew"
)

// The life of a mesh on a real API server, step by step: what the update guide allows passes, what it forbids is
// refused with the rule and the way out.
func TestChangesOfAnInPlaceMesh(t *testing.T) { changesOfAnInPlaceMesh(t, newChanges(t)) }

func changesOfAnInPlaceMesh(t *testing.T, c *changes) {
	t.Helper()
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.28.3", "InPlace")))
	c.runs("default", "v1.28.3")
	wantAdmitted(t, c.write("", cni("v1.28.3")))
	wantAdmitted(t, c.write("", ztunnel("v1.28.3")))

	t.Run("two minors at once are refused", func(t *testing.T) {
		wantRefusal(t, c.write("", istio("v1.30.3", "InPlace")), "InPlaceStep", "v1.28.3", "v1.30.3", "v1.29")
	})
	t.Run("components do not overtake the control plane", func(t *testing.T) {
		wantRefusal(t, c.write("", cni("v1.29.6")), "CNISkew", "v1.29.6")
		wantRefusal(t, c.write("", ztunnel("v1.29.6")), "ZTunnelSkew", "v1.29.6")
	})
	t.Run("the operator is warned and not denied", func(t *testing.T) {
		wantAdmitted(t, c.write(operator, cni("v1.29.6")))
		wantAdmitted(t, c.write("", cni("v1.28.3"))) // a repair
	})
	t.Run("an override turns the denial into a warning", func(t *testing.T) {
		o := cni("v1.29.6")
		o.SetAnnotations(map[string]string{skew.AnnotationOverride: "tested in staging"})
		wantAdmitted(t, c.write("", o))
		wantAdmitted(t, c.write("", cni("v1.28.3")))
	})
	t.Run("everything applied at once converges in the right order", func(t *testing.T) {
		wantAdmitted(t, c.write("", istio("v1.29.6", "InPlace")))
		wantRefusal(t, c.write("", cni("v1.29.6")), "CNISkew", "ait for")
		wantRefusal(t, c.write("", ztunnel("v1.29.6")), "ZTunnelSkew", "ait for")
		c.runs("default", "v1.29.6")
		wantAdmitted(t, c.write("", cni("v1.29.6")))
		wantAdmitted(t, c.write("", ztunnel("v1.29.6")))
	})
	t.Run("back below the components is refused", func(t *testing.T) {
		wantRefusal(t, c.write("", istio("v1.28.3", "InPlace")), "DataPlaneAhead")
	})
	t.Run("what has nothing to do with versions passes", func(t *testing.T) {
		client := c.dyn.Resource(sail.GroupVersion().WithResource("istios"))
		o, err := client.Get(t.Context(), "default", metav1.GetOptions{})
		c.must(err)
		o.SetLabels(map[string]string{"team": "mesh"})
		_, err = client.Update(t.Context(), o, metav1.UpdateOptions{})
		wantAdmitted(t, err)
	})
}

func TestChangesOfReferences(t *testing.T) { changesOfReferences(t, newChanges(t)) }

func changesOfReferences(t *testing.T, c *changes) {
	t.Helper()
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.29.6", "RevisionBased")))
	c.runs("default-v1-29-6", "v1.29.6")

	tag := func(target string) error {
		return c.write("", sailObject("IstioRevisionTag", "prod", map[string]any{
			"targetRef": map[string]any{"kind": "IstioRevision", "name": target},
		}))
	}
	t.Run("a tag of something that is not there", func(t *testing.T) {
		wantRefusal(t, tag("default-v1-29-7"), "TagTarget", "default-v1-29-7")
	})
	wantAdmitted(t, tag("default-v1-29-6"))
	c.status("istiorevisiontags", "prod", map[string]any{"istioRevision": "default-v1-29-6"})

	create := func(name string, l map[string]string) error {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: l}}
		_, err := c.kube.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{})
		return err
	}
	t.Run("a namespace whose revision is misspelt", func(t *testing.T) {
		wantRefusal(t, create("shop", map[string]string{"istio.io/rev": "pord"}), "UnknownRevisionLabel", "pord")
	})
	t.Run("a namespace without labels is none of its business", func(t *testing.T) {
		wantAdmitted(t, create("plain", nil))
	})
	wantAdmitted(t, create("shop", map[string]string{"istio.io/rev": "prod"}))
	t.Run("a waypoint that is not there", func(t *testing.T) {
		elsewhere := map[string]string{"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "shop"}
		wantRefusal(t, create("ambient", elsewhere), "WaypointMissing", "shop", "waypoint")
		// A waypoint in the namespace itself can only be created after it.
		wantAdmitted(t, create("ambient", map[string]string{"istio.io/use-waypoint": "waypoint"}))
	})
	t.Run("a tag that a namespace uses is not deleted", func(t *testing.T) {
		tags := c.dyn.Resource(sail.GroupVersion().WithResource("istiorevisiontags"))
		c.eventually("the namespace is seen", func() error {
			return notYet(refused(tags.Delete(t.Context(), "prod", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})))
		})
		wantRefusal(t, tags.Delete(t.Context(), "prod", metav1.DeleteOptions{}), "InUseDelete", "shop")
	})
	t.Run("two minors apart are fine for sidecars alone, and a squeeze with IstioCNI", func(t *testing.T) {
		wantAdmitted(t, c.write("", cni("v1.29.6")))
		wantRefusal(t, c.write("", istio("v1.31.1", "RevisionBased")), "SingletonSqueeze", "v1.30")
		wantAdmitted(t, c.write("", istio("v1.30.3", "RevisionBased")))
	})
}

// Data planes count: what runs behind or ahead of its control plane holds it back, and the refusal names it.
func TestChangesWithADataPlane(t *testing.T) { changesWithADataPlane(t, newChanges(t)) }

func changesWithADataPlane(t *testing.T, c *changes) {
	t.Helper()
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.28.3", "InPlace")))
	c.runs("default", "v1.28.3")
	c.namespace("bookinfo", map[string]string{"istio-injection": "enabled"})
	c.sidecar("bookinfo", "details-v1", "1.28.3")
	wantAdmitted(t, c.write("", istio("v1.29.6", "InPlace")))
	c.runs("default", "v1.29.6")

	t.Run("a sidecar one minor behind holds the next step back", func(t *testing.T) {
		c.eventually("the sidecar is seen", func() error {
			return notYet(refused(c.try(istio("v1.30.3", "InPlace"))))
		})
		wantRefusal(t, c.write("", istio("v1.30.3", "InPlace")), "DataPlaneBehind", "v1.28.3",
			"kubectl rollout restart deployment", "bookinfo")
	})
	c.removeSidecar("bookinfo", "details-v1")
	c.sidecar("bookinfo", "details-v1", "1.29.6")
	t.Run("restarted, it does not", func(t *testing.T) {
		c.eventually("the restart is seen", func() error { return c.try(istio("v1.30.3", "InPlace")) })
		wantAdmitted(t, c.write("", istio("v1.30.3", "InPlace")))
		c.runs("default", "v1.30.3")
	})
	t.Run("a sidecar ahead of the control plane is no way back", func(t *testing.T) {
		c.removeSidecar("bookinfo", "details-v1")
		c.sidecar("bookinfo", "details-v1", "1.30.3")
		c.eventually("the new sidecar is seen", func() error {
			return notYet(refused(c.try(istio("v1.29.6", "InPlace"))))
		})
		wantRefusal(t, c.write("", istio("v1.29.6", "InPlace")), "DataPlaneAhead", "v1.30.3")
	})
	t.Run("an alias that the operator moves is admitted", func(t *testing.T) {
		revision := sailObject("IstioRevision", "default", map[string]any{
			"version": "v1.31.1", "namespace": "istio-system", "values": map[string]any{"revision": ""},
		})
		wantAdmitted(t, c.write(operator, revision))
	})
}

func TestChangesOfWaypoints(t *testing.T) { changesOfWaypoints(t, newChanges(t)) }

func changesOfWaypoints(t *testing.T, c *changes) {
	t.Helper()
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.30.3", "InPlace")))
	c.runs("default", "v1.30.3")
	c.namespace("infra", nil)
	c.namespace("bookinfo", nil)

	t.Run("a revision that nobody is", func(t *testing.T) {
		wantRefusal(t, c.gateway("infra", "waypoint", "istio-waypoint", func(o *unstructured.Unstructured) {
			o.SetLabels(map[string]string{"istio.io/rev": "nobody"})
		}), "UnknownRevisionLabel", "nobody")
	})
	t.Run("a proxy that is pinned two minors back", func(t *testing.T) {
		wantRefusal(t, c.gateway("infra", "waypoint", "istio-waypoint", func(o *unstructured.Unstructured) {
			o.SetAnnotations(map[string]string{skew.AnnotationProxyImage: "istio/proxyv2:1.28.3"})
		}), "DataPlaneBehind", "v1.28.3")
	})
	wantAdmitted(t, c.gateway("infra", "waypoint", "istio-waypoint", nil))
	use := map[string]string{"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "infra"}
	t.Run("a waypoint whose listener admits its own namespace alone", func(t *testing.T) {
		wantRefusal(t, c.label("bookinfo", use), "WaypointMissing", "infra/waypoint")
	})
	wantAdmitted(t, c.gateway("infra", "shared", "istio-waypoint", fromAll))
	use["istio.io/use-waypoint"] = "shared"
	t.Run("one that was created a moment ago and admits all", func(t *testing.T) {
		wantAdmitted(t, c.label("bookinfo", use))
	})
	t.Run("an ingress gateway is no waypoint", func(t *testing.T) {
		wantAdmitted(t, c.gateway("infra", "ingress", "istio", fromAll))
		wantRefusal(t, c.label("bookinfo", map[string]string{
			"istio.io/use-waypoint": "ingress", "istio.io/use-waypoint-namespace": "infra",
		}), "WaypointMissing", "ingress")
	})
	t.Run("a waypoint that another namespace uses is not deleted", func(t *testing.T) {
		gateways := c.dyn.Resource(gatewayResource()).Namespace("infra")
		dry := metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
		c.eventually("its use is seen", func() error { return notYet(refused(gateways.Delete(t.Context(), "shared", dry))) })
		wantRefusal(t, gateways.Delete(t.Context(), "shared", metav1.DeleteOptions{}), "WaypointInUseDelete", "bookinfo")
		wantAdmitted(t, gateways.Delete(t.Context(), "waypoint", metav1.DeleteOptions{}))
	})
}

package admission

import (
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// heard is what the API server warns a client of.
type heard struct {
	mu       sync.Mutex
	warnings []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (h *heard) HandleWarningHeader(_ int, _, text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.warnings = append(h.warnings, text)
}

// listening is a client of the user that hears warnings.
func (c *changes) listening(user string) (dynamic.Interface, *heard) {
	c.t.Helper()
	config, err := c.cluster.ConfigFor(user, "system:masters")
	c.must(err)
	h := &heard{}
	config.WarningHandler = h
	client, err := dynamic.NewForConfig(config)
	c.must(err)
	return client, h
}

func wantWarning(t *testing.T, h *heard, start string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.warnings {
		if strings.HasPrefix(w, start) {
			return
		}
	}
	t.Errorf("warnings %q, want one that starts with %q", h.warnings, start)
}

func (c *changes) sail(resource string) dynamic.NamespaceableResourceInterface {
	return c.dyn.Resource(sail.GroupVersion().WithResource(resource))
}

// merge is kubectl patch --type=merge of an object of the Sail Operator named default.
func (c *changes) merge(resource, body string, subresources ...string) error {
	_, err := c.sail(resource).Patch(c.t.Context(), "default", types.MergePatchType, []byte(body), metav1.PatchOptions{}, subresources...)
	return err
}

// Revisions are not compared with each other; what there is one of has to fit all that are used.
func TestChangesOfARevisionBasedMesh(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.28.3", "RevisionBased")))
	c.runs("default-v1-28-3", "v1.28.3")
	c.namespace("bookinfo", map[string]string{"istio.io/rev": "default-v1-28-3"})
	c.proxied("bookinfo", "details-v1", "default-v1-28-3", "1.28.3")

	t.Run("two minors at once are fine for sidecars alone", func(t *testing.T) {
		wantAdmitted(t, c.try(istio("v1.30.3", "RevisionBased")))
	})
	wantAdmitted(t, c.write("", cni("v1.28.3")))
	wantAdmitted(t, c.write("", ztunnel("v1.28.3")))
	t.Run("and a squeeze with IstioCNI and ZTunnel", func(t *testing.T) {
		wantRefusal(t, c.write("", istio("v1.30.3", "RevisionBased")), "SingletonSqueeze", "IstioCNI", "ZTunnel", "v1.29")
	})
	wantAdmitted(t, c.write("", istio("v1.29.6", "RevisionBased")))
	c.runs("default-v1-29-6", "v1.29.6")
	t.Run("while both revisions are used the components may stay", func(t *testing.T) {
		wantAdmitted(t, c.write("", cni("v1.28.9")))
		wantAdmitted(t, c.write("", ztunnel("v1.28.9")))
	})
	t.Run("and may not follow the newer one", func(t *testing.T) {
		wantRefusal(t, c.write("", cni("v1.29.6")), "CNISkew", "default-v1-28-3", "kubectl label namespace bookinfo")
		wantRefusal(t, c.write("", ztunnel("v1.29.6")), "ZTunnelSkew", "default-v1-28-3")
	})
	t.Run("nor once only pods are left of the older one", func(t *testing.T) {
		wantAdmitted(t, c.label("bookinfo", map[string]string{"istio.io/rev": "default-v1-29-6"}))
		c.eventually("the label is seen", func() error {
			err := c.try(cni("v1.29.6"))
			return notYet(refused(err) && strings.Contains(err.Error(), "1 pod still uses"))
		})
	})
	t.Run("when nothing uses the older one any more, they may", func(t *testing.T) {
		c.removeSidecar("bookinfo", "details-v1")
		c.eventually("the pod's end is seen", func() error { return c.try(cni("v1.29.6")) })
		wantAdmitted(t, c.write("", cni("v1.29.6")))
		wantAdmitted(t, c.write("", ztunnel("v1.29.6")))
	})
}

// A mesh that is skewed already can be worked on, and cannot go further wrong.
func TestChangesOfASkewedMesh(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	c.namespace("infra", nil)
	wantAdmitted(t, c.write("", istio("v1.30.3", "InPlace")))
	c.runs("default", "v1.30.3")
	wantAdmitted(t, c.write(operator, cni("v1.32.0")))
	wantAdmitted(t, c.write(operator, ztunnel("v1.27.3")))
	c.must(c.gateway("infra", "pinned", "istio-waypoint", func(o *unstructured.Unstructured) {
		o.SetAnnotations(map[string]string{
			skew.AnnotationProxyImage: "istio/proxyv2:1.27.3", skew.AnnotationOverride: "the state to start from",
		})
	}))
	unoverridden := `{"metadata":{"annotations":{"revision-router.io/override":null}}}`
	gateways := c.dyn.Resource(gatewayResource()).Namespace("infra")
	patch := func(body string) error {
		_, err := gateways.Patch(t.Context(), "pinned", types.MergePatchType, []byte(body), metav1.PatchOptions{})
		return err
	}
	for name, write := range map[string]func() error{
		"a label":                           func() error { return c.merge("istiocnis", `{"metadata":{"labels":{"team":"mesh"}}}`) },
		"an annotation":                     func() error { return c.merge("ztunnels", `{"metadata":{"annotations":{"team":"mesh"}}}`) },
		"a finalizer":                       func() error { return c.merge("istiocnis", `{"metadata":{"finalizers":["example.com/f"]}}`) },
		"the end of a finalizer":            func() error { return c.merge("istiocnis", `{"metadata":{"finalizers":null}}`) },
		"a status":                          func() error { return c.merge("istiocnis", `{"status":{"state":"Healthy"}}`, "status") },
		"a field that no rule reads":        func() error { return c.merge("istiocnis", `{"spec":{"values":{"cni":{"logLevel":"debug"}}}}`) },
		"the same version again":            func() error { return c.write("", cni("v1.32.0")) },
		"another patch of it":               func() error { return c.try(cni("v1.32.1")) },
		"a repair in part":                  func() error { return c.try(cni("v1.31.1")) },
		"a repair":                          func() error { return c.try(cni("v1.30.3")) },
		"a repair of another component":     func() error { return c.try(ztunnel("v1.29.6")) },
		"the removal of an override":        func() error { return patch(unoverridden) },
		"another field of a pinned Gateway": func() error { return patch(`{"metadata":{"labels":{"istio.io/waypoint-for":"all"}}}`) },
		"a pinned image that comes nearer": func() error {
			return patch(`{"metadata":{"annotations":{"sidecar.istio.io/proxyImage":"istio/proxyv2:1.28.3"}}}`)
		},
		"a namespace that has nothing with it": func() error { return c.label("infra", map[string]string{"team": "mesh"}) },
		"the deletion of a component":          func() error { return c.sail("ztunnels").Delete(t.Context(), "default", dryDelete()) },
		"the deletion of a Gateway":            func() error { return gateways.Delete(t.Context(), "pinned", dryDelete()) },
	} {
		t.Run(name+" passes", func(t *testing.T) { wantAdmitted(t, write()) })
	}
	wantAdmitted(t, patch(unoverridden))
	for name, tc := range map[string]struct {
		write func() error
		words []string
	}{
		"a component further ahead":  {func() error { return c.try(cni("v1.33.0")) }, []string{"CNISkew", "v1.33.0"}},
		"a component further behind": {func() error { return c.try(ztunnel("v1.26.0")) }, []string{"ZTunnelSkew", "v1.26.0"}},
		"a control plane away from both": {
			func() error { return c.try(istio("v1.31.1", "InPlace")) }, []string{"DataPlaneBehind", "ZTunnelSkew"},
		},
		"a pinned image further back": {
			func() error {
				return patch(`{"metadata":{"annotations":{"sidecar.istio.io/proxyImage":"istio/proxyv2:1.26.0"}}}`)
			},
			[]string{"DataPlaneBehind", "1.26"},
		},
	} {
		t.Run(name+" is refused", func(t *testing.T) { wantRefusal(t, tc.write(), tc.words...) })
	}
}

func dryDelete() metav1.DeleteOptions {
	return metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}
}

// Operators that are older than v1 of ZTunnel have v1alpha1 alone, newer ones serve both.
func TestChangesOfAnOlderZTunnel(t *testing.T) {
	c := newChanges(t)
	crds := c.dyn.Resource(schema.GroupVersionResource{
		Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
	})
	crd, err := crds.Get(t.Context(), "ztunnels.sailoperator.io", metav1.GetOptions{})
	c.must(err)
	versions, _, err := unstructured.NestedSlice(crd.Object, "spec", "versions")
	c.must(err)
	newest, _ := versions[0].(map[string]any)
	older := (&unstructured.Unstructured{Object: newest}).DeepCopy().Object
	older["name"], older["storage"] = "v1alpha1", false
	c.must(unstructured.SetNestedSlice(crd.Object, append(versions, older), "spec", "versions"))
	_, err = crds.Update(t.Context(), crd, metav1.UpdateOptions{})
	c.must(err)

	c.namespace("istio-system", nil)
	c.eventually("the definition has settled", func() error { return c.try(istio("v1.29.6", "InPlace")) })
	wantAdmitted(t, c.write("", istio("v1.29.6", "InPlace")))
	c.runs("default", "v1.29.6")
	alpha := c.dyn.Resource(schema.GroupVersionResource{Group: sail.Group, Version: "v1alpha1", Resource: "ztunnels"})
	object := func(version string) *unstructured.Unstructured {
		o := ztunnel(version)
		o.SetAPIVersion(sail.Group + "/v1alpha1")
		return o
	}
	c.eventually("v1alpha1 is served", func() error {
		_, err := alpha.List(t.Context(), metav1.ListOptions{})
		return err
	})
	t.Run("a creation ahead of the control plane", func(t *testing.T) {
		_, err := alpha.Create(t.Context(), object("v1.30.3"), metav1.CreateOptions{})
		wantRefusal(t, err, "ZTunnelSkew", "v1.30.3")
	})
	stored, err := alpha.Create(t.Context(), object("v1.29.6"), metav1.CreateOptions{})
	wantAdmitted(t, err)
	t.Run("an update ahead of it", func(t *testing.T) {
		c.must(unstructured.SetNestedField(stored.Object, "v1.30.3", "spec", "version"))
		_, err := alpha.Update(t.Context(), stored, metav1.UpdateOptions{})
		wantRefusal(t, err, "ZTunnelSkew", "v1.30.3")
		wantRefusal(t, c.write("", ztunnel("v1.30.3")), "ZTunnelSkew", "v1.30.3")
	})
	t.Run("its deletion under an ambient namespace", func(t *testing.T) {
		c.namespace("flat", map[string]string{"istio.io/dataplane-mode": "ambient"})
		c.eventually("the namespace is seen", func() error {
			return notYet(refused(alpha.Delete(t.Context(), "default", dryDelete())))
		})
		wantRefusal(t, alpha.Delete(t.Context(), "default", metav1.DeleteOptions{}), "InUseDelete", "flat")
	})
}

// What the operator does over a mesh that it cannot stop from being skewed is said and not refused.
func TestTheOperatorMovesAnAlias(t *testing.T) {
	c := newChanges(t)
	c.namespace("istio-system", nil)
	wantAdmitted(t, c.write("", istio("v1.29-latest", "InPlace")))
	c.runs("default", "v1.29.6")
	c.namespace("bookinfo", map[string]string{"istio-injection": "enabled"})
	c.sidecar("bookinfo", "details-v1", "1.28.3")
	moved := []byte(`{"spec":{"version":"v1.30.3"}}`)
	c.eventually("the sidecar is seen, and somebody else is refused", func() error {
		_, err := c.sail("istiorevisions").Patch(t.Context(), "default", types.MergePatchType, moved, metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return notYet(refused(err) && strings.Contains(err.Error(), "DataPlaneBehind: "))
	})
	client, heard := c.listening(operator)
	_, err := client.Resource(sail.GroupVersion().WithResource("istiorevisions")).
		Patch(t.Context(), "default", types.MergePatchType, moved, metav1.PatchOptions{})
	wantAdmitted(t, err)
	wantWarning(t, heard, "DataPlaneBehind: ")
}

// proxied is a sidecar of a revision.
func (c *changes) proxied(namespace, deployment, revision, version string) {
	c.t.Helper()
	c.sidecar(namespace, deployment, version)
	body := []byte(`{"metadata":{"annotations":{"` + routing.LabelRevision + `":"` + revision + `"}}}`)
	_, err := c.kube.CoreV1().Pods(namespace).
		Patch(c.t.Context(), deployment+"-7d775cb4f6-x", types.MergePatchType, body, metav1.PatchOptions{})
	c.must(err)
}

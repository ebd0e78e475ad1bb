package charts_test

import (
	"slices"
	"testing"

	"github.com/revision-router/revision-router/charts"
)

func TestNamespacedObjectsAreInTheNamespaceOfTheRelease(t *testing.T) {
	// What a router in mode forward may read where a control plane is.
	const elsewhere = "revision-router-injectors"
	clusterScoped := []string{"ClusterRole", "ClusterRoleBinding", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"}
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := renderAs(t, charts.Options{Namespace: "elsewhere", Args: args})
			for _, object := range r.objects {
				want := "elsewhere"
				if object.GetName() == elsewhere && name == "forward" {
					if !slices.Contains([]string{"istio-system", "mesh-system"}, object.GetNamespace()) {
						t.Errorf("%s in namespace %s, which is not a control plane's", object.GetKind(), object.GetNamespace())
					}
					continue
				}
				if slices.Contains(clusterScoped, object.GetKind()) {
					want = ""
				}
				if object.GetNamespace() != want {
					t.Errorf("%s %s in namespace %q, want %q", object.GetKind(), object.GetName(), object.GetNamespace(), want)
				}
			}
		})
	}
}

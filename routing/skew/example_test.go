package skew_test

import (
	"fmt"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func ExampleCheck() {
	mesh := skew.Mesh{
		Istios: []skew.Istio{{
			Name: "default", Namespace: "istio-system", Version: "v1.30.3", Strategy: skew.RevisionBased,
			Active: "default-v1-30-3", Observed: true,
		}},
		Revisions: []skew.Revision{
			{Revision: routing.Revision{Name: "default-v1-29-6", Version: "v1.29.6", Istio: "default", Origin: routing.Sail}, Ready: skew.Ready},
			{Revision: routing.Revision{Name: "default-v1-30-3", Version: "v1.30.3", Istio: "default", Origin: routing.Sail}, Ready: skew.Ready},
		},
		CNI:        &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.29.6"},
		Namespaces: []skew.Namespace{{Name: "bookinfo", Labels: map[string]string{"istio.io/rev": "default-v1-30-3"}}},
		Workloads: []skew.Workload{{
			Namespace: "bookinfo", Kind: "Deployment", Name: "reviews-v1", Role: skew.Sidecar,
			Revision: "default-v1-29-6", Version: "v1.29.6", Pods: 14,
		}},
	}
	raised := *mesh.CNI
	raised.Version = "v1.30.3"
	change := skew.Change{Operation: skew.Update, Old: *mesh.CNI, New: raised, User: "alice"}

	for _, f := range skew.Check(&mesh, change, skew.DefaultPolicy()) {
		fmt.Println(f.Level, f.Message)
	}
	// Output:
	// Deny CNISkew: IstioCNI default v1.30.3 would run ahead of revision default-v1-29-6 (v1.29.6), which 14 pods still use. Move them first: kubectl rollout restart deployment -n bookinfo; then retry.
}

package inventory_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// aPod is a pod of a Deployment with a sidecar.
func aPod(change func(*inventory.Pod)) *inventory.Pod {
	p := &inventory.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "shop", Name: "cart-5d9f-abcde",
		Labels:      map[string]string{"pod-template-hash": "5d9f"},
		Annotations: map[string]string{"istio.io/rev": "prod-v1"},
	}}
	own(p, "ReplicaSet", "cart-5d9f")
	p.Spec.Containers = []inventory.Container{{Name: "cart", Image: "cart:7"}, {Name: "istio-proxy", Image: "hub/proxyv2:1.29.6"}}
	p.Status.Phase = "Running"
	change(p)
	return p
}

func own(p *inventory.Pod, kind, name string) {
	controller := true
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "Node", Name: "n1"}, {Kind: kind, Name: name, Controller: &controller}}
}

func image(p *inventory.Pod, image string) { p.Spec.Containers[1].Image = image }

// cart is the workload of aPod.
func cart(change func(*skew.Workload)) skew.Workload {
	w := skew.Workload{
		Namespace: "shop", Kind: "Deployment", Name: "cart", Role: skew.Sidecar, Revision: "prod-v1", Version: "v1.29.6", Pods: 1,
	}
	change(&w)
	return w
}

func TestWorkloadOfAPod(t *testing.T) {
	none := skew.Workload{}
	cases := map[string]struct {
		pod  func(*inventory.Pod)
		want skew.Workload
	}{
		"a sidecar": {func(*inventory.Pod) {}, cart(func(*skew.Workload) {})},
		"a native sidecar": {func(p *inventory.Pod) {
			p.Spec.InitContainers, p.Spec.Containers = p.Spec.Containers[1:], p.Spec.Containers[:1]
		}, cart(func(*skew.Workload) {})},
		"a pod without a proxy":           {func(p *inventory.Pod) { p.Spec.Containers = p.Spec.Containers[:1] }, none},
		"a pod that has succeeded":        {func(p *inventory.Pod) { p.Status.Phase = "Succeeded" }, none},
		"a pod that was evicted":          {func(p *inventory.Pod) { p.Status.Phase = "Failed" }, none},
		"a pod that is not scheduled yet": {func(p *inventory.Pod) { p.Status.Phase = "Pending" }, cart(func(*skew.Workload) {})},
		"an ambient pod by its own label": {func(p *inventory.Pod) {
			p.Spec.Containers = p.Spec.Containers[:1]
			p.Labels["istio.io/dataplane-mode"] = "ambient"
			p.Annotations = nil
		}, cart(func(w *skew.Workload) { w.Role, w.Revision, w.Version = skew.Ambient, "", "" })},
		"a pod that is taken out of ambient mode": {func(p *inventory.Pod) {
			p.Spec.Containers = p.Spec.Containers[:1]
			p.Labels["istio.io/dataplane-mode"] = "none"
		}, none},
		"a sidecar in spite of the ambient label": {func(p *inventory.Pod) {
			p.Labels["istio.io/dataplane-mode"] = "ambient"
		}, cart(func(*skew.Workload) {})},
		"a waypoint": {func(p *inventory.Pod) {
			p.Labels["gateway.istio.io/managed"] = "istio.io-mesh-controller"
			p.Labels["gateway.networking.k8s.io/gateway-name"] = "waypoint"
		}, cart(func(w *skew.Workload) { w.Role = skew.WaypointProxy })},
		"a gateway that istiod deploys": {func(p *inventory.Pod) {
			p.Labels["gateway.istio.io/managed"] = "istio.io-gateway-controller"
		}, cart(func(w *skew.Workload) { w.Role = skew.GatewayProxy })},
		"a gateway that is injected": {func(p *inventory.Pod) {
			p.Annotations["inject.istio.io/templates"] = "own, gateway"
		}, cart(func(w *skew.Workload) { w.Role = skew.GatewayProxy })},
		"a sidecar of a template whose name only looks like it": {func(p *inventory.Pod) {
			p.Annotations["inject.istio.io/templates"] = "sidecar,no-gateway"
		}, cart(func(*skew.Workload) {})},

		"the revision label": {func(p *inventory.Pod) {
			p.Labels["istio.io/rev"], p.Labels["sidecar.istio.io/inject"] = "prod", "true"
		}, cart(func(w *skew.Workload) { w.Label = "prod" })},
		"the injection label alone": {func(p *inventory.Pod) {
			p.Labels["sidecar.istio.io/inject"] = "true"
		}, cart(func(w *skew.Workload) { w.Label = "default" })},
		"an injection label that opts out": {func(p *inventory.Pod) {
			p.Labels["sidecar.istio.io/inject"] = "false"
		}, cart(func(*skew.Workload) {})},

		"a distroless image": {
			func(p *inventory.Pod) { image(p, "r:5000/istio/proxyv2:1.30.3-distroless") },
			cart(func(w *skew.Workload) { w.Version = "v1.30.3-distroless" }),
		},
		"an image by digest": {
			func(p *inventory.Pod) { image(p, "istio/proxyv2@sha256:0123") },
			cart(func(w *skew.Workload) { w.Version = "" }),
		},
		"an image by tag and digest": {
			func(p *inventory.Pod) { image(p, "istio/proxyv2:1.30.3@sha256:0123") },
			cart(func(w *skew.Workload) { w.Version = "" }),
		},
		"an image with a tag that is no version": {
			func(p *inventory.Pod) { image(p, "istio/proxyv2:latest") },
			cart(func(w *skew.Workload) { w.Version = "" }),
		},
		"an image by digest of a pod that the router admitted": {func(p *inventory.Pod) {
			image(p, "istio/proxyv2@sha256:0123")
			p.Labels[routing.LabelRoutedVersion] = "v1.28.4"
		}, cart(func(w *skew.Workload) { w.Version = "v1.28.4" })},
		"an image whose tag the router's label contradicts": {func(p *inventory.Pod) {
			p.Labels[routing.LabelRoutedVersion] = "v1.28.4"
		}, cart(func(*skew.Workload) {})},
		"a waypoint by digest with a copied label": {func(p *inventory.Pod) {
			image(p, "istio/proxyv2@sha256:0123")
			p.Labels["gateway.istio.io/managed"] = "istio.io-mesh-controller"
			p.Labels[routing.LabelRoutedVersion] = "v1.28.4"
		}, cart(func(w *skew.Workload) { w.Role, w.Version = skew.WaypointProxy, "" })},

		"a StatefulSet": {
			func(p *inventory.Pod) { own(p, "StatefulSet", "db") },
			cart(func(w *skew.Workload) { w.Kind, w.Name = "StatefulSet", "db" }),
		},
		"a ReplicaSet of nobody": {
			func(p *inventory.Pod) { delete(p.Labels, "pod-template-hash") },
			cart(func(w *skew.Workload) { w.Kind, w.Name = "ReplicaSet", "cart-5d9f" }),
		},
		"a ReplicaSet whose name does not end with the hash": {
			func(p *inventory.Pod) { own(p, "ReplicaSet", "own-name") },
			cart(func(w *skew.Workload) { w.Kind, w.Name = "ReplicaSet", "own-name" }),
		},
		"an Argo Rollout": {func(p *inventory.Pod) {
			p.Labels = map[string]string{"rollouts-pod-template-hash": "5d9f"}
		}, cart(func(w *skew.Workload) { w.Kind = "Rollout" })},
		"a DeploymentConfig": {func(p *inventory.Pod) {
			own(p, "ReplicationController", "cart-3")
			p.Annotations["openshift.io/deployment-config.name"] = "cart"
		}, cart(func(w *skew.Workload) { w.Kind = "DeploymentConfig" })},
		"a ReplicationController": {
			func(p *inventory.Pod) { own(p, "ReplicationController", "cart-3") },
			cart(func(w *skew.Workload) { w.Kind, w.Name = "ReplicationController", "cart-3" }),
		},
		"a pod of its own": {
			func(p *inventory.Pod) { p.OwnerReferences = nil },
			cart(func(w *skew.Workload) { w.Kind, w.Name = "Pod", "cart-5d9f-abcde" }),
		},

		"a user's own workload that is called ztunnel": {func(p *inventory.Pod) {
			p.Labels["app"] = "ztunnel"
			p.Annotations["sidecar.istio.io/status"] = "{}"
		}, cart(func(*skew.Workload) {})},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := aPod(tc.pod).Workload()
			if diff := cmp.Diff(tc.want, got); diff != "" || ok != (tc.want != none) {
				t.Errorf("of the mesh: %t (-want +got)\n%s", ok, diff)
			}
		})
	}
}

func TestPodsThatNameAWaypoint(t *testing.T) {
	p := aPod(func(p *inventory.Pod) {
		p.Labels["istio.io/use-waypoint"] = "w"
		p.Labels["istio.io/use-waypoint-namespace"] = "infra"
	})
	want := skew.Consumer{
		Kind: skew.KindPod, Namespace: "shop", Name: "cart-5d9f-abcde",
		UseWaypoint:          routing.Label{Value: "w", Present: true},
		UseWaypointNamespace: routing.Label{Value: "infra", Present: true},
	}
	if got, ok := p.Consumer(); !ok || got != want {
		t.Errorf("got %+v (%t), want %+v", got, ok, want)
	}
	p.Status.Phase = "Succeeded"
	if got, ok := p.Consumer(); ok {
		t.Errorf("a pod that has ended is the consumer %+v", got)
	}
	if got, ok := aPod(func(*inventory.Pod) {}).Consumer(); ok {
		t.Errorf("a pod without the label is the consumer %+v", got)
	}
}

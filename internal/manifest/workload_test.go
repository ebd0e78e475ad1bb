package manifest

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

func TestWorkloads(t *testing.T) {
	t.Parallel()
	label := func(v string) routing.Label { return routing.Label{Value: v, Present: true} }
	pod := func(rest string) string { return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n" + rest }
	for name, tc := range map[string]struct {
		text string
		want Workload
	}{
		"a pod with nothing": {text: pod(""), want: Workload{Replicas: -1}},
		"labels and annotation": {
			text: pod("  labels: {z: x, sidecar.istio.io/inject: \"true\", istio.io/rev: \"\"}\n  annotations: {sidecar.istio.io/inject: \"false\"}\n"),
			want: Workload{Replicas: -1, Pod: routing.Pod{
				Inject: label("true"), Revision: label(""), InjectAnnotation: label("false"),
				Labels: []routing.Pair{{Key: "istio.io/rev"}, {Key: "sidecar.istio.io/inject", Value: "true"}, {Key: "z", Value: "x"}},
			}},
		},
		"a label without a value is an empty one, as for the API server": {
			text: pod("  labels:\n    istio.io/rev:\n"),
			want: Workload{Replicas: -1, Pod: routing.Pod{Revision: label(""), Labels: []routing.Pair{{Key: "istio.io/rev"}}}},
		},
		"fields are told apart by case": {
			text: pod("  Labels: {istio.io/rev: x}\nSpec: {hostNetwork: true}\n"),
			want: Workload{Replicas: -1},
		},
		"a mirror pod": {
			text: pod("  annotations: {kubernetes.io/config.mirror: x}\n"),
			want: Workload{Replicas: -1, Pod: routing.Pod{Mirror: true}},
		},
		"host network and image auto": {
			text: pod("spec: {hostNetwork: true, containers: [{image: x}, {image: auto}]}\n"),
			want: Workload{Replicas: -1, Pod: routing.Pod{HostNetwork: true, ImageAuto: true}},
		},
		"image auto of an init container": {
			text: pod("spec: {initContainers: [{image: auto}]}\n"),
			want: Workload{Replicas: -1, Pod: routing.Pod{ImageAuto: true}},
		},
		"the controller among the owners": {
			text: pod("  ownerReferences: [{kind: Node, name: one}, {kind: ReplicaSet, name: r, controller: true}]\n"),
			want: Workload{Replicas: -1, ControllerKind: "ReplicaSet", ControllerName: "r"},
		},
		"a template, not the object that has it": {
			text: "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: a, labels: {istio.io/rev: other}}\n" +
				"spec: {replicas: 3, template: {metadata: {labels: {istio.io/rev: \"yes\"}}, spec: {hostNetwork: true}}}\n",
			want: Workload{Replicas: 3, Pod: routing.Pod{
				Revision: label("yes"), HostNetwork: true, Labels: []routing.Pair{{Key: "istio.io/rev", Value: "yes"}},
			}},
		},
		"a template's annotations make no mirror pod": {
			text: "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n" +
				"spec: {template: {metadata: {annotations: {kubernetes.io/config.mirror: x}}}}\n",
			want: Workload{Replicas: -1},
		},
		"the template of a CronJob": {
			text: "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\n" +
				"spec: {jobTemplate: {metadata: {labels: {istio.io/rev: other}}, spec: {template: {metadata: {labels: {istio.io/rev: x}}}}}}\n",
			want: Workload{Replicas: -1, Pod: routing.Pod{Revision: label("x"), Labels: []routing.Pair{{Key: "istio.io/rev", Value: "x"}}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			set, err := Read(t.Context(), Options{Paths: []string{written(t, map[string]string{"f.yaml": tc.text})}})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, got := range All[*Workload](set) {
				n++
				if diff := cmp.Diff(&tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if n != 1 {
				t.Errorf("got %d workloads, want 1", n)
			}
		})
	}
}

func TestTheNamespaceOfObjectsThatNameNone(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{"f.yaml": fmt.Sprintf(onePod, "a") + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: one, namespace: x}\n"})
	set, err := Read(t.Context(), Options{Paths: []string{dir}, Namespace: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Namespace /one f.yaml:6", "Pod shop/a f.yaml:1"}
	if diff := cmp.Diff(want, listing(set, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGatewaysOfIstio(t *testing.T) {
	t.Parallel()
	class := func(name, controller string) string {
		return "---\napiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: " + name + "}\nspec: {controllerName: " + controller + "}\n"
	}
	dir := written(t, map[string]string{"f.yaml": class("edge", "istio.io/gateway-controller") + class("far", "istio.io/unmanaged-gateway") +
		class("nginx", "gateway.nginx.org/x") + class("istio", "example.com/mine")})
	with, err := Read(t.Context(), Options{Paths: []string{dir}})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		set   *Set
		class string
		want  bool
	}{
		"a class of its own that istiod controls":         {with, "edge", true},
		"a class that nothing controls":                   {with, "far", false},
		"a class of another implementation":               {with, "nginx", false},
		"a class of Istio's name with another controller": {with, "istio", false},
		"a class of Istio's":                              {with, "istio-waypoint", true},
		"Istio's own class":                               {&Set{}, "istio", true},
		"the class of remote gateways":                    {&Set{}, "istio-remote", false},
		"a class that is not there":                       {&Set{}, "edge", false},
		"no class":                                        {&Set{}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.set.IstioGateway(tc.class); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestResourcesNameTheirPaths(t *testing.T) {
	t.Parallel()
	paths := map[string]string{}
	for _, r := range Resources(ForRouting) {
		paths[r.Kind] = r.Path("shop")
	}
	for kind, want := range map[string]string{
		"Pod": "/api/v1/namespaces/shop/pods", "Namespace": "/api/v1/namespaces",
		"Deployment": "/apis/apps/v1/namespaces/shop/deployments", "IstioRevisionTag": "/apis/sailoperator.io/v1/istiorevisiontags",
	} {
		if got := paths[kind]; got != want {
			t.Errorf("%s: got %s, want %s", kind, got, want)
		}
	}
}

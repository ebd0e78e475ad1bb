package inventory_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func present(value string) routing.Label { return routing.Label{Value: value, Present: true} }

func TestDecode(t *testing.T) {
	const sailGroup, gatewayGroup = "sailoperator.io", "gateway.networking.k8s.io"
	ztunnel := skew.ZTunnel{
		Name: "default", Namespace: "zt", Version: "v1.30.3", Revision: "r1", OnDelete: true, GraceSeconds: 600,
	}
	const ztunnelSpec = `"spec":{"version":"v1.30.3","namespace":"zt","values":{"ztunnel":
		{"revision":"r1","updateStrategy":{"type":"OnDelete"},"terminationGracePeriodSeconds":600}}}`
	gateway := skew.Gateway{
		Namespace: "shop", Name: "w", Class: "istio-waypoint", Revision: present("prod"), WaypointFor: "all",
		InboundBinding: true, ProxyImage: "hub/proxyv2:1.29.6",
		Listeners: []skew.Listener{
			{Protocol: "HBONE", Port: 15008, From: "Selector", Selector: routing.Selector{
				{Key: "a", Operator: routing.OpIn, Values: []string{"1"}},
				{Key: "b", Operator: routing.OpIn, Values: []string{"2"}},
				{Key: "c", Operator: routing.OpExists},
			}},
			{Protocol: "HTTP", Port: 80},
		},
	}
	const gatewayRest = `"metadata":{"namespace":"shop","name":"w",
		"labels":{"istio.io/rev":"prod","istio.io/waypoint-for":"all"},
		"annotations":{"ambient.istio.io/waypoint-inbound-binding":"","sidecar.istio.io/proxyImage":"hub/proxyv2:1.29.6"}},
		"spec":{"gatewayClassName":"istio-waypoint","listeners":[
		{"name":"mesh","protocol":"HBONE","port":15008,"allowedRoutes":{"namespaces":{"from":"Selector",
		"selector":{"matchLabels":{"b":"2","a":"1"},"matchExpressions":[{"key":"c","operator":"Exists"}]}}}},
		{"name":"web","protocol":"HTTP","port":80}]}`
	const gone = `"deletionTimestamp":"2026-11-22T16:40:49Z"`
	cases := map[string]struct {
		kind schema.GroupKind
		raw  string
		want skew.Object
	}{
		"an Istio with an alias and nothing observed": {
			schema.GroupKind{Group: sailGroup, Kind: "Istio"},
			`{"metadata":{"name":"i","generation":3},"spec":{"version":"v1.30-latest","namespace":"mesh",
			"updateStrategy":{"type":"RevisionBased"}},"status":{"activeRevisionName":"i-v1-29-6","observedGeneration":2}}`,
			skew.Istio{Name: "i", Namespace: "mesh", Version: "v1.30-latest", Strategy: skew.RevisionBased, Active: "i-v1-29-6"},
		},
		"an Istio whose spec says nothing": {
			schema.GroupKind{Group: sailGroup, Kind: "Istio"},
			`{"metadata":{"name":"i"}}`,
			skew.Istio{Name: "i", Namespace: "istio-system", Observed: true},
		},
		"a remote Istio": {
			schema.GroupKind{Group: sailGroup, Kind: "Istio"},
			`{"metadata":{"name":"i",` + gone + `},"spec":{"profile":"remote"}}`,
			skew.Istio{Name: "i", Namespace: "istio-system", Observed: true, Remote: true, Deleting: true},
		},
		"an ambient Istio by OpenShift's profile": {
			schema.GroupKind{Group: sailGroup, Kind: "Istio"},
			`{"metadata":{"name":"i"},"spec":{"profile":"openshift-ambient"}}`,
			skew.Istio{Name: "i", Namespace: "istio-system", Observed: true, Ambient: true},
		},
		"an ambient Istio by its values": {
			schema.GroupKind{Group: sailGroup, Kind: "Istio"},
			`{"metadata":{"name":"i"},"spec":{"values":{"pilot":{"env":{"PILOT_ENABLE_AMBIENT":"true"}}}}}`,
			skew.Istio{Name: "i", Namespace: "istio-system", Observed: true, Ambient: true},
		},
		"an Istio with a value of a type that nobody expects": {
			schema.GroupKind{Group: sailGroup, Kind: "Istio"},
			`{"metadata":{"name":"i"},"spec":{"version":"v1.30.3","values":{"pilot":"none","profile":7}}}`,
			skew.Istio{Name: "i", Namespace: "istio-system", Version: "v1.30.3", Observed: true},
		},
		"an IstioRevision that is ready for another generation": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioRevision"},
			`{"metadata":{"name":"r","generation":2},"spec":{"version":"v1.30.3","namespace":"mesh","values":{"profile":"ambient"}},
			"status":{"observedGeneration":1,"conditions":[{"type":"Reconciled","status":"True"},{"type":"Ready","status":"True"}]}}`,
			skew.Revision{
				Revision: routing.Revision{Name: "r", Version: "v1.30.3", Namespace: "mesh", Origin: routing.Sail},
				Ambient:  true, Ready: skew.NotReady,
			},
		},
		"an IstioRevision that is ready": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioRevision"},
			`{"metadata":{"name":"r","generation":2},"spec":{"version":"v1.30.3","namespace":"mesh"},
			"status":{"observedGeneration":2,"conditions":[{"type":"Ready","status":"True"}]}}`,
			skew.Revision{
				Revision: routing.Revision{Name: "r", Version: "v1.30.3", Namespace: "mesh", Origin: routing.Sail}, Ready: skew.Ready,
			},
		},
		"an IstioRevision that nobody has looked at": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioRevision"},
			`{"metadata":{"name":"r"},"spec":{"version":"v1.30.3"}}`,
			skew.Revision{Revision: routing.Revision{Name: "r", Version: "v1.30.3", Namespace: "istio-system", Origin: routing.Sail}},
		},
		"an IstioRevisionTag": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioRevisionTag"},
			`{"metadata":{"name":"t"},"spec":{"targetRef":{"kind":"Istio","name":"i"}},"status":{"istioRevision":"r"}}`,
			skew.Tag{Tag: routing.Tag{Name: "t", Revision: "r", TargetKind: "Istio", TargetName: "i", Origin: routing.Sail}},
		},
		"an IstioRevisionTag with a rollout": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioRevisionTag"},
			`{"metadata":{"name":"t","annotations":{"revision-router.io/rollout":"r=10"}}}`,
			skew.Tag{
				Tag:   routing.Tag{Name: "t", Rollout: routing.Rollout{Revision: "r", Percent: 10}, Origin: routing.Sail},
				Share: present("r=10"),
			},
		},
		"an IstioRevisionTag with a rollout that means nothing": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioRevisionTag"},
			`{"metadata":{"name":"t","annotations":{"revision-router.io/rollout":"r=110"}}}`,
			skew.Tag{Tag: routing.Tag{Name: "t", Origin: routing.Sail}, Share: present("r=110")},
		},
		"an IstioCNI that is ambient by a value": {
			schema.GroupKind{Group: sailGroup, Kind: "IstioCNI"},
			`{"metadata":{"name":"default"},"spec":{"version":"v1.30.3","values":{"cni":{"ambient":{"enabled":true}}}}}`,
			skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.30.3", Ambient: true},
		},
		"a ZTunnel of v1alpha1": {
			schema.GroupKind{Group: sailGroup, Kind: "ZTunnel"},
			`{"apiVersion":"sailoperator.io/v1alpha1","kind":"ZTunnel","metadata":{"name":"default"},` + ztunnelSpec + `}`, ztunnel,
		},
		"a ZTunnel of v1": {
			schema.GroupKind{Group: sailGroup, Kind: "ZTunnel"},
			`{"apiVersion":"sailoperator.io/v1","kind":"ZTunnel","metadata":{"name":"default"},` + ztunnelSpec + `}`, ztunnel,
		},
		"a ZTunnel with a targetRef": {
			schema.GroupKind{Group: sailGroup, Kind: "ZTunnel"},
			`{"metadata":{"name":"default",` + gone + `},"spec":{"version":"v1.30.3","targetRef":{"kind":"Istio","name":"i"}}}`,
			skew.ZTunnel{Name: "default", Namespace: "ztunnel", Version: "v1.30.3", TargetKind: "Istio", TargetName: "i", Deleting: true},
		},
		"a Gateway of v1beta1": {
			schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"},
			`{"apiVersion":"gateway.networking.k8s.io/v1beta1","kind":"Gateway",` + gatewayRest + `}`, gateway,
		},
		"a Gateway of v1": {
			schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"},
			`{"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway",` + gatewayRest + `}`, gateway,
		},
		"a Gateway that says where it is": {
			schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"},
			`{"metadata":{"namespace":"n","name":"g",` + gone + `},"spec":{"gatewayClassName":"istio","addresses":[{"type":"Hostname","value":"x"}]}}`,
			skew.Gateway{Namespace: "n", Name: "g", Class: "istio", Unmanaged: true, Deleting: true},
		},
		"a Gateway with an address of its own": {
			schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"},
			`{"metadata":{"namespace":"n","name":"g"},"spec":{"gatewayClassName":"istio","addresses":[{"value":"1.2.3.4"}]}}`,
			skew.Gateway{Namespace: "n", Name: "g", Class: "istio"},
		},
		"a Gateway with several addresses": {
			schema.GroupKind{Group: gatewayGroup, Kind: "Gateway"},
			`{"metadata":{"namespace":"n","name":"g"},"spec":{"gatewayClassName":"istio",
			"addresses":[{"type":"IPAddress","value":"1.2.3.4"},{"type":"IPAddress","value":"1.2.3.5"}]}}`,
			skew.Gateway{Namespace: "n", Name: "g", Class: "istio", Unmanaged: true},
		},
		"a Namespace": {
			schema.GroupKind{Kind: "Namespace"},
			`{"metadata":{"name":"n","labels":{"team":"a","istio-injection":"enabled"}},"spec":{"finalizers":[]}}`,
			skew.Namespace{Name: "n", Labels: map[string]string{"team": "a", "istio-injection": "enabled"}},
		},
		"a Service": {
			schema.GroupKind{Kind: "Service"},
			`{"metadata":{"namespace":"n","name":"s","labels":{"istio.io/use-waypoint":"w"}},"spec":{"ports":[]}}`,
			skew.Consumer{Kind: skew.KindService, Namespace: "n", Name: "s", UseWaypoint: present("w")},
		},
		"a ServiceEntry that names no waypoint": {
			schema.GroupKind{Group: "networking.istio.io", Kind: "ServiceEntry"},
			`{"metadata":{"namespace":"n","name":"s"}}`,
			skew.Consumer{Kind: skew.KindServiceEntry, Namespace: "n", Name: "s"},
		},
		"a route of Services and a Gateway": {
			schema.GroupKind{Group: gatewayGroup, Kind: "HTTPRoute"},
			`{"metadata":{"namespace":"n","name":"r"},"spec":{"parentRefs":[{"name":"ingress"},
			{"group":"","kind":"Service","name":"s","port":80},{"group":"","kind":"Service","name":"s","port":81},
			{"group":"core","kind":"Service","name":"t","namespace":"n"},{"group":"networking.istio.io","kind":"ServiceEntry","name":"e"},
			{"group":"","kind":"Service","name":"u","namespace":"m"},{"group":"gateway.networking.k8s.io","kind":"Service","name":"v"},
			{"kind":"Service","name":"w"}],"rules":[{}]}}`,
			skew.Attachment{Kind: skew.KindHTTPRoute, Namespace: "n", Name: "r", Targets: []skew.Ref{
				target(skew.KindService, "s"), target(skew.KindService, "t"), target(skew.KindServiceEntry, "e"),
			}},
		},
		"a route of a Gateway alone": {
			schema.GroupKind{Group: gatewayGroup, Kind: "HTTPRoute"},
			`{"metadata":{"namespace":"n","name":"r"},"spec":{"parentRefs":[{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"g"}]}}`,
			skew.Attachment{Kind: skew.KindHTTPRoute, Namespace: "n", Name: "r"},
		},
		"a policy with targets": {
			schema.GroupKind{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
			`{"metadata":{"namespace":"n","name":"p","deletionTimestamp":"2026-11-22T16:40:49Z"},"spec":{"targetRefs":[{"kind":"Service","name":"s"},
			{"group":"gateway.networking.k8s.io","kind":"Gateway","name":"g"},{"group":"gateway.networking.k8s.io","kind":"GatewayClass","name":"c"},
			{"group":"networking.istio.io","kind":"Gateway","name":"h"},{"kind":"Service","name":"t","namespace":"m"}],
			"action":"DENY","rules":[{"to":[{"operation":{"methods":["GET"]}}]}]}}`,
			skew.Attachment{Kind: skew.KindAuthorizationPolicy, Namespace: "n", Name: "p", Deleting: true, Targets: []skew.Ref{
				target(skew.KindService, "s"), target(skew.KindGateway, "g"), {Kind: skew.KindGatewayClass, Name: "c"},
			}},
		},
		"a policy with the one target of older versions": {
			schema.GroupKind{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
			`{"metadata":{"namespace":"n","name":"p"},"spec":{"targetRef":{"group":"","kind":"Service","name":"s"}}}`,
			skew.Attachment{Kind: skew.KindAuthorizationPolicy, Namespace: "n", Name: "p", Targets: []skew.Ref{target(skew.KindService, "s")}},
		},
		"a policy that selects pods": {
			schema.GroupKind{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
			`{"metadata":{"namespace":"n","name":"p"},"spec":{"selector":{"matchLabels":{"app":"a"}},"rules":[{}]}}`,
			skew.Attachment{Kind: skew.KindAuthorizationPolicy, Namespace: "n", Name: "p"},
		},
		"a WorkloadEntry": {
			schema.GroupKind{Group: "networking.istio.io", Kind: "WorkloadEntry"},
			`{"metadata":{"namespace":"n","name":"s","labels":{"istio.io/use-waypoint":"w","istio.io/use-waypoint-namespace":"m"}}}`,
			skew.Consumer{Kind: skew.KindWorkloadEntry, Namespace: "n", Name: "s", UseWaypoint: present("w"), UseWaypointNamespace: present("m")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if !inventory.Knows(tc.kind) {
				t.Fatalf("%s is not known", tc.kind)
			}
			got, err := inventory.Decode(tc.kind, []byte(tc.raw))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, unread()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// target is something in namespace n.
func target(kind skew.Kind, name string) skew.Ref {
	return skew.Ref{Kind: kind, Namespace: "n", Name: name}
}

func TestDecodeRefuses(t *testing.T) {
	cases := map[string]struct {
		kind schema.GroupKind
		raw  string
		want string
	}{
		"a kind that no rule looks at":  {schema.GroupKind{Kind: "Secret"}, `{}`, "no rule looks at objects of kind Secret"},
		"a kind of another group":       {schema.GroupKind{Group: "gateway.example.com", Kind: "Gateway"}, `{}`, "no rule looks at"},
		"what is no JSON":               {schema.GroupKind{Kind: "Namespace"}, `{`, "read an object of kind Namespace"},
		"a field of an impossible type": {schema.GroupKind{Group: "sailoperator.io", Kind: "Istio"}, `{"spec":{"version":1.3}}`, "read an object of kind Istio.sailoperator.io"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := inventory.Decode(tc.kind, []byte(tc.raw)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %+v, %v; want an error with %q", got, err, tc.want)
			}
		})
	}
	if inventory.Knows(schema.GroupKind{Kind: "Secret"}) {
		t.Error("Secrets are known")
	}
}

func TestOverride(t *testing.T) {
	cases := map[string]struct {
		raw  string
		want routing.Label
	}{
		"no annotations":    {`{"metadata":{"name":"a"}}`, routing.Label{}},
		"no such one":       {`{"metadata":{"annotations":{"a":"b"}}}`, routing.Label{}},
		"a reason":          {`{"metadata":{"annotations":{"revision-router.io/override":"drill 7"}}}`, present("drill 7")},
		"no reason":         {`{"metadata":{"annotations":{"revision-router.io/override":""}}}`, present("")},
		"a label is no use": {`{"metadata":{"labels":{"revision-router.io/override":"drill"}}}`, routing.Label{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got, err := inventory.Override([]byte(tc.raw)); err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
	if _, err := inventory.Override([]byte(`[]`)); err == nil {
		t.Error("what is no object has no error")
	}
}

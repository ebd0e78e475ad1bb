package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func edited(g skew.Gateway, edit func(*skew.Gateway)) skew.Gateway {
	edit(&g)
	return g
}

func rev(value string) routing.Label { return routing.Label{Value: value, Present: true} }

func TestGateways(t *testing.T) {
	mesh := with(revisionBased("v1.30.3"), func(m *skew.Mesh) {
		m.GatewayClasses = []skew.GatewayClass{
			{Name: "our-waypoint", Controller: "istio.io/mesh-controller"}, {Name: "nginx", Controller: "nginx.org/gateway-controller"},
		}
	})
	tagged := with(mesh, func(m *skew.Mesh) { m.Tags = []routing.Tag{tag("default", "Istio", "default", "default-v1-30-3").Tag} })
	waypoint := waypointGateway("bookinfo", "waypoint")
	labelled := edited(waypoint, func(g *skew.Gateway) { g.Revision = rev("default-v1-30-3") })
	pin := func(version string) skew.Change {
		return create(edited(labelled, func(g *skew.Gateway) { g.ProxyImage = "hub.example/istio/proxyv2:" + version }))
	}
	run(t, map[string]tc{
		"a waypoint with the revision of its owner": {mesh: mesh, change: create(labelled)},
		"a waypoint without a label has no owner where nothing is named default": {
			mesh: mesh, change: create(waypoint), want: []string{"Deny GatewayOwner"},
			says: []string{"GatewayOwner: no revision would adopt Gateway bookinfo/waypoint", "Label the Gateway istio.io/rev with one of default-v1-30-3"},
		},
		"the default tag owns it":      {mesh: tagged, change: create(waypoint)},
		"the default revision owns it": {mesh: inPlace("v1.30.3"), change: create(waypoint)},
		"its namespace's label gives it one": {mesh: with(mesh, func(m *skew.Mesh) {
			m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-30-3")}
		}), change: create(waypoint)},
		"istio-injection gives it none":       {mesh: with(mesh, func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")} }), change: create(waypoint), want: []string{"Deny GatewayOwner"}},
		"a namespace's label that names none": {mesh: with(mesh, func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=gone")} }), change: create(waypoint), want: []string{"Deny GatewayOwner"}, says: []string{"istio.io/rev=gone of namespace bookinfo names none"}},
		"without a mesh it warns":             {change: create(waypoint), want: []string{"Warn GatewayOwner"}},
		"an unknown revision":                 {mesh: tagged, change: create(edited(waypoint, func(g *skew.Gateway) { g.Revision = rev("gone") })), want: []string{"Deny UnknownRevisionLabel"}},
		"an empty label falls through":        {mesh: tagged, change: create(edited(waypoint, func(g *skew.Gateway) { g.Revision = rev("") }))},
		"a custom class of the same controller": {
			mesh: mesh, change: create(edited(waypoint, func(g *skew.Gateway) { g.Class = "our-waypoint" })), want: []string{"Deny GatewayOwner"},
		},
		"a class of somebody else":  {mesh: mesh, change: create(edited(waypoint, func(g *skew.Gateway) { g.Class, g.Revision = "nginx", rev("gone") }))},
		"a class that is not known": {mesh: mesh, change: create(edited(waypoint, func(g *skew.Gateway) { g.Class = "what" }))},
		"an unmanaged Gateway":      {mesh: mesh, change: create(edited(waypoint, func(g *skew.Gateway) { g.Unmanaged = true }))},
		"an orphan may be repaired in parts": {
			mesh:   with(mesh, func(m *skew.Mesh) { m.Gateways = []skew.Gateway{waypoint} }),
			change: update(waypoint, edited(waypoint, func(g *skew.Gateway) { g.WaypointFor = "all" })),
		},
		"a namespace that drops the label orphans its Gateways": {
			mesh: with(mesh, func(m *skew.Mesh) {
				m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-30-3")}
				m.Gateways = []skew.Gateway{waypoint}
			}),
			change: update(namespace("bookinfo", "istio.io/rev=default-v1-30-3"), namespace("bookinfo")), want: []string{"Deny GatewayOwner"},
		},
		"an image pinned to the same minor": {mesh: mesh, change: pin("1.30.1")},
		"an image pinned one minor back":    {mesh: mesh, change: pin("1.29.6-distroless")},
		"an image pinned two minors back": {
			mesh: mesh, change: pin("1.28.5"), want: []string{"Deny DataPlaneBehind"},
			says: []string{"DataPlaneBehind: Gateway bookinfo/waypoint pins its proxy to v1.28.5, behind revision default-v1-30-3 (v1.30.3) by more than one minor version. Remove the pinned image"},
		},
		"an image pinned ahead":           {mesh: mesh, change: pin("1.31.0-beta.1"), want: []string{"Deny DataPlaneAhead"}},
		"an image pinned by digest warns": {mesh: mesh, change: create(edited(labelled, func(g *skew.Gateway) { g.ProxyImage = "hub.example/proxyv2@sha256:0123" })), want: []string{"Warn UnknownVersion"}},
		"a pinned Gateway that moves to a revision too new": {
			mesh: revisionBased("v1.28.5", "v1.30.3"),
			change: update(
				edited(waypoint, func(g *skew.Gateway) { g.Revision, g.ProxyImage = rev("default-v1-28-5"), "proxyv2:1.28.5" }),
				edited(waypoint, func(g *skew.Gateway) { g.Revision, g.ProxyImage = rev("default-v1-30-3"), "proxyv2:1.28.5" })),
			want: []string{"Deny DataPlaneBehind"},
		},
	})
}

func TestWaypointReferences(t *testing.T) {
	mesh := ambient("v1.30.3")
	all := edited(waypointGateway("infra", "shared"), func(g *skew.Gateway) {
		g.Listeners = []skew.Listener{{Protocol: "HTTP", Port: 80}, {Protocol: "HBONE", Port: 15008, From: "All"}}
	})
	selected := edited(waypointGateway("infra", "selected"), func(g *skew.Gateway) {
		g.Listeners = []skew.Listener{{
			Protocol: "HBONE", Port: 15008, From: "Selector",
			Selector: routing.Selector{{Key: "team", Operator: routing.OpIn, Values: []string{"a"}}},
		}}
	})
	mesh.Gateways = []skew.Gateway{
		waypointGateway("bookinfo", "waypoint"), waypointGateway("infra", "same"), all, selected,
		edited(waypointGateway("bookinfo", "ingress"), func(g *skew.Gateway) { g.Class = "istio" }),
		edited(waypointGateway("bookinfo", "going"), func(g *skew.Gateway) { g.Deleting = true }),
		edited(waypointGateway("bookinfo", "nothing"), func(g *skew.Gateway) { g.WaypointFor = "none" }),
		edited(waypointGateway("bookinfo", "custom"), func(g *skew.Gateway) { g.Class = "our-waypoint" }),
		edited(waypointGateway("bookinfo", "sandwich"), func(g *skew.Gateway) { g.Class, g.Listeners, g.InboundBinding = "other", nil, true }),
		edited(waypointGateway("bookinfo", "foreign"), func(g *skew.Gateway) { g.Class, g.Listeners = "other", nil }),
	}
	mesh.GatewayClasses = []skew.GatewayClass{{Name: "our-waypoint", Controller: "istio.io/mesh-controller", WaypointFor: "all"}}
	use := func(labels ...string) skew.Change {
		return update(namespace("bookinfo"), namespace("bookinfo", labels...))
	}
	service := func(name string) skew.Consumer {
		return skew.Consumer{Kind: skew.KindService, Namespace: "bookinfo", Name: "reviews", UseWaypoint: rev(name)}
	}
	pod := func(name string) skew.Consumer {
		return skew.Consumer{Kind: skew.KindPod, Namespace: "bookinfo", Name: "reviews-1", UseWaypoint: rev(name)}
	}
	other := func(name string) []string {
		return []string{"istio.io/use-waypoint=" + name, "istio.io/use-waypoint-namespace=infra"}
	}
	deny, warn := []string{"Deny WaypointMissing"}, []string{"Warn WaypointMissing"}
	run(t, map[string]tc{
		"a waypoint of the same namespace": {mesh: mesh, change: use("istio.io/use-waypoint=waypoint")},
		"a missing one": {mesh: mesh, change: use("istio.io/use-waypoint=gone"), want: deny, says: []string{
			"WaypointMissing: Namespace bookinfo names waypoint bookinfo/gone, which does not exist", "istioctl waypoint apply -n bookinfo --name gone",
		}},
		"one of another namespace without saying so": {mesh: mesh, change: use("istio.io/use-waypoint=shared"), want: deny},
		"a cross-namespace pair":                     {mesh: mesh, change: use(other("shared")...)},
		"a cross-namespace pair that is missing":     {mesh: mesh, change: use(other("gone")...), want: deny, says: []string{"infra/gone"}},
		"allowedRoutes Same":                         {mesh: mesh, change: use(other("same")...), want: deny, says: []string{"admits no routes from namespace bookinfo"}},
		"allowedRoutes Selector that does not match": {mesh: mesh, change: use(other("selected")...), want: deny},
		"allowedRoutes Selector that matches":        {mesh: mesh, change: use(append(other("selected"), "team=a")...)},
		"only use-waypoint-namespace":                {mesh: mesh, change: use("istio.io/use-waypoint-namespace=infra"), want: warn},
		"none opts out":                              {mesh: mesh, change: use("istio.io/use-waypoint=none")},
		"an empty name":                              {mesh: mesh, change: use("istio.io/use-waypoint="), want: deny, says: []string{"has an empty istio.io/use-waypoint"}},
		"a Gateway of the wrong class":               {mesh: mesh, change: use("istio.io/use-waypoint=ingress"), want: deny, says: []string{"no waypoint but a Gateway of class istio"}},
		"a Gateway that is being deleted":            {mesh: mesh, change: use("istio.io/use-waypoint=going"), want: deny},
		"a waypoint for nothing":                     {mesh: mesh, change: use("istio.io/use-waypoint=nothing"), want: deny, says: []string{"istio.io/waypoint-for=none"}},
		"a custom class of the same controller":      {mesh: mesh, change: use("istio.io/use-waypoint=custom")},
		"another implementation with a binding":      {mesh: mesh, change: use("istio.io/use-waypoint=sandwich")},
		"another implementation without HBONE":       {mesh: mesh, change: use("istio.io/use-waypoint=foreign"), want: deny},
		"a new namespace whose waypoint follows": {
			mesh: mesh, change: create(namespace("new", "istio.io/use-waypoint=waypoint")), want: warn,
		},
		"a new namespace whose waypoint is elsewhere": {
			mesh: mesh, change: create(namespace("new", other("gone")...)), want: deny,
		},
		"a missing one that was missing before": {
			mesh: mesh, change: update(namespace("bookinfo", "istio.io/use-waypoint=gone"), namespace("bookinfo", "istio.io/use-waypoint=gone", "a=b")),
		},
		"from one that is missing to another": {
			mesh: mesh, change: update(namespace("bookinfo", "istio.io/use-waypoint=gone"), namespace("bookinfo", "istio.io/use-waypoint=away")), want: deny,
		},
		"a Service that names a missing one":     {mesh: mesh, change: create(service("gone")), want: warn},
		"a Service with a waypoint for services": {mesh: mesh, change: create(service("waypoint"))},
		"a Pod with a waypoint for services":     {mesh: mesh, change: create(pod("waypoint")), want: warn, says: []string{"istio.io/waypoint-for=service"}},
		"a Pod with a class that serves all":     {mesh: mesh, change: create(pod("custom"))},
		"a namespace label that a selector needed": {
			mesh: with(mesh, func(m *skew.Mesh) {
				m.Consumers = []skew.Consumer{{Kind: skew.KindService, Namespace: "bookinfo", Name: "reviews", UseWaypoint: rev("selected"), UseWaypointNamespace: rev("infra")}}
			}),
			change: update(namespace("bookinfo", "team=a"), namespace("bookinfo")), want: warn,
		},
	})
}

func terminating(name string) skew.Namespace {
	n := namespace(name)
	n.Deleting = true
	return n
}

// What is in a namespace goes with it, and is not judged as if it stayed behind without the namespace's labels.
func TestDeletionOfANamespaceWithADataPlane(t *testing.T) {
	pinned := edited(waypointGateway("bookinfo", "waypoint"), func(g *skew.Gateway) { g.ProxyImage = "proxyv2:1.28.5" })
	mesh := with(revisionBased("v1.28.5", "v1.30.3"), func(m *skew.Mesh) {
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-28-5")}
		m.Tags = []routing.Tag{tag("default", "IstioRevision", "default-v1-30-3", "default-v1-30-3").Tag}
		m.Gateways = []skew.Gateway{pinned}
		labelled := deployment("bookinfo", "reviews", "default-v1-28-5", "v1.28.5")
		labelled.Label = "default"
		m.Workloads = []skew.Workload{labelled}
	})
	run(t, map[string]tc{
		"of a revision that is not the default": {mesh: mesh, change: remove(mesh.Namespaces[0])},
		"while its label goes, they are judged": {
			mesh: mesh, change: update(mesh.Namespaces[0], namespace("bookinfo")), want: []string{"Deny DataPlaneBehind"},
		},
	})
}

func TestWaypointInUse(t *testing.T) {
	mesh := ambient("v1.30.3")
	waypoint := edited(waypointGateway("infra", "waypoint"), func(g *skew.Gateway) { g.Listeners[0].From = "All" })
	mesh.Gateways = []skew.Gateway{waypoint}
	byNamespace := with(mesh, func(m *skew.Mesh) {
		m.Namespaces = []skew.Namespace{namespace("infra"), namespace("bookinfo", "istio.io/use-waypoint=waypoint", "istio.io/use-waypoint-namespace=infra")}
	})
	byService := with(mesh, func(m *skew.Mesh) {
		m.Consumers = []skew.Consumer{{Kind: skew.KindService, Namespace: "shop", Name: "cart", UseWaypoint: rev("waypoint"), UseWaypointNamespace: rev("infra")}}
	})
	narrowed := edited(waypoint, func(g *skew.Gateway) { g.Listeners = []skew.Listener{{Protocol: "HBONE", Port: 15008}} })
	run(t, map[string]tc{
		"deletion while a namespace elsewhere uses it": {
			mesh: byNamespace, change: remove(waypoint), want: []string{"Deny WaypointInUseDelete"},
			says: []string{"WaypointInUseDelete: Gateway infra/waypoint is still used by Namespace bookinfo", "kubectl label namespace bookinfo istio.io/use-waypoint- istio.io/use-waypoint-namespace-"},
		},
		"deletion while a Service elsewhere uses it": {
			mesh: byService, change: remove(waypoint), want: []string{"Deny WaypointInUseDelete"},
			says: []string{"Service shop/cart", "kubectl label service cart -n shop"},
		},
		"deletion while nobody uses it":                         {mesh: mesh, change: remove(waypoint)},
		"deletion of its namespace while one elsewhere uses it": {mesh: byNamespace, change: remove(namespace("infra")), want: []string{"Deny WaypointInUseDelete"}},
		"deletion of the namespace that uses it":                {mesh: byNamespace, change: remove(byNamespace.Namespaces[1])},
		"deletion of its namespace, which alone uses it": {
			mesh: with(byNamespace, func(m *skew.Mesh) {
				m.Namespaces = []skew.Namespace{namespace("infra", "istio.io/use-waypoint=waypoint")}
				m.Consumers = []skew.Consumer{{Kind: skew.KindService, Namespace: "infra", Name: "cart", UseWaypoint: rev("waypoint")}}
			}),
			change: remove(namespace("infra", "istio.io/use-waypoint=waypoint")),
		},
		"a second deletion of its namespace": {mesh: byNamespace, change: remove(terminating("infra"))},
		"deletion in a namespace that is being deleted": {
			mesh:   with(byNamespace, func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{terminating("infra"), m.Namespaces[1]} }),
			change: remove(waypoint),
		},
		"deletion while a Service of a namespace that is being deleted uses it": {
			mesh:   with(byService, func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{terminating("shop")} }),
			change: remove(waypoint),
		},
		"the controllers of Kubernetes may be one user": {
			mesh: byNamespace, change: by("system:kube-controller-manager", remove(waypoint)), want: []string{"Warn WaypointInUseDelete"},
		},
		"the namespace controller finishes what was admitted": {
			mesh: byNamespace, want: []string{"Warn WaypointInUseDelete"},
			change: skew.Change{Operation: skew.Delete, Old: waypoint, User: "system:serviceaccount:kube-system:namespace-controller"},
		},
		"narrowing allowedRoutes under a user": {
			mesh: byNamespace, change: update(waypoint, narrowed), want: []string{"Deny WaypointMissing"},
			says: []string{"Gateway infra/waypoint would no longer serve Namespace bookinfo"},
		},
		"narrowing allowedRoutes without users":   {mesh: mesh, change: update(waypoint, narrowed)},
		"turning it into an ingress under a user": {mesh: byService, change: update(waypoint, edited(waypoint, func(g *skew.Gateway) { g.Class = "istio" })), want: []string{"Deny WaypointMissing"}},
	})
}

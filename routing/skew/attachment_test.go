package skew_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing/skew"
)

func service(ns, name string) skew.Ref {
	return skew.Ref{Kind: skew.KindService, Namespace: ns, Name: name}
}

// authorization is the AuthorizationPolicy of the update guide, 3.5.
func authorization(targets ...skew.Ref) skew.Attachment {
	return skew.Attachment{
		Kind: skew.KindAuthorizationPolicy, Namespace: "bookinfo", Name: "productpage-waypoint", Targets: targets,
	}
}

// route is the HTTPRoute of the update guide, 3.4.
func route(targets ...skew.Ref) skew.Attachment {
	return skew.Attachment{Kind: skew.KindHTTPRoute, Namespace: "bookinfo", Name: "reviews", Targets: targets}
}

// attachedMesh is an ambient mesh whose namespace bookinfo has these labels besides, and which has waypoints of every sort.
func attachedMesh(labels ...string) skew.Mesh {
	return with(ambient("v1.30.3"), func(m *skew.Mesh) {
		m.Namespaces = []skew.Namespace{
			namespace("bookinfo", append(labels, "istio.io/dataplane-mode=ambient")...), namespace("infra"),
			namespace("sidecars", "istio-injection=enabled"),
		}
		m.Gateways = []skew.Gateway{
			waypointGateway("bookinfo", "waypoint"), waypointGateway("infra", "closed"),
			edited(waypointGateway("infra", "shared"), func(g *skew.Gateway) {
				g.Listeners = []skew.Listener{{Protocol: "HBONE", Port: 15008, From: "All"}}
			}),
			edited(waypointGateway("bookinfo", "ingress"), func(g *skew.Gateway) { g.Class = "istio" }),
			edited(waypointGateway("bookinfo", "workloads"), func(g *skew.Gateway) { g.WaypointFor = "workload" }),
			edited(waypointGateway("bookinfo", "going"), func(g *skew.Gateway) { g.Deleting = true }),
			edited(waypointGateway("bookinfo", "theirs"), func(g *skew.Gateway) { g.Class, g.Listeners = "nginx", nil }),
		}
		m.GatewayClasses = []skew.GatewayClass{
			{Name: "nginx", Controller: "nginx.org/gateway-controller"}, {Name: "ours", Controller: "istio.io/mesh-controller"},
		}
	})
}

func of(kind skew.Kind, ns, name string) skew.Ref {
	return skew.Ref{Kind: kind, Namespace: ns, Name: name}
}

// consumer is a Service that names its waypoint itself.
func consumer(name, waypoint string) skew.Consumer {
	return skew.Consumer{Kind: skew.KindService, Namespace: "bookinfo", Name: name, UseWaypoint: rev(waypoint)}
}

func having(m skew.Mesh, consumers ...skew.Consumer) skew.Mesh {
	m.Consumers = consumers
	return m
}

func TestWhatIsAttachedNeedsAWaypoint(t *testing.T) {
	warn := []string{"Warn WaypointPolicy"}
	const byNamespace = "istio.io/use-waypoint=waypoint"
	policy := create(authorization(service("bookinfo", "productpage")))
	routed := create(route(service("bookinfo", "reviews")))
	on := func(target skew.Ref) skew.Change { return create(authorization(target)) }
	run(t, map[string]tc{
		"a policy for a Service whose namespace names a waypoint": {mesh: attachedMesh(byNamespace), change: policy},
		"a policy for a Service that names one itself":            {mesh: having(attachedMesh(), consumer("productpage", "waypoint")), change: policy},
		"a policy for a Service without any": {mesh: attachedMesh(), change: policy, want: warn, says: []string{
			"WaypointPolicy: traffic bypasses AuthorizationPolicy bookinfo/productpage-waypoint: Service bookinfo/productpage has no waypoint, ",
			"because neither it nor its namespace has the label istio.io/use-waypoint. ",
			"Give Service bookinfo/productpage a waypoint: kubectl label service productpage -n bookinfo istio.io/use-waypoint=waypoint istio.io/use-waypoint-namespace=bookinfo --overwrite.",
		}},
		"another Service names one": {mesh: having(attachedMesh(), consumer("ratings", "waypoint")), change: policy, want: warn},
		"a Service that opts out of its namespace's": {
			mesh: having(attachedMesh(byNamespace), consumer("productpage", "none")), change: policy, want: warn,
			says: []string{"Service bookinfo/productpage opts out of waypoints with istio.io/use-waypoint=none"},
		},
		"a namespace that opts out": {mesh: attachedMesh("istio.io/use-waypoint=none"), change: policy, want: warn, says: []string{"Namespace bookinfo opts out"}},
		"a Service does not fall back on its namespace's": {
			mesh: having(attachedMesh(byNamespace), consumer("productpage", "waypont")), change: policy, want: warn,
			says: []string{
				": Service bookinfo/productpage names waypoint bookinfo/waypont, which does not exist. Create it first: istioctl waypoint apply -n bookinfo --name waypont.",
			},
		},
		"a waypoint that is being deleted": {mesh: attachedMesh("istio.io/use-waypoint=going"), change: policy, want: warn},
		"a Gateway that is no waypoint": {
			mesh: attachedMesh("istio.io/use-waypoint=ingress"), change: policy, want: warn,
			says: []string{
				"Namespace bookinfo names waypoint bookinfo/ingress, which is no waypoint but a Gateway of class istio. Name one: " +
					"kubectl label namespace bookinfo istio.io/use-waypoint=waypoint istio.io/use-waypoint-namespace=bookinfo --overwrite.",
			},
		},
		"a waypoint for workloads, which a namespace may name but no Service goes through": {
			mesh: attachedMesh("istio.io/use-waypoint=workloads"), change: policy, want: warn,
			says: []string{"serves other traffic (istio.io/waypoint-for=workload)"},
		},
		"a waypoint of another namespace": {
			mesh: attachedMesh("istio.io/use-waypoint=shared", "istio.io/use-waypoint-namespace=infra"), change: policy,
		},
		"a waypoint of another namespace that admits its own alone": {
			mesh: attachedMesh("istio.io/use-waypoint=closed", "istio.io/use-waypoint-namespace=infra"), change: policy, want: warn,
		},
		"half of a pair": {mesh: attachedMesh("istio.io/use-waypoint=shared"), change: policy, want: warn},
		"the namespace of a pair alone": {
			mesh: attachedMesh("istio.io/use-waypoint-namespace=infra"), change: policy, want: warn,
		},
		"a ServiceEntry like a Service": {mesh: attachedMesh(), change: on(of(skew.KindServiceEntry, "bookinfo", "db")), want: warn},
		"sidecars pass over a policy with targetRefs": {
			mesh: attachedMesh(), want: warn,
			change: create(skew.Attachment{
				Kind: skew.KindAuthorizationPolicy, Namespace: "sidecars", Name: "p", Targets: []skew.Ref{service("sidecars", "s")},
			}),
		},
		"a policy without targetRefs": {mesh: attachedMesh(), change: on(skew.Ref{})},
		"two targets, one of which has a waypoint": {
			mesh: having(attachedMesh(), consumer("productpage", "waypoint")), want: warn,
			change: create(authorization(service("bookinfo", "productpage"), service("bookinfo", "ratings"))),
			says:   []string{"Service bookinfo/ratings has no waypoint"},
		},
		"a route for a Service with a waypoint": {mesh: attachedMesh(byNamespace), change: routed},
		"a route for a Service without one": {
			mesh: attachedMesh(), change: routed, want: warn, says: []string{"traffic bypasses HTTPRoute bookinfo/reviews: Service bookinfo/reviews"},
		},
		"a route where sidecars are": {
			mesh:   attachedMesh(),
			change: create(skew.Attachment{Kind: skew.KindHTTPRoute, Namespace: "sidecars", Name: "r", Targets: []skew.Ref{service("sidecars", "s")}}),
		},
		"a route in an ambient namespace that is injected": {
			mesh: with(attachedMesh(), func(m *skew.Mesh) {
				m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/dataplane-mode=ambient", "istio.io/rev=default")}
			}),
			change: routed,
		},
		"a Gateway for ingress":             {mesh: attachedMesh(), change: on(of(skew.KindGateway, "bookinfo", "ingress"))},
		"a Gateway of somebody else":        {mesh: attachedMesh(), change: on(of(skew.KindGateway, "bookinfo", "theirs"))},
		"a waypoint that is used":           {mesh: attachedMesh(byNamespace), change: on(of(skew.KindGateway, "bookinfo", "waypoint"))},
		"a waypoint that a Service uses":    {mesh: having(attachedMesh(), consumer("ratings", "waypoint")), change: on(of(skew.KindGateway, "bookinfo", "waypoint"))},
		"a waypoint that nobody uses":       {mesh: attachedMesh(), change: on(of(skew.KindGateway, "bookinfo", "waypoint")), want: warn, says: []string{"nothing names waypoint bookinfo/waypoint in istio.io/use-waypoint"}},
		"a Gateway that does not exist":     {mesh: attachedMesh(), change: on(of(skew.KindGateway, "bookinfo", "waypont")), want: warn, says: []string{"Gateway bookinfo/waypont does not exist"}},
		"a Gateway that is being deleted":   {mesh: attachedMesh(), change: on(of(skew.KindGateway, "bookinfo", "going")), want: warn},
		"the class of waypoints":            {mesh: attachedMesh(), change: on(of(skew.KindGatewayClass, "", "istio-waypoint"))},
		"the class of ingress gateways":     {mesh: attachedMesh(), change: on(of(skew.KindGatewayClass, "", "istio")), want: warn},
		"another class of waypoints":        {mesh: attachedMesh(), change: on(of(skew.KindGatewayClass, "", "ours")), want: warn, says: []string{"GatewayClass ours is not istio-waypoint"}},
		"a class of somebody else":          {mesh: attachedMesh(), change: on(of(skew.KindGatewayClass, "", "nginx"))},
		"a class that does not exist":       {mesh: attachedMesh(), change: on(of(skew.KindGatewayClass, "", "istio-waypont")), want: warn, says: []string{"there is no GatewayClass istio-waypont. Name GatewayClass istio-waypoint."}},
		"a policy of level Deny refuses it": {mesh: attachedMesh(), change: policy, policy: &skew.Policy{Levels: map[skew.Rule]skew.Level{skew.WaypointPolicy: skew.Deny}}, want: []string{"Deny WaypointPolicy"}},
	})
}

func TestAnUpdateOfWhatIsAttachedIsJudgedByWhatItAdds(t *testing.T) {
	warn := []string{"Warn WaypointPolicy"}
	productpage, ratings := service("bookinfo", "productpage"), service("bookinfo", "ratings")
	mesh := with(attachedMesh(), func(m *skew.Mesh) { m.Attachments = []skew.Attachment{authorization(productpage)} })
	run(t, map[string]tc{
		"nothing changes":       {mesh: mesh, change: update(authorization(productpage), authorization(productpage))},
		"a target is added":     {mesh: mesh, change: update(authorization(productpage), authorization(productpage, ratings)), want: warn, says: []string{"bookinfo/ratings"}},
		"the target is another": {mesh: mesh, change: update(authorization(productpage), authorization(ratings)), want: warn},
		"the old target had a waypoint": {
			mesh: having(mesh, consumer("productpage", "waypoint")), change: update(authorization(productpage), authorization(ratings)), want: warn,
		},
		"the new target has one": {mesh: having(mesh, consumer("ratings", "waypoint")), change: update(authorization(productpage), authorization(ratings))},
		"it loses its targets":   {mesh: mesh, change: update(authorization(productpage), authorization())},
		"it is deleted":          {mesh: mesh, change: remove(authorization(productpage))},
	})
}

func TestAWaypointIsTakenFromWhatIsAttached(t *testing.T) {
	const byNamespace = "istio.io/use-waypoint=waypoint"
	warn := []string{"Warn WaypointPolicy"}
	attached := []skew.Attachment{authorization(service("bookinfo", "productpage")), route(service("bookinfo", "reviews"))}
	put := func(m skew.Mesh, a ...skew.Attachment) skew.Mesh {
		m.Attachments = a
		return m
	}
	mesh := put(attachedMesh(byNamespace), attached...)
	label := func(m skew.Mesh, labels ...string) skew.Change {
		return update(m.Namespaces[0], namespace("bookinfo", labels...))
	}
	const flat = "istio.io/dataplane-mode=ambient"
	byService := put(having(attachedMesh(), consumer("productpage", "waypoint")), attached[0])
	shared := put(attachedMesh("istio.io/use-waypoint=shared", "istio.io/use-waypoint-namespace=infra"), attached...)
	onGateway := put(attachedMesh(byNamespace), authorization(of(skew.KindGateway, "bookinfo", "waypoint")))
	sidecar := put(attachedMesh(), route(service("bookinfo", "reviews")))
	sidecar.Namespaces[0] = namespace("bookinfo", "istio-injection=enabled")
	run(t, map[string]tc{
		"a namespace drops its waypoint": {
			mesh: mesh, change: label(mesh, flat), want: warn,
			says: []string{
				"WaypointPolicy: traffic would bypass AuthorizationPolicy bookinfo/productpage-waypoint and HTTPRoute bookinfo/reviews: " +
					"among others, Service bookinfo/productpage has no waypoint, ",
				"Give them another waypoint first: kubectl label service productpage -n bookinfo istio.io/use-waypoint=waypoint",
			},
		},
		"a namespace changes its waypoint": {
			mesh: mesh, change: label(mesh, flat, "istio.io/use-waypoint=shared", "istio.io/use-waypoint-namespace=infra"),
		},
		"a namespace names one that does not exist": {
			mesh: mesh, change: label(mesh, flat, "istio.io/use-waypoint=waypont"), want: []string{"Deny WaypointMissing", "Warn WaypointPolicy"},
		},
		"a namespace drops its waypoint, which what is attached does not need": {
			mesh:   put(having(attachedMesh(byNamespace), consumer("productpage", "waypoint")), attached[0]),
			change: label(mesh, flat),
		},
		"a namespace drops its waypoint where nothing is attached": {mesh: attachedMesh(byNamespace), change: label(mesh, flat)},
		"what had none before is not told again": {
			mesh: put(attachedMesh(), attached...), change: label(attachedMesh(), flat, "istio.io/use-waypoint=none"),
		},
		"a namespace with routes becomes ambient": {
			mesh: sidecar, change: update(sidecar.Namespaces[0], namespace("bookinfo", flat)), want: warn,
			says: []string{"traffic would bypass HTTPRoute bookinfo/reviews"},
		},
		"a Service drops its waypoint": {
			mesh: byService, change: update(consumer("productpage", "waypoint"), skew.Consumer{Kind: skew.KindService, Namespace: "bookinfo", Name: "productpage"}),
			want: warn,
		},
		"a Service opts out":   {mesh: mesh, change: create(consumer("productpage", "none")), want: warn},
		"a Service is deleted": {mesh: byService, change: remove(consumer("productpage", "waypoint"))},
		"its waypoint is deleted": {
			mesh: mesh, change: remove(mesh.Gateways[0]), want: []string{"Deny WaypointInUseDelete", "Warn WaypointPolicy"},
		},
		"a waypoint that nobody uses is deleted": {mesh: mesh, change: remove(mesh.Gateways[2])},
		"its waypoint becomes one for workloads": {
			mesh: mesh, change: update(mesh.Gateways[0], edited(mesh.Gateways[0], func(g *skew.Gateway) { g.WaypointFor = "workload" })), want: warn,
			says: []string{"serves other traffic", "istio.io/use-waypoint=shared istio.io/use-waypoint-namespace=infra"},
		},
		"a waypoint is closed to its namespace": {
			mesh: shared, change: update(shared.Gateways[2], edited(shared.Gateways[2], func(g *skew.Gateway) { g.Listeners = waypointGateway("", "").Listeners })),
			want: []string{"Deny WaypointMissing", "Warn WaypointPolicy"},
		},
		"the namespace of its waypoint is deleted": {
			mesh: shared, change: remove(namespace("infra")), want: []string{"Deny WaypointInUseDelete", "Warn WaypointPolicy"},
		},
		"its own namespace is deleted": {mesh: mesh, change: remove(mesh.Namespaces[0])},
		"the last user leaves the waypoint that a policy is attached to": {
			mesh: onGateway, change: label(onGateway, flat), want: warn,
			says: []string{"nothing names waypoint bookinfo/waypoint", "Attach them to something else first."},
		},
	})
}

func TestStatusTellsWhatTrafficBypasses(t *testing.T) {
	mesh := attachedMesh()
	mesh.Attachments = []skew.Attachment{
		route(service("bookinfo", "reviews")), authorization(service("bookinfo", "productpage"), service("bookinfo", "ratings")),
		{Kind: skew.KindHTTPRoute, Namespace: "sidecars", Name: "ok", Targets: []skew.Ref{service("sidecars", "s")}},
		{Kind: skew.KindHTTPRoute, Namespace: "bookinfo", Name: "going", Targets: []skew.Ref{service("bookinfo", "s")}, Deleting: true},
	}
	mesh = having(mesh, consumer("productpage", "waypoint"))
	var got [][]skew.Ref
	for _, o := range skew.Examine(&mesh, skew.DefaultPolicy()).Observations {
		if o.Rule != skew.WaypointPolicy {
			t.Errorf("unexpected: %+v", o)
		}
		got = append(got, o.Objects)
	}
	want := [][]skew.Ref{
		{of(skew.KindAuthorizationPolicy, "bookinfo", "productpage-waypoint"), service("bookinfo", "ratings")},
		{of(skew.KindHTTPRoute, "bookinfo", "reviews"), service("bookinfo", "reviews")},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("observations (-want +got):\n%s", diff)
	}
}

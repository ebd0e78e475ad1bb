package skew_test

import "github.com/revision-router/revision-router/routing/skew"

// attachmentMessages are about what a waypoint would have to carry out.
func attachmentMessages() []says {
	policy, routes := authorization(service("bookinfo", "productpage")), route(service("bookinfo", "reviews"))
	bare, named := attachedMesh(), attachedMesh("istio.io/use-waypoint=waypoint")
	both := with(named, func(m *skew.Mesh) { m.Attachments = []skew.Attachment{policy, routes} })
	empty := with(bare, func(m *skew.Mesh) { m.Gateways = nil })
	injected := with(bare, func(m *skew.Mesh) {
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")}
		m.Attachments = []skew.Attachment{routes}
	})
	to := func(target skew.Ref) skew.Change { return create(authorization(target)) }
	label := func(m skew.Mesh, labels ...string) skew.Change {
		return update(m.Namespaces[0], namespace("bookinfo", append(labels, "istio.io/dataplane-mode=ambient")...))
	}
	typo := having(named, consumer("productpage", "waypont"))
	return []says{
		{skew.WaypointPolicy, "a policy is created for a Service without a waypoint, beside one", bare, create(policy)},
		{skew.WaypointPolicy, "a policy is created for a Service without a waypoint, where there is none", empty, create(policy)},
		{skew.WaypointPolicy, "a policy is created for a Service whose own label is misspelt", typo, create(policy)},
		{
			skew.WaypointPolicy, "a policy is created for a Service that opts out of its namespace's waypoint",
			having(named, consumer("productpage", "none")), create(policy),
		},
		{skew.WaypointPolicy, "a policy is created where an ingress Gateway is named", attachedMesh("istio.io/use-waypoint=ingress"), create(policy)},
		{skew.WaypointPolicy, "a policy is created where a waypoint for workloads is named", attachedMesh("istio.io/use-waypoint=workloads"), create(policy)},
		{skew.WaypointPolicy, "a policy is created for a waypoint that nothing uses", bare, to(of(skew.KindGateway, "bookinfo", "waypoint"))},
		{skew.WaypointPolicy, "a policy is created for a Gateway that is misspelt", bare, to(of(skew.KindGateway, "bookinfo", "waypont"))},
		{skew.WaypointPolicy, "a policy is created for a GatewayClass that is not that of waypoints", bare, to(of(skew.KindGatewayClass, "", "istio"))},
		{skew.WaypointPolicy, "a route is created for a Service of an ambient namespace without a waypoint", bare, create(routes)},
		{skew.WaypointPolicy, "a namespace drops the waypoint of a policy and a route", both, label(both)},
		{skew.WaypointPolicy, "a namespace misspells the waypoint of a policy and a route", both, label(both, "istio.io/use-waypoint=waypont")},
		{skew.WaypointPolicy, "a namespace with a route leaves sidecars for ambient mode", injected, label(injected)},
		{skew.WaypointPolicy, "a Service opts out of the waypoint of its policy", both, create(consumer("productpage", "none"))},
		{skew.WaypointPolicy, "the waypoint of a policy and a route is deleted", both, remove(both.Gateways[0])},
	}
}

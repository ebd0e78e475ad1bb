package skew_test

import "github.com/revision-router/revision-router/routing/skew"

func proxyMessages() []says {
	from29, from30 := istio("v1.29.6", skew.InPlace), istio("v1.30.3", skew.InPlace)
	ingress := deployment("ingress", "istio-ingressgateway", "default", "v1.28.5")
	ingress.Role = skew.GatewayProxy
	return []says{
		{
			skew.DataPlaneBehind, "Istio goes from v1.29.6 to v1.30.3 over sidecars at v1.28.5",
			proxies("v1.29.6", deployment("bookinfo", "reviews-v1", "default", "v1.28.5"), deployment("shop", "cart", "default", "v1.28.5")),
			toVersion(from29, "v1.30.3"),
		},
		{
			skew.DataPlaneBehind, "Istio, at v1.29.6 while istiod still runs v1.28.5, goes to v1.30.3 over sidecars at v1.28.5",
			with(proxies("v1.29.6", deployment("bookinfo", "reviews-v1", "default", "v1.28.5")), func(m *skew.Mesh) {
				m.Revisions[0].Istiod = runs("v1.28.5")
			}),
			toVersion(from29, "v1.30.3"),
		},
		{
			skew.DataPlaneBehind, "Istio goes from v1.29.6 to v1.30.3 over an ingress gateway at v1.28.5",
			proxies("v1.29.6", ingress), toVersion(from29, "v1.30.3"),
		},
		{
			skew.DataPlaneBehind, "Istio goes from v1.29.6 to v1.30.3 over a waypoint whose image is pinned to v1.28.5",
			with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.Gateways = []skew.Gateway{pinnedWaypoint()} }), toVersion(from29, "v1.30.3"),
		},
		{
			skew.DataPlaneBehind, "a waypoint is created with an image of v1.28.5 pinned, under v1.30.3",
			inPlace("v1.30.3"), create(pinnedWaypoint()),
		},
		{
			skew.DataPlaneBehind, "Istio goes from v1.29.6 to v1.30.3 over sidecars, and a waypoint whose image is pinned, at v1.28.5",
			with(proxies("v1.29.6", deployment("bookinfo", "reviews-v1", "default", "v1.28.5")), func(m *skew.Mesh) {
				m.Gateways = []skew.Gateway{pinnedWaypoint()}
			}),
			toVersion(from29, "v1.30.3"),
		},
		{
			skew.DataPlaneAhead, "a waypoint is created with an image of v1.28.5 pinned, over v1.27.3",
			inPlace("v1.27.3"), create(pinnedWaypoint()),
		},
		{
			skew.DataPlaneAhead, "Istio goes back to v1.29.6 under sidecars at v1.30.3",
			proxies("v1.30.3", deployment("bookinfo", "reviews-v1", "default", "v1.30.3")), toVersion(from30, "v1.29.6"),
		},
		{
			skew.DataPlaneAhead, "Istio goes back to v1.29.6 under IstioCNI at v1.30.3",
			withCNI(inPlace("v1.30.3"), "v1.30.3"), toVersion(from30, "v1.29.6"),
		},
		{
			skew.DataPlaneAhead, "Istio goes back from v1.30.3 to v1.28.5 over IstioCNI at v1.29.6",
			withCNI(inPlace("v1.30.3"), "v1.29.6"), toVersion(from30, "v1.28.5"),
		},
		{
			skew.DataPlaneAhead, "Istio goes back to v1.29.6 while pods of IstioCNI, lowered already, still run v1.30.3",
			with(withCNI(inPlace("v1.30.3"), "v1.29.6"), func(m *skew.Mesh) { m.CNI.DaemonSet = rolling("1.30.3", "1.29.6") }),
			toVersion(from30, "v1.29.6"),
		},
	}
}

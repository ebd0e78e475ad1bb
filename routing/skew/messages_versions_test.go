package skew_test

import (
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// proxies is an in-place mesh with these workloads.
func proxies(version string, workloads ...skew.Workload) skew.Mesh {
	return with(inPlace(version), func(m *skew.Mesh) { m.Workloads = workloads })
}

func withCNI(m skew.Mesh, version string) skew.Mesh {
	m.CNI = new(cni(version))
	return m
}

// pinnedWaypoint is a waypoint whose proxy is an image of v1.28.5.
func pinnedWaypoint() skew.Gateway {
	return edited(waypointGateway("bookinfo", "waypoint"), func(g *skew.Gateway) { g.ProxyImage = "istio/proxyv2:1.28.5" })
}

// declaredOnly is an ambient mesh whose Istio declares v1.30.3 and runs v1.29.6.
func declaredOnly() skew.Mesh {
	return with(ambient("v1.29.6"), func(m *skew.Mesh) { m.Istios[0].Version, m.Istios[0].Observed = "v1.30.3", false })
}

func versionMessages() []says {
	return append(append(proxyMessages(), controlPlaneMessages()...), singletonMessages()...)
}

func controlPlaneMessages() []says {
	from28, from29 := istio("v1.28.5", skew.InPlace), istio("v1.29.6", skew.InPlace)
	canary := istio("v1.28.5", skew.RevisionBased)
	pinnedBack := namespace("bookinfo", "istio.io/rev=default-v1-28-5")
	return []says{
		{
			skew.InPlaceStep, "Istio, at v1.28.5, goes to v1.30.3 in place",
			inPlace("v1.28.5"), toVersion(from28, "v1.30.3"),
		},
		{
			skew.InPlaceStep, "Istio, at v1.29.6 while istiod still runs v1.28.5, goes to v1.30.3",
			with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.Revisions[0].Istiod = runs("v1.28.5") }), toVersion(from29, "v1.30.3"),
		},
		{
			skew.InPlaceStep, "the same with sidecars in two namespaces",
			proxies("v1.28.5", deployment("bookinfo", "reviews-v1", "default", "v1.29.6"), deployment("shop", "cart", "default", "v1.29.6")),
			toVersion(from28, "v1.30.3"),
		},
		{
			skew.SingletonSqueeze, "Istio with RevisionBased and IstioCNI, both at v1.28.5, goes to v1.30.3",
			withCNI(revisionBased("v1.28.5"), "v1.28.5"), toVersion(canary, "v1.30.3"),
		},
		{
			skew.SingletonSqueeze, "a second Istio is created at v1.30.3, beside IstioCNI and an Istio at v1.28.5",
			withCNI(inPlace("v1.28.5"), "v1.28.5"),
			create(skew.Istio{Name: "second", Namespace: "istio-second", Version: "v1.30.3", Strategy: skew.InPlace}),
		},
		{
			skew.SingletonSqueeze, "a namespace goes back to a revision at v1.28.5 that nothing used, while v1.30.3 is active",
			withCNI(revisionBased("v1.28.5", "v1.30.3"), "v1.29.6"), update(namespace("bookinfo"), pinnedBack),
		},
		{
			skew.UnknownVersion, "Istio goes to a version without a minor",
			inPlace("v1.29.6"), toVersion(from29, "master"),
		},
		{
			skew.UnknownVersion, "Istio goes to v1.30.3 over proxies whose image is named by digest",
			proxies("v1.29.6", deployment("bookinfo", "reviews-v1", "default", "")), toVersion(from29, "v1.30.3"),
		},
		{
			skew.AliasWithRevisionBased, "Istio with RevisionBased goes to an alias",
			revisionBased("v1.29.6"), toVersion(istio("v1.29.6", skew.RevisionBased), "v1.30-latest"),
		},
	}
}

func singletonMessages() []says {
	both := withCNI(revisionBased("v1.29.6", "v1.30.3"), "v1.29.6")
	both.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default-v1-29-6", "v1.29.6")}
	raiseCNI, raiseZTunnel := toVersion(cni("v1.29.6"), "v1.30.3"), toVersion(ztunnel("v1.29.6"), "v1.30.3")
	short := ztunnel("v1.29.6")
	short.GraceSeconds = 0
	return []says{
		{
			skew.CNISkew, "IstioCNI goes to v1.30.3, ahead of an Istio at v1.29.6",
			ambient("v1.29.6"), raiseCNI,
		},
		{
			skew.CNISkew, "IstioCNI goes to v1.30.3, ahead of an Istio with RevisionBased at v1.29.6 and a tag that follows it",
			with(withCNI(revisionBased("v1.29.6"), "v1.29.6"), func(m *skew.Mesh) {
				m.Tags = []routing.Tag{tag("default", "Istio", "default", "default-v1-29-6").Tag}
				m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")}
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default-v1-29-6", "v1.29.6")}
			}),
			raiseCNI,
		},
		{
			skew.CNISkew, "IstioCNI goes to v1.30.3 with the Istio, before that runs",
			declaredOnly(), raiseCNI,
		},
		{
			skew.CNISkew, "IstioCNI goes to v1.30.3 while pods still use the revision at v1.29.6",
			both, raiseCNI,
		},
		{
			skew.CNISkew, "IstioCNI goes back to v1.28.5 while istiod, lowered to v1.29.6, still runs v1.30.3",
			with(withCNI(inPlace("v1.29.6"), "v1.29.6"), func(m *skew.Mesh) { m.Revisions[0].Istiod = runs("v1.30.3") }),
			toVersion(cni("v1.29.6"), "v1.28.5"),
		},
		{
			skew.CNISkew, "IstioCNI goes back to v1.28.5 under v1.30.3",
			withCNI(inPlace("v1.30.3"), "v1.30.3"), toVersion(cni("v1.30.3"), "v1.28.5"),
		},
		{
			skew.CNISkew, "Istio goes from v1.29.6 to v1.30.3 while IstioCNI is at v1.28.5",
			withCNI(inPlace("v1.29.6"), "v1.28.5"), toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3"),
		},
		{
			skew.CNISkew, "IstioCNI goes to v1.30.3 while istiod is being rolled out",
			with(ambient("v1.30.3"), func(m *skew.Mesh) {
				m.CNI, m.ZTunnel = new(cni("v1.29.6")), new(ztunnel("v1.29.6"))
				m.Revisions[0].Istiod = skew.Rollout{Found: true, Version: "1.30.3", Pods: 1, Updated: 1, Ready: 1}
			}),
			raiseCNI,
		},
		{
			skew.CNISkew, "IstioCNI goes to v1.30.3 before any istiod runs",
			with(ambient("v1.30.3"), func(m *skew.Mesh) {
				m.CNI, m.ZTunnel = new(cni("v1.29.6")), new(ztunnel("v1.29.6"))
				m.Revisions[0].Istiod, m.Revisions[0].Ready = skew.Rollout{}, skew.NotReady
			}),
			raiseCNI,
		},
		{
			skew.CNISkew, "a second Istio at v1.29.6 is created under IstioCNI at v1.30.3",
			withCNI(inPlace("v1.30.3"), "v1.30.3"),
			create(skew.Istio{Name: "second", Namespace: "istio-second", Version: "v1.29.6", Strategy: skew.InPlace}),
		},
		{
			skew.CNISkew, "a namespace goes back to a revision at v1.29.6 that nothing used, under IstioCNI at v1.30.3",
			withCNI(revisionBased("v1.29.6", "v1.30.3"), "v1.30.3"),
			update(namespace("bookinfo"), namespace("bookinfo", "istio.io/rev=default-v1-29-6")),
		},
		{
			skew.CNISkew, "the first namespace becomes ambient with cni.maxAhead: 1 and IstioCNI one minor ahead",
			withCNI(inPlace("v1.29.6"), "v1.30.3"), update(namespace("bookinfo"), namespace("bookinfo", "istio.io/dataplane-mode=ambient")),
		},
		{
			skew.ZTunnelSkew, "ZTunnel goes to v1.30.3, ahead of an Istio at v1.29.6",
			ambient("v1.29.6"), raiseZTunnel,
		},
		{
			skew.ZTunnelSkew, "ZTunnel goes to v1.30.3 with the Istio, before that runs",
			declaredOnly(), raiseZTunnel,
		},
		{
			skew.CNIZTunnelPair, "ZTunnel is created at v1.30.3 beside IstioCNI at v1.28.5, without a control plane",
			skew.Mesh{CNI: new(cni("v1.28.5"))},
			create(ztunnel("v1.30.3")),
		},
		{
			skew.ZTunnelSkew, "ZTunnel goes to v1.30.3 while pods still use the revision at v1.29.6",
			with(both, func(m *skew.Mesh) { m.CNI, m.ZTunnel = nil, new(ztunnel("v1.29.6")) }), raiseZTunnel,
		},
		{
			skew.ZTunnelSkew, "ZTunnel goes back to v1.28.5 under v1.30.3",
			with(inPlace("v1.30.3"), func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.30.3")) }), toVersion(ztunnel("v1.30.3"), "v1.28.5"),
		},
		{
			skew.ZTunnelSkew, "Istio goes from v1.29.6 to v1.30.3 while ZTunnel is at v1.28.5",
			with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.28.5")) }), toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3"),
		},
		{
			skew.ZTunnelSkew, "Istio goes from v1.29.6 to v1.30.3 while pods of ZTunnel still run v1.28.5",
			with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.ZTunnel = new(with3(ztunnel("v1.29.6"), rolling("1.28.5", "1.29.6"))) }),
			toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3"),
		},
		{
			skew.ZTunnelSkew, "Istio goes from v1.29.6 to v1.30.3 while ZTunnel, which is replaced node by node, is at v1.28.5",
			with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.ZTunnel = new(onDelete(ztunnel("v1.28.5"))) }), toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3"),
		},
		{
			skew.ZTunnelSkew, "Istio goes from v1.29.6 to v1.30.3 while ZTunnel was replaced on some nodes only",
			with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.ZTunnel = new(onDelete(with3(ztunnel("v1.29.6"), rolling("1.28.5", "1.29.6")))) }),
			toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3"),
		},
		{
			skew.CNIZTunnelPair, "IstioCNI goes back to v1.29.6 before ZTunnel, which is replaced node by node",
			skew.Mesh{CNI: new(cni("v1.30.3")), ZTunnel: new(onDelete(ztunnel("v1.30.3")))},
			toVersion(cni("v1.30.3"), "v1.29.6"),
		},
		{
			skew.CNIZTunnelPair, "IstioCNI goes to v1.30.3 while pods of ZTunnel still run v1.28.5, without a control plane",
			skew.Mesh{CNI: new(cni("v1.29.6")), ZTunnel: new(with3(ztunnel("v1.29.6"), rolling("1.28.5", "1.29.6")))},
			raiseCNI,
		},
		{
			skew.CNIZTunnelPair, "ZTunnel is created at v1.28.5 beside IstioCNI at v1.30.3, without a control plane",
			skew.Mesh{CNI: new(cni("v1.30.3"))},
			create(ztunnel("v1.28.5")),
		},
		{
			skew.CNIZTunnelPair, "ZTunnel is created at v1.29.6 beside an Istio at v1.30.3 and IstioCNI at v1.28.5",
			withCNI(inPlace("v1.30.3"), "v1.28.5"), create(ztunnel("v1.29.6")),
		},
		{
			skew.CNIZTunnelPair, "IstioCNI goes from v1.28.5 to v1.30.3 beside ZTunnel at v1.28.5, without a control plane",
			skew.Mesh{CNI: new(cni("v1.28.5")), ZTunnel: new(ztunnel("v1.28.5"))},
			toVersion(cni("v1.28.5"), "v1.30.3"),
		},
		{
			skew.CNIZTunnelPair, "ZTunnel goes from v1.30.3 back to v1.28.5 beside IstioCNI at v1.30.3, without a control plane",
			skew.Mesh{CNI: new(cni("v1.30.3")), ZTunnel: new(ztunnel("v1.30.3"))},
			toVersion(ztunnel("v1.30.3"), "v1.28.5"),
		},
		{
			skew.CNIZTunnelPair, "IstioCNI goes from v1.29.6 to v1.30.3 beside ZTunnel at v1.28.5, without a control plane",
			skew.Mesh{CNI: new(cni("v1.29.6")), ZTunnel: new(ztunnel("v1.28.5"))},
			raiseCNI,
		},
		{
			skew.CNIZTunnelPair, "ZTunnel goes from v1.29.6 back to v1.28.5 beside IstioCNI at v1.30.3, without a control plane",
			skew.Mesh{CNI: new(cni("v1.30.3")), ZTunnel: new(ztunnel("v1.29.6"))},
			toVersion(ztunnel("v1.29.6"), "v1.28.5"),
		},
		{
			skew.CNIZTunnelPair, "IstioCNI goes from v1.30.3 back to v1.28.5 beside ZTunnel at v1.30.3, without a control plane",
			skew.Mesh{CNI: new(cni("v1.30.3")), ZTunnel: new(ztunnel("v1.30.3"))},
			toVersion(cni("v1.30.3"), "v1.28.5"),
		},
		{
			skew.CNIZTunnelPair, "ZTunnel goes from v1.29.6 to v1.30.3 before IstioCNI does", pending(), raiseZTunnel,
		},
		{
			skew.CNIZTunnelPair, "ZTunnel goes from v1.29.6 to v1.30.3 while IstioCNI rolls out",
			with(pending(), func(m *skew.Mesh) { m.CNI.Version, m.CNI.DaemonSet = "v1.30.3", rolling("1.29.6", "1.30.3") }), raiseZTunnel,
		},
		{
			skew.CNIZTunnelPair, "IstioCNI goes from v1.30.3 back to v1.29.6 before ZTunnel does",
			ambient("v1.30.3"), toVersion(cni("v1.30.3"), "v1.29.6"),
		},
		{
			skew.ZTunnelDrain, "ZTunnel with the default grace period goes from v1.29.6 to v1.30.3, which the control plane runs",
			ambient("v1.30.3"), toVersion(short, "v1.30.3"),
		},
	}
}

// pending is an ambient mesh whose control plane runs v1.30.3, and nothing else yet.
func pending() skew.Mesh {
	return with(ambient("v1.30.3"), func(m *skew.Mesh) { m.CNI, m.ZTunnel = new(cni("v1.29.6")), new(ztunnel("v1.29.6")) })
}

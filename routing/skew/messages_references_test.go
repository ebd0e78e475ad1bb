package skew_test

import (
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// tagged is a RevisionBased mesh at v1.30.3 with v1.29.6 still there, where tag prod names the old revision.
func tagged() skew.Mesh {
	m := revisionBased("v1.29.6", "v1.30.3")
	m.Tags = []routing.Tag{tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6").Tag}
	m.Namespaces = []skew.Namespace{namespace("shop", "istio.io/rev=prod")}
	return m
}

func referenceMessages() []says {
	return append(append(nameMessages(), deletionMessages()...), append(labelMessages(), waypointMessages()...)...)
}

func nameMessages() []says {
	going := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.Istios[0].Deleting = true })
	remote := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.Istios[0].Remote = true })
	canary := istio("v1.30.3", skew.RevisionBased)
	byDefault := with(revisionBased("v1.30.3"), func(m *skew.Mesh) {
		m.Tags = []routing.Tag{tag("default", "Istio", "default", "default-v1-30-3").Tag}
	})
	moving := with(revisionBased("v1.30.3"), func(m *skew.Mesh) {
		m.Revisions = append(m.Revisions, revision("default", "v1.30.3"))
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")}
	})
	return []says{
		{
			skew.TagTarget, "a tag of an IstioRevision that does not exist is created",
			revisionBased("v1.30.3"), create(tag("prod", "IstioRevision", "default-v1-29-6", "")),
		},
		{
			skew.TagTarget, "a tag of an Istio that is being deleted is created",
			going, create(tag("prod", "Istio", "default", "")),
		},
		{
			skew.TagTarget, "a tag of a remote Istio is created",
			remote, create(tag("prod", "Istio", "default", "")),
		},
		{
			skew.TagTarget, "a tag without a targetRef is created",
			revisionBased("v1.30.3"), create(tag("prod", "", "", "")),
		},
		{
			skew.NameConflict, "tag default is created while revision default, from before RevisionBased, is used",
			moving, create(tag("default", "Istio", "default", "")),
		},
		{
			skew.NameConflict, "Istio goes from RevisionBased to InPlace beside a tag default",
			byDefault, update(canary, istio("v1.30.3", skew.InPlace)),
		},
	}
}

func deletionMessages() []says {
	mesh, flat := tagged(), ambient("v1.30.3")
	pods := with(revisionBased("v1.29.6", "v1.30.3"), func(m *skew.Mesh) {
		m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default-v1-29-6", "v1.29.6")}
	})
	alone := withCNI(inPlace("v1.30.3"), "v1.30.3")
	alone.Namespaces = nil
	waypointed := with(inPlace("v1.30.3"), func(m *skew.Mesh) {
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/use-waypoint=waypoint")}
		m.Gateways = []skew.Gateway{waypointGateway("bookinfo", "waypoint")}
	})
	return []says{
		{
			skew.InUseDelete, "the Istio of a namespace's revision is deleted",
			inPlace("v1.30.3"), remove(istio("v1.30.3", skew.InPlace)),
		},
		{
			skew.InUseDelete, "the Istio of a waypoint that a namespace uses is deleted",
			waypointed, remove(istio("v1.30.3", skew.InPlace)),
		},
		{
			skew.InUseDelete, "the IstioRevision of running pods is deleted, beside a newer one",
			pods, remove(revision("default-v1-29-6", "v1.29.6")),
		},
		{
			skew.InUseDelete, "the IstioRevisionTag of a namespace is deleted",
			mesh, remove(skew.Tag{Tag: mesh.Tags[0]}),
		},
		{
			skew.InUseDelete, "IstioCNI is deleted beside an Istio",
			alone, remove(*alone.CNI),
		},
		{
			skew.InUseDelete, "ZTunnel is deleted beside an ambient namespace",
			flat, remove(*flat.ZTunnel),
		},
	}
}

func labelMessages() []says {
	mesh := tagged()
	waypoint := waypointGateway("bookinfo", "waypoint")
	owned := with(revisionBased("v1.30.3"), func(m *skew.Mesh) {
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-30-3")}
		m.Gateways = []skew.Gateway{waypoint}
	})
	label := func(labels ...string) skew.Change {
		return update(namespace("bookinfo"), namespace("bookinfo", labels...))
	}
	return []says{
		{
			skew.UnknownRevisionLabel, "a namespace gets a revision that is misspelt",
			mesh, label("istio.io/rev=pord"),
		},
		{
			skew.UnknownRevisionLabel, "a Gateway is created with a revision that is misspelt",
			mesh, create(edited(waypoint, func(g *skew.Gateway) { g.Revision = rev("pord") })),
		},
		{
			skew.GatewayOwner, "a Gateway without a label is created where nothing is named default",
			mesh, create(waypoint),
		},
		{
			skew.GatewayOwner, "a namespace loses the label that gave its Gateway an owner",
			owned, update(owned.Namespaces[0], namespace("bookinfo")),
		},
		{
			skew.InjectionLabels, "a namespace gets another value of istio-injection",
			inPlace("v1.30.3"), label("istio-injection=true"),
		},
		{
			skew.InjectionLabels, "a namespace gets istio-injection=enabled where nothing is named default",
			mesh, label("istio-injection=enabled"),
		},
		{
			skew.AmbientAndRevision, "a namespace becomes ambient and has a revision",
			mesh, label("istio.io/dataplane-mode=ambient", "istio.io/rev=prod"),
		},
	}
}

func waypointMessages() []says {
	shared := edited(waypointGateway("infra", "waypoint"), func(g *skew.Gateway) {
		g.Listeners = []skew.Listener{{Protocol: "HBONE", Port: 15008, From: "All"}}
	})
	mesh := with(ambient("v1.30.3"), func(m *skew.Mesh) {
		m.Gateways = []skew.Gateway{waypointGateway("infra", "own"), shared, edited(shared, func(g *skew.Gateway) {
			g.Name, g.Class = "ingress", "istio"
		})}
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/use-waypoint=waypoint", "istio.io/use-waypoint-namespace=infra")}
	})
	bare := with(mesh, func(m *skew.Mesh) { m.Gateways = m.Gateways[2:] })
	idle := with(mesh, func(m *skew.Mesh) {
		m.Gateways = []skew.Gateway{edited(shared, func(g *skew.Gateway) { g.WaypointFor = "none" })}
	})
	use := func(name string) skew.Change {
		return update(namespace("shop"), namespace("shop", "istio.io/use-waypoint="+name, "istio.io/use-waypoint-namespace=infra"))
	}
	return []says{
		{skew.WaypointMissing, "a namespace names a waypoint that does not exist", mesh, use("gone")},
		{skew.WaypointMissing, "a namespace names an ingress Gateway", mesh, use("ingress")},
		{skew.WaypointMissing, "a namespace names an ingress Gateway where there is no waypoint", bare, use("ingress")},
		{skew.WaypointMissing, "a namespace names a waypoint for nothing", idle, use("waypoint")},
		{skew.WaypointMissing, "a namespace names a waypoint that admits its own namespace alone", mesh, use("own")},
		{
			skew.WaypointMissing, "a waypoint is narrowed to its own namespace under a user",
			mesh, update(shared, edited(shared, func(g *skew.Gateway) { g.Listeners = waypointGateway("", "").Listeners })),
		},
		{skew.WaypointInUseDelete, "a waypoint is deleted under a user", mesh, remove(shared)},
	}
}

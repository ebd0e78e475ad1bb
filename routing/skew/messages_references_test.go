package skew_test

import (
	"slices"

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
	return slices.Concat(nameMessages(), rolloutMessages(), deletionMessages(), labelMessages(), waypointMessages(), attachmentMessages())
}

func nameMessages() []says {
	going := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.Istios[0].Deleting = true })
	remote := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.Istios[0].Remote = true })
	leaving := with(revisionBased("v1.29.6", "v1.30.3"), func(m *skew.Mesh) { m.Revisions[0].Deleting = true })
	last := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.Istios, m.Revisions[0].Deleting = nil, true })
	named := skew.Istio{Name: "default-v1-30-3", Namespace: "istio-system", Version: "v1.30.3", Active: "default-v1-30-3", Observed: true}
	twins := with(revisionBased("v1.29.6"), func(m *skew.Mesh) {
		m.Istios = append(m.Istios, named)
		m.Revisions = append(m.Revisions, revision("default-v1-30-3", "v1.30.3"))
		m.Revisions[1].Istio = named.Name
	})
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
			skew.TagTarget, "a tag of an Istio that nobody has is created where there is no other",
			skew.Mesh{},
			create(tag("prod", "Istio", "default", "")),
		},
		{
			skew.TagTarget, "a tag is moved to an IstioRevision that is being deleted, beside another",
			leaving, update(tag("prod", "IstioRevision", "default-v1-30-3", "default-v1-30-3"), tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-30-3")),
		},
		{
			skew.TagTarget, "a tag is moved to an IstioRevision that is being deleted, which is the last",
			last, update(tag("prod", "IstioRevision", "default-v1-29-6", ""), tag("prod", "IstioRevision", "default-v1-30-3", "")),
		},
		{
			skew.NameConflict, "a tag with the name of an active revision is created",
			inPlace("v1.30.3"), create(tag("default", "Istio", "default", "")),
		},
		{
			skew.NameConflict, "an Istio whose revision would have the name of another Istio's is created",
			revisionBased("v1.30.3"), create(skew.Istio{Name: "default-v1-30-3", Namespace: "istio-system", Version: "v1.30.3", Strategy: skew.InPlace}),
		},
		{
			skew.NameConflict, "an Istio takes a version that gives its revision the name of another Istio's",
			twins, update(istio("v1.29.6", skew.RevisionBased), istio("v1.30.3", skew.RevisionBased)),
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

func rolloutMessages() []says {
	mesh := twoMeshes()
	prod := skew.Tag{Tag: mesh.Tags[0]}
	to := func(value string) skew.Change { return update(prod, sharing(prod, value)) }
	leaving := with(mesh, func(m *skew.Mesh) {
		m.Revisions = append([]skew.Revision(nil), m.Revisions...)
		m.Revisions[1].Deleting = true
	})
	going := with(mesh, func(m *skew.Mesh) {
		m.Istios = append([]skew.Istio(nil), m.Istios...)
		m.Istios[1].Deleting = true
	})
	squeezed := with(revisionBased("v1.28.5", "v1.30.3"), func(m *skew.Mesh) {
		m.Istios = []skew.Istio{istio("v1.28.5", skew.RevisionBased)}
		m.CNI = new(cni("v1.28.5"))
	})
	own := tag("prod", "Istio", "default", "default-v1-28-5")
	bare := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.Istios[0].Remote, m.Revisions[0].Remote = true, true })
	return []says{
		{skew.TagRollout, "a rollout is misspelt", mesh, to("default-v1-30-3:10")},
		{skew.TagRollout, "a rollout has a percentage above 100", mesh, to("default-v1-30-3=101")},
		{skew.TagRollout, "a rollout has no revision", mesh, to("=10")},
		{skew.TagRollout, "a rollout goes to something that can be no revision", mesh, to("Default v1.30=10")},
		{skew.TagRollout, "a rollout goes to a revision that is misspelt", mesh, to("default-v1-30-4=10")},
		{skew.TagRollout, "a rollout goes to an IstioRevision that is being deleted", leaving, to("default-v1-30-3=10")},
		{skew.TagRollout, "a rollout goes to the revision of an Istio that is being deleted", going, to("east=10")},
		{skew.TagRollout, "a rollout goes to a remote revision", mesh, to("far=10")},
		{skew.TagRollout, "a rollout goes to the revision of another mesh", mesh, to("east=10")},
		{
			skew.TagRollout, "a rollout goes to a revision that does not exist, where there is none for it", bare,
			update(own, sharing(own, "canary=10")),
		},
		{
			skew.SingletonSqueeze, "a rollout goes two minors ahead of the tag's revision, beside IstioCNI",
			squeezed, update(own, sharing(own, "default-v1-30-3=10")),
		},
		{
			skew.InUseDelete, "the IstioRevision of a rollout is deleted",
			with(squeezed, func(m *skew.Mesh) {
				m.CNI, m.Tags = nil, []routing.Tag{own.Tag}
				m.Tags[0].Rollout = routing.Rollout{Revision: "default-v1-30-3", Percent: 10}
			}),
			remove(squeezed.Revisions[1]),
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
	dangling := revisionBased("v1.30.3")
	dangling.Tags = []routing.Tag{tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6").Tag}
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
			skew.UnknownRevisionLabel, "a namespace gets an empty revision",
			mesh, label("istio.io/rev="),
		},
		{
			skew.UnknownRevisionLabel, "a namespace gets a tag whose revision is gone",
			dangling, label("istio.io/rev=prod"),
		},
		{
			skew.UnknownRevisionLabel, "a namespace gets a tag whose revision is gone, where a tag can point at nothing",
			with(dangling, func(m *skew.Mesh) { m.Istios, m.Revisions[0].Deleting = nil, true }), label("istio.io/rev=prod"),
		},
		{
			skew.GatewayOwner, "a Gateway without a label is created in a namespace whose revision is gone",
			with(mesh, func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=gone")} }),
			create(waypoint),
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
			skew.GatewayOwner, "a namespace with a Gateway gets a revision that nobody is",
			owned, update(owned.Namespaces[0], namespace("bookinfo", "istio.io/rev=nobody")),
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
			skew.WaypointMissing, "a namespace names a waypoint that is being deleted",
			with(mesh, func(m *skew.Mesh) {
				m.Gateways = []skew.Gateway{edited(shared, func(g *skew.Gateway) { g.Deleting = true })}
			}),
			use("waypoint"),
		},
		{
			skew.WaypointMissing, "a namespace gets an empty name of a waypoint",
			mesh, update(namespace("shop"), namespace("shop", "istio.io/use-waypoint=")),
		},
		{
			skew.WaypointMissing, "a waypoint becomes an ingress Gateway under a user",
			mesh, update(shared, edited(shared, func(g *skew.Gateway) { g.Class = "istio" })),
		},
		{
			skew.WaypointMissing, "a waypoint is narrowed to its own namespace under a user",
			mesh, update(shared, edited(shared, func(g *skew.Gateway) { g.Listeners = waypointGateway("", "").Listeners })),
		},
		{skew.WaypointInUseDelete, "a waypoint is deleted under a user", mesh, remove(shared)},
		{skew.WaypointInUseDelete, "the namespace of a waypoint is deleted under a user", mesh, remove(namespace("infra"))},
	}
}

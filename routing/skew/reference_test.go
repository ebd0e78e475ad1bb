package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func TestTags(t *testing.T) {
	mesh := revisionBased("v1.29.6", "v1.30.3")
	remote := with(mesh, func(m *skew.Mesh) {
		m.Istios = []skew.Istio{m.Istios[0]}
		m.Istios[0].Remote = true
		m.Revisions = []skew.Revision{revision("default-v1-30-3", "v1.30.3")}
		m.Revisions[0].Remote = true
	})
	deleting := with(mesh, func(m *skew.Mesh) {
		m.Istios = []skew.Istio{m.Istios[0]}
		m.Istios[0].Deleting = true
		m.Revisions = []skew.Revision{revision("default-v1-29-6", "v1.29.6")}
		m.Revisions[0].Deleting = true
	})
	run(t, map[string]tc{
		"a tag of an Istio":                       {mesh: mesh, change: create(tag("prod", "Istio", "default", ""))},
		"a tag of an IstioRevision":               {mesh: mesh, change: create(tag("prod", "IstioRevision", "default-v1-29-6", ""))},
		"a tag of an Istio that was just written": {mesh: skew.Mesh{Istios: []skew.Istio{{Name: "default", Version: "v1.30.3"}}}, change: create(tag("prod", "Istio", "default", ""))},
		"a missing Istio": {
			mesh: mesh, change: create(tag("prod", "Istio", "missing", "")), want: []string{"Deny TagTarget"},
			says: []string{"TagTarget: IstioRevisionTag prod points at Istio missing, which does not exist."},
		},
		"a missing IstioRevision":          {mesh: mesh, change: create(tag("prod", "IstioRevision", "default-v1-28-5", "")), want: []string{"Deny TagTarget"}},
		"a kind that is none":              {mesh: mesh, change: create(tag("prod", "Tag", "prod", "")), want: []string{"Deny TagTarget"}},
		"an Istio that is being deleted":   {mesh: deleting, change: create(tag("prod", "Istio", "default", "")), want: []string{"Deny TagTarget"}, says: []string{"being deleted"}},
		"a revision that is being deleted": {mesh: deleting, change: create(tag("prod", "IstioRevision", "default-v1-29-6", "")), want: []string{"Deny TagTarget"}, says: []string{"being deleted"}},
		"a remote Istio":                   {mesh: remote, change: create(tag("prod", "Istio", "default", "")), want: []string{"Deny TagTarget"}, says: []string{"is remote"}},
		"a remote revision":                {mesh: remote, change: create(tag("prod", "IstioRevision", "default-v1-30-3", "")), want: []string{"Deny TagTarget"}, says: []string{"is remote"}},
		"a revision of plain Istio is no target": {mesh: with(mesh, func(m *skew.Mesh) {
			r := revision("plain", "v1.30.3")
			r.Origin = routing.Webhook
			m.Revisions = append(m.Revisions, r)
		}), change: create(tag("prod", "IstioRevision", "plain", "")), want: []string{"Deny TagTarget"}},
		"moved to a missing target": {
			mesh: mesh, want: []string{"Deny TagTarget"},
			change: update(tag("prod", "Istio", "default", "default-v1-30-3"), tag("prod", "Istio", "defualt", "")),
		},
		"a target that was missing before is no news": {
			mesh:   mesh,
			change: update(tag("prod", "Istio", "missing", "default-v1-30-3"), with2(tag("prod", "Istio", "missing", ""))),
		},
		"the name of a revision": {
			mesh: inPlace("v1.29.6"), change: create(tag("default", "Istio", "default", "")), want: []string{"Deny NameConflict"},
			says: []string{"NameConflict: IstioRevisionTag default cannot have the name of the older revision default (v1.29.6)"},
		},
		"the name of a revision of plain Istio": {
			mesh: with(revisionBased("v1.30.3"), func(m *skew.Mesh) {
				r := revision("default", "v1.30.3")
				r.Origin = routing.Webhook
				m.Revisions = append(m.Revisions, r)
			}),
			change: create(tag("default", "Istio", "default", "")),
		},
		"a revision with the name of a tag": {
			mesh:   with(mesh, func(m *skew.Mesh) { m.Tags = []routing.Tag{tag("default", "Istio", "default", "default-v1-30-3").Tag} }),
			change: create(revision("default", "v1.30.3")), want: []string{"Deny NameConflict"},
		},
		"an Istio that needs a revision with the name of a tag": {
			mesh:   with(mesh, func(m *skew.Mesh) { m.Tags = []routing.Tag{tag("default", "Istio", "default", "default-v1-30-3").Tag} }),
			change: update(istio("v1.30.3", skew.RevisionBased), istio("v1.30.3", skew.InPlace)), want: []string{"Deny NameConflict"},
		},
		"two Istios that need one revision": {
			mesh:   mesh,
			change: create(skew.Istio{Name: "default-v1-30-3", Version: "v1.30.3"}), want: []string{"Deny NameConflict"},
			says: []string{"belongs to Istio default"},
		},
	})
}

// with2 touches something that is no part of the reference.
func with2(t skew.Tag) skew.Tag {
	t.UID = "2"
	return t
}

func TestInUseDelete(t *testing.T) {
	mesh := revisionBased("v1.29.6", "v1.30.3")
	mesh.Tags = []routing.Tag{tag("default", "Istio", "default", "default-v1-30-3").Tag, tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6").Tag}
	mesh.Namespaces = []skew.Namespace{
		namespace("bookinfo", "istio-injection=enabled"), namespace("shop", "istio.io/rev=prod"), namespace("plain"),
	}
	alone := with(revisionBased("v1.30.3"), func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) })
	ambientMesh := ambient("v1.30.3")
	unusedTag := with(mesh, func(m *skew.Mesh) { m.Namespaces = nil })
	run(t, map[string]tc{
		"a tag that namespaces use, naming them": {
			mesh: mesh, change: remove(skew.Tag{Tag: mesh.Tags[1]}), want: []string{"Deny InUseDelete"},
			says: []string{
				"InUseDelete: IstioRevisionTag prod is still used by namespace shop.",
				"kubectl label namespace shop istio-injection- istio.io/rev=default-v1-29-6 --overwrite",
			},
		},
		"the default tag, by istio-injection": {
			mesh: mesh, change: remove(skew.Tag{Tag: mesh.Tags[0]}), want: []string{"Deny InUseDelete"}, says: []string{"namespace bookinfo"},
		},
		"the default tag, by a Gateway without a label": {
			mesh: with(unusedTag, func(m *skew.Mesh) { m.Gateways = []skew.Gateway{waypointGateway("bookinfo", "waypoint")} }), change: remove(skew.Tag{Tag: mesh.Tags[0]}),
			want: []string{"Deny InUseDelete"},
			says: []string{"Gateway bookinfo/waypoint", "kubectl label gateway waypoint -n bookinfo istio.io/rev=default-v1-30-3 --overwrite"},
		},
		"a tag that pods name": {
			mesh: with(unusedTag, func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{{Namespace: "plain", Kind: "Deployment", Name: "app", Label: "prod", Pods: 3}}
			}),
			change: remove(skew.Tag{Tag: mesh.Tags[1]}), want: []string{"Deny InUseDelete"}, says: []string{"Deployment plain/app (3 pods)", "kubectl patch deployment app -n plain --type=merge"},
		},
		"a tag that nothing uses": {mesh: unusedTag, change: remove(skew.Tag{Tag: mesh.Tags[1]})},
		"a revision that a tag points at": {
			mesh: unusedTag, change: remove(revision("default-v1-29-6", "v1.29.6")), want: []string{"Deny InUseDelete"}, says: []string{"tag prod"},
		},
		"a revision that runs pods": {
			mesh: with(revisionBased("v1.29.6", "v1.30.3"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default-v1-29-6", "v1.29.6")}
			}),
			change: remove(revision("default-v1-29-6", "v1.29.6")), want: []string{"Deny InUseDelete"},
			says: []string{"Deployment bookinfo/reviews-v1 (2 pods)", "kubectl rollout restart deployment -n bookinfo"},
		},
		"a revision that nothing uses":        {mesh: revisionBased("v1.29.6", "v1.30.3"), change: remove(revision("default-v1-29-6", "v1.29.6"))},
		"a revision whose Istio is gone":      {mesh: with(mesh, func(m *skew.Mesh) { m.Istios = nil }), change: remove(revision("default-v1-30-3", "v1.30.3"))},
		"an Istio whose revisions are used":   {mesh: mesh, change: remove(mesh.Istios[0]), want: []string{"Deny InUseDelete"}, says: []string{"namespace bookinfo, namespace shop, tag default and 1 more"}},
		"an Istio that only a tag names":      {mesh: with(alone, func(m *skew.Mesh) { m.Tags = []routing.Tag{tag("default", "Istio", "default", "").Tag} }), change: remove(alone.Istios[0]), want: []string{"Deny InUseDelete"}},
		"an Istio that nothing uses":          {mesh: alone, change: remove(alone.Istios[0])},
		"an Istio that a ZTunnel connects to": {mesh: ambientMesh, change: remove(ambientMesh.Istios[0]), want: []string{"Deny InUseDelete"}, says: []string{"ZTunnel default"}},
		"IstioCNI while a revision is live":   {mesh: alone, change: remove(*alone.CNI), want: []string{"Deny InUseDelete"}, says: []string{"revision default-v1-30-3 (v1.30.3), the active revision of Istio default"}},
		"IstioCNI while the Istio goes and nothing uses it": {mesh: with(alone, func(m *skew.Mesh) {
			m.Istios = []skew.Istio{m.Istios[0]}
			m.Istios[0].Deleting = true
		}), change: remove(*alone.CNI)},
		"ZTunnel while a namespace is ambient": {
			mesh: ambientMesh, change: remove(*ambientMesh.ZTunnel), want: []string{"Deny InUseDelete"},
			says: []string{"ambient namespace bookinfo", "kubectl label namespace bookinfo istio.io/dataplane-mode-"},
		},
		"ZTunnel while a pod is ambient by itself": {
			mesh: with(ambientMesh, func(m *skew.Mesh) {
				m.Namespaces = nil
				m.Workloads = []skew.Workload{{Namespace: "plain", Kind: "Deployment", Name: "app", Role: skew.Ambient, Pods: 1}}
			}),
			change: remove(*ambientMesh.ZTunnel), want: []string{"Deny InUseDelete"}, says: []string{"ambient Deployment plain/app (1 pod)"},
		},
		"ZTunnel once nothing is ambient": {mesh: with(ambientMesh, func(m *skew.Mesh) { m.Namespaces = nil }), change: remove(*ambientMesh.ZTunnel)},
	})
}

func TestNamespaceLabels(t *testing.T) {
	mesh := with(revisionBased("v1.30.3"), func(m *skew.Mesh) {
		m.Tags = []routing.Tag{tag("prod", "Istio", "default", "default-v1-30-3").Tag, tag("broken", "Istio", "missing", "").Tag, tag("fresh", "Istio", "default", "").Tag}
	})
	label := func(labels ...string) skew.Change { return update(namespace("shop"), namespace("shop", labels...)) }
	run(t, map[string]tc{
		"a revision":        {mesh: mesh, change: label("istio.io/rev=default-v1-30-3")},
		"a tag":             {mesh: mesh, change: label("istio.io/rev=prod")},
		"a tag that is new": {mesh: mesh, change: label("istio.io/rev=fresh")},
		"an unknown revision": {
			mesh: mesh, change: label("istio.io/rev=defualt"), want: []string{"Deny UnknownRevisionLabel"},
			says: []string{"Namespace shop has istio.io/rev=defualt, which names neither a revision nor a revision tag. Name one of fresh, prod and default-v1-30-3: kubectl label namespace shop istio.io/rev=fresh --overwrite."},
		},
		"an unknown revision on a new namespace": {mesh: mesh, change: create(namespace("shop", "istio.io/rev=defualt")), want: []string{"Deny UnknownRevisionLabel"}},
		"a tag without a revision":               {mesh: mesh, change: label("istio.io/rev=broken"), want: []string{"Deny UnknownRevisionLabel"}},
		"an empty value":                         {mesh: mesh, change: label("istio.io/rev="), want: []string{"Deny UnknownRevisionLabel"}, says: []string{"is empty"}},
		"before the mesh is there":               {change: label("istio.io/rev=default"), want: []string{"Warn UnknownRevisionLabel"}},
		"the revision of an Istio just written":  {mesh: skew.Mesh{Istios: []skew.Istio{{Name: "default", Version: "v1.30.3"}}}, change: label("istio.io/rev=default")},
		"a revision of plain Istio": {mesh: with(mesh, func(m *skew.Mesh) {
			r := revision("plain", "v1.30.3")
			r.Origin = routing.Webhook
			m.Revisions = append(m.Revisions, r)
		}), change: label("istio.io/rev=plain")},
		"an unknown label that was there before": {
			mesh: mesh, change: update(namespace("shop", "istio.io/rev=defualt"), namespace("shop", "istio.io/rev=defualt", "team=a")),
		},
		"another value of istio-injection": {mesh: mesh, change: label("istio-injection=true"), want: []string{"Warn InjectionLabels"}, says: []string{"istio-injection=true"}},
		"disabled":                         {mesh: mesh, change: label("istio-injection=disabled")},
		"both labels":                      {mesh: mesh, change: label("istio-injection=disabled", "istio.io/rev=prod"), want: []string{"Warn InjectionLabels"}},
		"enabled without a default":        {mesh: mesh, change: label("istio-injection=enabled"), want: []string{"Warn InjectionLabels"}, says: []string{"named default"}},
		"enabled with a default":           {mesh: inPlace("v1.30.3"), change: label("istio-injection=enabled")},
		"ambient":                          {mesh: mesh, change: label("istio.io/dataplane-mode=ambient")},
		"ambient with istio.io/rev":        {mesh: mesh, change: label("istio.io/dataplane-mode=ambient", "istio.io/rev=prod"), want: []string{"Warn AmbientAndRevision"}},
		"ambient with istio-injection":     {mesh: inPlace("v1.30.3"), change: label("istio.io/dataplane-mode=ambient", "istio-injection=enabled"), want: []string{"Warn AmbientAndRevision"}},
		"each is said once": {
			mesh: mesh, change: update(namespace("shop", "istio.io/dataplane-mode=ambient", "istio.io/rev=prod"), namespace("shop", "istio.io/dataplane-mode=ambient", "istio.io/rev=prod", "a=b")),
		},
	})
}

package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// sharing gives a tag the annotation that sends a share of its workloads elsewhere.
func sharing(t skew.Tag, value string) skew.Tag {
	t.Share = rev(value)
	return t
}

// twoMeshes is [tagged], with a mesh of another namespace and a remote one beside it.
func twoMeshes() skew.Mesh {
	m := tagged()
	east := skew.Istio{Name: "east", Namespace: "istio-east", Version: "v1.30.3", Active: "east", Observed: true}
	far := skew.Istio{Name: "far", Namespace: "istio-system", Version: "v1.30.3", Active: "far", Observed: true, Remote: true}
	alone := revision("own", "v1.30.3")
	alone.Istio = ""
	eastern, remote := revision("east", "v1.30.3"), revision("far", "v1.30.3")
	eastern.Istio, eastern.Namespace = "east", "istio-east"
	remote.Istio, remote.Remote, remote.Istiod = "far", true, skew.Rollout{}
	m.Istios = append(m.Istios, east, far)
	m.Revisions = append(m.Revisions, eastern, remote, alone)
	return m
}

// A revision that a share of a tag's workloads goes to is used, as the target of the tag is.
func TestARolloutUsesItsRevision(t *testing.T) {
	mesh := revisionBased("v1.29.6", "v1.30.3")
	mesh.Istios[0].Version, mesh.Istios[0].Active = "v1.29.6", "default-v1-29-6" // v1.30.3 is nobody's but the tag's
	mesh.CNI = new(cni("v1.29.6"))
	whole := tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6")
	mesh.Tags = []routing.Tag{whole.Tag}
	shared := with(mesh, func(m *skew.Mesh) {
		m.Tags = []routing.Tag{whole.Tag}
		m.Tags[0].Rollout = routing.Rollout{Revision: "default-v1-30-3", Percent: 10}
	})
	begun := with(mesh, func(m *skew.Mesh) {
		m.Tags = []routing.Tag{whole.Tag}
		m.Tags[0].Rollout = routing.Rollout{Revision: "default-v1-30-3"}
	})
	gone := remove(revision("default-v1-30-3", "v1.30.3"))
	run(t, map[string]tc{
		"deleted under a share": {
			mesh: shared, change: gone, want: []string{"Deny InUseDelete"},
			says: []string{"tag prod", "kubectl annotate istiorevisiontag prod revision-router.io/rollout-"},
		},
		"deleted under a share of nothing": {mesh: begun, change: gone},
		"deleted without a share":          {mesh: mesh, change: gone},
		"IstioCNI has to fit it": {
			mesh: shared, change: toVersion(*mesh.CNI, "v1.28.5"), want: []string{"Deny CNISkew"}, says: []string{"revision default-v1-30-3"},
		},
		"and not without": {mesh: mesh, change: toVersion(*mesh.CNI, "v1.28.5")},
		"a share that opens a gap": {
			mesh:   with(mesh, func(m *skew.Mesh) { m.Revisions = append(m.Revisions[:1:1], revision("default-v1-31-1", "v1.31.1")) }),
			change: update(whole, sharing(whole, "default-v1-31-1=1")), want: []string{"Deny SingletonSqueeze"},
		},
		"an Old that is looked up has its share": {
			mesh: with(shared, func(m *skew.Mesh) {
				m.Revisions = append([]skew.Revision(nil), m.Revisions...)
				m.Revisions[1].Deleting = true
			}), change: update(nil, sharing(whole, "default-v1-30-3=5")),
		},
	})
}

func TestTheRolloutOfATag(t *testing.T) {
	mesh := twoMeshes()
	plain := skew.Tag{Tag: mesh.Tags[0]}
	to := func(value string) skew.Change { return update(plain, sharing(plain, value)) }
	ends := with(mesh, func(m *skew.Mesh) {
		m.Revisions = append([]skew.Revision(nil), m.Revisions...)
		m.Revisions[1].Deleting = true
	})
	goes := with(mesh, func(m *skew.Mesh) {
		m.Istios = append([]skew.Istio(nil), m.Istios...)
		m.Istios[1].Deleting = true
	})
	half := sharing(plain, "default-v1-30-3=50")
	denied := []string{"Deny TagRollout"}
	run(t, map[string]tc{
		"to the other revision of its Istio":    {mesh: mesh, change: to("default-v1-30-3=10")},
		"nothing yet":                           {mesh: mesh, change: to("default-v1-30-3=0")},
		"everything":                            {mesh: mesh, change: to("default-v1-30-3=100")},
		"to a revision without Istio beside it": {mesh: mesh, change: to("own=10")},
		"with the tag":                          {mesh: mesh, change: create(sharing(tag("next", "Istio", "default", ""), "default-v1-29-6=10"))},
		"a tag of nothing is another rule's":    {mesh: mesh, change: create(sharing(tag("next", "Istio", "gone", ""), "default-v1-29-6=10")), want: []string{"Deny TagTarget"}},
		"to a revision that the operator has yet to make": {
			mesh: with(mesh, func(m *skew.Mesh) {
				m.Istios = []skew.Istio{{Name: "default", Namespace: "istio-system", Version: "v1.31.1", Strategy: skew.RevisionBased}}
			}),
			change: to("default-v1-31-1=10"),
		},
		"a percentage of more than everything": {
			mesh: mesh, change: to("default-v1-30-3=101"), want: denied,
			says: []string{"from 0 to 100", "kubectl annotate istiorevisiontag prod revision-router.io/rollout="},
		},
		"a percentage below nothing": {mesh: mesh, change: to("default-v1-30-3=-1"), want: denied},
		"no percentage":              {mesh: mesh, change: to("default-v1-30-3"), want: denied},
		"an empty annotation":        {mesh: mesh, change: to(""), want: denied},
		"a revision that is misspelt": {
			mesh: mesh, change: to("default-v1-30-4=25"), want: denied,
			says: []string{"is no IstioRevision", "rollout=default-v1-30-3=25 --overwrite"},
		},
		"the name of a tag":                {mesh: mesh, change: to("prod=25"), want: denied},
		"a remote revision":                {mesh: mesh, change: to("far=25"), want: denied, says: []string{"is remote"}},
		"a revision that is being deleted": {mesh: ends, change: to("default-v1-30-3=25"), want: denied, says: []string{"is being deleted"}},
		"a revision whose Istio goes":      {mesh: goes, change: to("east=25"), want: denied, says: []string{"goes with Istio east"}},
		"a revision of another mesh": {
			mesh: mesh, change: to("east=25"), want: denied,
			says: []string{"another mesh: its control plane is in namespace istio-east, that of the tag's target in namespace istio-system"},
		},
		"a target in another mesh under a rollout": {
			mesh: mesh, want: denied, change: update(half, sharing(tag("prod", "Istio", "east", "default-v1-29-6"), half.Share.Value)),
		},
		"where there is nothing to go to": {
			mesh: skew.Mesh{}, change: create(sharing(tag("next", "Istio", "default", ""), "x=1")),
			want: []string{"Deny TagTarget", "Deny TagRollout"},
		},
		"as a warning":          {mesh: mesh, change: to("east=25"), policy: levelled(skew.TagRollout, skew.Warn), want: []string{"Warn TagRollout"}},
		"with an override":      {mesh: mesh, change: override("shared root", to("east=25")), want: []string{"Warn TagRollout"}},
		"by the operator":       {mesh: mesh, change: by(operator, to("east=25")), want: []string{"Warn TagRollout"}},
		"less of what is wrong": {mesh: ends, change: update(half, sharing(plain, "default-v1-30-3=10"))},
		"more of what is wrong": {mesh: ends, change: update(half, sharing(plain, "default-v1-30-3=60")), want: denied},
		"the end of it":         {mesh: ends, change: update(half, plain)},
		"another target under a rollout that cannot be read": {
			mesh: mesh, change: update(sharing(plain, "?"), sharing(tag("prod", "Istio", "default", "default-v1-29-6"), "?")),
		},
		"one mistake for another": {mesh: mesh, change: update(sharing(plain, "?"), sharing(plain, "??")), want: denied},
		"what was right before":   {mesh: ends, change: update(sharing(plain, "own=10"), half), want: denied},
	})
}

package routing_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

func TestDecideGateway(t *testing.T) {
	inPlace := meshOf(routing.Objects{Revisions: []routing.Revision{revision("default"), revision("1-31")}})
	noDefault := meshOf(routing.Objects{Revisions: []routing.Revision{revision("1-31")}})
	owned := func(rule routing.Reason, wanted, revision, tag string) routing.Decision {
		return routing.Decision{
			Action: routing.Inject, Reason: rule, Rule: rule, Wanted: wanted, Revision: revision, Tag: tag,
			Version: "v1.30.0",
		}
	}
	orphan := func(reason, rule routing.Reason, wanted, tag string) routing.Decision {
		return routing.Decision{Action: routing.Unresolvable, Reason: reason, Rule: rule, Wanted: wanted, Tag: tag}
	}
	namespace := func(injection, revision routing.Label) routing.Namespace {
		return routing.Namespace{Name: "bookinfo", Injection: injection, Revision: revision}
	}
	none := routing.Label{}
	cases := map[string]struct {
		mesh    *routing.Mesh
		ns      routing.Namespace
		gateway routing.Label
		want    routing.Decision
	}{
		"the Gateway's label beats the namespace's, unlike for pods": {
			sailMesh(), namespace(none, present("1-30")), present("1-31"),
			owned(routing.GatewayRevision, "1-31", "1-31", ""),
		},
		"the Gateway's label may name a tag": {
			sailMesh(), namespace(none, none), present("prod"),
			owned(routing.GatewayRevision, "prod", "1-31", "prod"),
		},
		"the namespace's label counts for a Gateway without one": {
			sailMesh(), namespace(none, present("prod")), none,
			owned(routing.NamespaceRevision, "prod", "1-31", "prod"),
		},
		"istio-injection=enabled has no say": {
			sailMesh(), namespace(present("enabled"), present("1-31")), none,
			owned(routing.NamespaceRevision, "1-31", "1-31", ""),
		},
		"istio-injection=disabled has no say": {
			sailMesh(), namespace(present("disabled"), none), none,
			owned(routing.DefaultOwner, "default", "1-30", "default"),
		},
		"an empty label of the Gateway means the default, not the namespace's": {
			sailMesh(), namespace(none, present("1-31")), present(""),
			owned(routing.DefaultOwner, "default", "1-30", "default"),
		},
		"an empty label of the namespace means the default": {
			inPlace, namespace(none, present("")), none,
			owned(routing.DefaultOwner, "default", "default", ""),
		},
		"no label at all means the default revision": {
			inPlace, namespace(none, none), none,
			owned(routing.DefaultOwner, "default", "default", ""),
		},
		"without a default nobody owns a Gateway without labels": {
			noDefault, namespace(none, none), none,
			orphan(routing.NoDefaultRevision, routing.DefaultOwner, "default", ""),
		},
		"nobody owns a Gateway that names nothing known": {
			sailMesh(), namespace(none, none), present("gone"),
			orphan(routing.UnknownRevision, routing.GatewayRevision, "gone", ""),
		},
		"nobody owns a Gateway whose label is default where there is none": {
			noDefault, namespace(none, none), present("default"),
			orphan(routing.NoDefaultRevision, routing.GatewayRevision, "default", ""),
		},
		"nobody owns a Gateway whose tag dangles": {
			sailMesh(), namespace(none, present("dangling")), none,
			orphan(routing.DanglingTag, routing.NamespaceRevision, "dangling", "dangling"),
		},
		"nobody owns a Gateway in a cluster without a mesh": {
			meshOf(routing.Objects{}), namespace(none, none), none,
			orphan(routing.NoMesh, routing.DefaultOwner, "default", ""),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := routing.DecideGateway(routing.GatewayInput{Mesh: tc.mesh, Namespace: tc.ns, Revision: tc.gateway})
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecideGatewayNamesTheOnlyClaimant asks the istiod of every revision whether a Gateway is its own, and compares
// the one that says yes with the decision.
func TestDecideGatewayNamesTheOnlyClaimant(t *testing.T) {
	meshes := map[string]routing.Objects{
		"in place": {Revisions: []routing.Revision{revision("default")}},
		"in place beside another": {
			Revisions: []routing.Revision{revision("default"), revision("1-31")},
			Tags:      []routing.Tag{tag("prod", "default"), tag("next", "1-31")},
		},
		"two revisions without a default": {
			Revisions: []routing.Revision{revision("1-30"), revision("1-31")},
			Tags:      []routing.Tag{tag("prod", "1-30")},
		},
		"two revisions, one of them the default": {
			Revisions: []routing.Revision{revision("1-30"), revision("1-31")},
			Tags:      []routing.Tag{tag("default", "1-31"), tag("prod", "1-30"), tag("dangling", "1-29")},
		},
		"a default that dangles": {
			Revisions: []routing.Revision{revision("1-31")}, Tags: []routing.Tag{tag("default", "1-30")},
		},
	}
	values := []routing.Label{{}}
	for _, word := range []string{"", "enabled", "disabled", "default", "1-30", "1-31", "prod", "next", "dangling", "gone"} {
		values = append(values, present(word))
	}
	for name, o := range meshes {
		t.Run(name, func(t *testing.T) {
			m, owners := meshOf(o), 0
			var in routing.GatewayInput
			in.Mesh, in.Namespace.Name = m, "bookinfo"
			for _, in.Revision = range values {
				for _, in.Namespace.Revision = range values {
					for _, in.Namespace.Injection = range values {
						claims := claimants(o, in)
						owners += len(claims)
						d := routing.DecideGateway(in)
						got := []string{}
						if d.Action == routing.Inject {
							got = append(got, d.Revision)
						}
						if diff := cmp.Diff(claims, got); diff != "" {
							t.Errorf("%+v: owners (-istiod +routing):\n%s", in, diff)
						}
					}
				}
			}
			if owners == 0 {
				t.Error("nobody owned any Gateway: nothing was compared")
			}
		})
	}
}

// claimants are the revisions whose istiod takes the Gateway for its own (pkg/revisions/tag_watcher.go, IsMine).
func claimants(o routing.Objects, in routing.GatewayInput) []string {
	selected := in.Revision.Value
	if !in.Revision.Present {
		selected = in.Namespace.Revision.Value
	}
	claims := []string{}
	for _, r := range o.Revisions {
		mine := []string{r.Name}
		for _, tagged := range o.Tags {
			if tagged.Revision == r.Name {
				mine = append(mine, tagged.Name)
			}
		}
		otherDefault := slices.ContainsFunc(o.Tags, func(tagged routing.Tag) bool {
			return tagged.Name == "default" && tagged.Revision != r.Name
		})
		// Sail installs istiod-default-validator for what is named default.
		validator := r.Name == "default"
		isDefault := slices.Contains(mine, "default") || validator && !otherDefault
		if slices.Contains(mine, selected) || selected == "" && isDefault {
			claims = append(claims, r.Name)
		}
	}
	return claims
}

// A deactivated revision is lost to pods under its name, but its istiod does not read its own webhooks.
func TestDecideGatewayOfADeactivatedRevision(t *testing.T) {
	inPlace := revision("default")
	inPlace.Origin, inPlace.Deactivated = routing.Webhook, true
	m := meshOf(routing.Objects{Revisions: []routing.Revision{inPlace, revision("1-31")}})
	in := routing.GatewayInput{Mesh: m, Namespace: routing.Namespace{Name: "bookinfo"}, Revision: present("default")}
	if d := routing.DecideGateway(in); d.Action != routing.Inject || d.Revision != "default" {
		t.Errorf("a Gateway that names it: %+v, want the revision default", d)
	}
	in.Revision = routing.Label{}
	if d := routing.DecideGateway(in); d.Reason != routing.NoDefaultRevision {
		t.Errorf("a Gateway without labels: %+v, want %s", d, routing.NoDefaultRevision)
	}
	pod := routing.Input{Mesh: m, Namespace: in.Namespace, Pod: routing.Pod{Revision: present("default")}}
	if d := routing.Decide(pod); d.Reason != routing.NoDefaultRevision {
		t.Errorf("a pod that names it: %+v, want %s", d, routing.NoDefaultRevision)
	}
}

func TestDecideGatewayAllocatesNothing(t *testing.T) {
	m := sailMesh()
	for _, name := range []routing.Label{{}, present("prod"), present("gone"), present("dangling")} {
		in := routing.GatewayInput{Mesh: m, Revision: name}
		if n := testing.AllocsPerRun(100, func() { routing.DecideGateway(in) }); n != 0 {
			t.Errorf("label %+v: %v allocations", name, n)
		}
	}
}

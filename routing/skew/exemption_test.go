package skew_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

const operator = "system:serviceaccount:sail-operator:sail-operator"

func by(user string, c skew.Change) skew.Change {
	c.User = user
	return c
}

func override(reason string, c skew.Change) skew.Change {
	c.Override = routing.Label{Value: reason, Present: true}
	return c
}

func TestOperatorAndOverride(t *testing.T) {
	// What an alias that moves looks like: the Istio says master or v1.30-latest all the time, and the operator
	// writes the IstioRevision.
	moved := with(inPlace("v1.29.6"), func(m *skew.Mesh) {
		m.Istios[0].Version = "master"
		m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default", "v1.28.5")}
	})
	aliased := with(revisionBased("v1.30-latest"), func(m *skew.Mesh) {
		m.Revisions = []skew.Revision{revision("default-v1-30-latest", "v1.30.2")}
	})
	move := toVersion(revision("default", "v1.29.6"), "v1.30.0")
	two := toVersion(istio("v1.24.3", skew.InPlace), "v1.26.0")
	run(t, map[string]tc{
		"an alias that moves is warned when the operator writes it": {
			mesh: moved, change: by(operator, move), want: []string{"Warn DataPlaneBehind"},
		},
		"anybody else is denied": {mesh: moved, change: move, want: []string{"Deny DataPlaneBehind"}},
		"an operator that the policy does not know is denied": {
			mesh: moved, change: by(operator, move), policy: &skew.Policy{}, want: []string{"Deny DataPlaneBehind"},
		},
		"vX.Y-latest in place is nothing to warn of": {
			mesh:   with(inPlace("v1.30.2"), func(m *skew.Mesh) { m.Istios[0].Version = "v1.30-latest" }),
			change: by(operator, toVersion(revision("default", "v1.30.2"), "v1.30.3")),
		},
		"vX.Y-latest with RevisionBased warns that it is in place": {
			mesh: aliased, want: []string{"Warn AliasWithRevisionBased"},
			change: by(operator, toVersion(revision("default-v1-30-latest", "v1.30.2"), "v1.30.3")),
			says:   []string{"IstioRevision default-v1-30-latest v1.30.3 is updated in place from v1.30.2, because Istio default has the alias v1.30-latest"},
		},
		"an override with a reason warns":       {mesh: inPlace("v1.24.3"), change: override("incident 7", two), want: []string{"Warn InPlaceStep"}},
		"an override without a reason is none":  {mesh: inPlace("v1.24.3"), change: override("  ", two), want: []string{"Deny InPlaceStep"}},
		"a level of Warn warns":                 {mesh: inPlace("v1.24.3"), change: two, policy: levelled(skew.InPlaceStep, skew.Warn), want: []string{"Warn InPlaceStep"}},
		"a level of Off is silent":              {mesh: inPlace("v1.24.3"), change: two, policy: levelled(skew.InPlaceStep, skew.Off)},
		"a level that is no level denies":       {mesh: inPlace("v1.24.3"), change: two, policy: levelled(skew.InPlaceStep, "Maybe"), want: []string{"Deny InPlaceStep"}},
		"a warning may be raised to a denial":   {mesh: aliased, change: toVersion(istio("v1.29.6", skew.RevisionBased), "v1.30-latest"), policy: levelled(skew.AliasWithRevisionBased, skew.Deny), want: []string{"Deny AliasWithRevisionBased"}},
		"but not where it is soft":              {change: create(namespace("new", "istio.io/use-waypoint=waypoint")), policy: levelled(skew.WaypointMissing, skew.Deny), want: []string{"Warn WaypointMissing"}},
		"a dry run hears what the write would":  {mesh: inPlace("v1.24.3"), change: dryRun(two), want: []string{"Deny InPlaceStep"}},
		"pointers are as good as values":        {mesh: inPlace("v1.24.3"), change: update(new(istio("v1.24.3", skew.InPlace)), new(istio("v1.26.0", skew.InPlace))), want: []string{"Deny InPlaceStep"}},
		"an Old of another kind is no Old":      {mesh: inPlace("v1.24.3"), change: update(cni("v1.24.3"), istio("v1.26.0", skew.InPlace)), want: []string{"Deny InPlaceStep"}},
		"an update without Old finds it":        {mesh: inPlace("v1.24.3"), change: update(nil, istio("v1.26.0", skew.InPlace)), want: []string{"Deny InPlaceStep"}},
		"a deletion without Old finds it":       {mesh: ambient("v1.24.3"), change: skew.Change{Operation: skew.Delete, New: ztunnel("v1.24.3")}, want: []string{"Deny InUseDelete"}},
		"an object in nobody's mesh is created": {change: update(nil, tag("prod", "Istio", "missing", "")), want: []string{"Deny TagTarget"}},
		"nothing at all is nothing":             {change: skew.Change{Operation: skew.Delete}},
		"a nil pointer is nothing":              {change: skew.Change{Operation: skew.Create, New: (*skew.Istio)(nil)}},
	})
}

func levelled(rule skew.Rule, level skew.Level) *skew.Policy {
	return &skew.Policy{Levels: map[skew.Rule]skew.Level{rule: level}}
}

func dryRun(c skew.Change) skew.Change {
	c.DryRun = true
	return c
}

func TestFindingsSayWhoIsExcused(t *testing.T) {
	mesh := inPlace("v1.24.3")
	two := toVersion(istio("v1.24.3", skew.InPlace), "v1.26.0")
	overridden := skew.Check(&mesh, override(" incident 7 ", two), skew.DefaultPolicy())
	if got := overridden[0]; got.Overridden != "incident 7" || got.Excused {
		t.Errorf("override: Overridden %q, Excused %v", got.Overridden, got.Excused)
	}
	excused := skew.Check(&mesh, override("incident 7", by(operator, two)), skew.DefaultPolicy())
	if got := excused[0]; got.Overridden != "" || !got.Excused {
		t.Errorf("operator: Overridden %q, Excused %v", got.Overridden, got.Excused)
	}
	if skew.Denied(overridden) || skew.Denied(excused) {
		t.Error("a warning denies")
	}
	denied := skew.Check(&mesh, two, skew.DefaultPolicy())
	if !skew.Denied(denied) {
		t.Error("a denial does not deny")
	}
	want := []skew.Ref{
		{Kind: skew.KindIstio, Name: "default", Version: "v1.26.0"},
		{Kind: skew.KindRevision, Name: "default", Version: "v1.24.3"},
	}
	if diff := cmp.Diff(want, denied[0].Objects); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	if w := denied[0].Warning(); len(w) > 120 || w[:12] != "InPlaceStep:" {
		t.Errorf("warning %q", w)
	}
}

// skewed violates every version rule there is: nothing about it is as the policy wants it.
func skewed() skew.Mesh {
	m := inPlace("v1.28.5")
	m.Istios[0].Ambient = true
	m.CNI, m.ZTunnel = new(cni("v1.30.3")), new(ztunnel("v1.25.4"))
	m.Namespaces = []skew.Namespace{
		namespace("bookinfo", "istio-injection=enabled", "istio.io/rev=gone", "istio.io/use-waypoint=gone", "istio.io/dataplane-mode=ambient"),
	}
	m.Workloads = []skew.Workload{
		deployment("bookinfo", "reviews-v1", "default", "v1.24.3"), deployment("bookinfo", "reviews-v2", "default", "v1.30.3"),
	}
	pinned := waypointGateway("bookinfo", "waypoint")
	pinned.ProxyImage, pinned.Revision = "proxyv2:1.24.3", rev("default")
	orphan := waypointGateway("bookinfo", "orphan")
	orphan.Revision = rev("gone")
	m.Gateways = []skew.Gateway{pinned, orphan}
	m.Tags = []routing.Tag{tag("broken", "Istio", "missing", "").Tag}
	return m
}

func TestExistingSkewBlocksNoOtherWrite(t *testing.T) {
	m := skewed()
	deleting := func(o skew.Istio) skew.Istio {
		o.Deleting = true
		return o
	}
	lower := toVersion(istio("v1.28.5", skew.InPlace), "v1.26.0")
	lower.Subresource = "status"
	run(t, map[string]tc{
		"an unrelated field of the Istio":            {mesh: m, change: update(m.Istios[0], edit(m.Istios[0], func(o *skew.Istio) { o.Ambient = false }))},
		"a patch version of the Istio":               {mesh: m, change: toVersion(m.Istios[0], "v1.28.6")},
		"a patch version of a RevisionBased Istio":   {mesh: revisionBasedSkewed(), change: toVersion(istio("v1.28.5", skew.RevisionBased), "v1.28.6")},
		"a patch version of IstioCNI":                {mesh: m, change: toVersion(*m.CNI, "v1.30.4")},
		"a patch version of ZTunnel":                 {mesh: m, change: toVersion(*m.ZTunnel, "v1.25.5")},
		"an update that changes nothing":             {mesh: m, change: update(*m.CNI, *m.CNI)},
		"a status write":                             {mesh: m, change: lower},
		"a repair of IstioCNI in part":               {mesh: m, change: toVersion(*m.CNI, "v1.29.6")},
		"a repair of IstioCNI":                       {mesh: m, change: toVersion(*m.CNI, "v1.28.5")},
		"a repair of ZTunnel in part":                {mesh: m, change: toVersion(*m.ZTunnel, "v1.26.0")},
		"a label of a Namespace":                     {mesh: m, change: update(m.Namespaces[0], namespace("bookinfo", "istio-injection=enabled", "istio.io/rev=gone", "istio.io/use-waypoint=gone", "istio.io/dataplane-mode=ambient", "team=a"))},
		"a repair of a Namespace in part":            {mesh: m, change: update(m.Namespaces[0], namespace("bookinfo", "istio-injection=enabled", "istio.io/use-waypoint=gone"))},
		"a field of a pinned Gateway":                {mesh: m, change: update(m.Gateways[0], edited(m.Gateways[0], func(g *skew.Gateway) { g.WaypointFor = "all" }))},
		"a pinned image that comes nearer":           {mesh: m, change: update(m.Gateways[0], edited(m.Gateways[0], func(g *skew.Gateway) { g.ProxyImage = "proxyv2:1.26.0" }))},
		"a field of an orphaned Gateway":             {mesh: m, change: update(m.Gateways[1], edited(m.Gateways[1], func(g *skew.Gateway) { g.WaypointFor = "all" }))},
		"a finalizer of an Istio that goes":          {mesh: m, change: update(deleting(m.Istios[0]), edit(deleting(m.Istios[0]), func(o *skew.Istio) { o.Version = "v1.20.0" }))},
		"a second DELETE of an Istio that goes":      {mesh: m, change: remove(deleting(m.Istios[0]))},
		"the deletion of an orphaned Gateway":        {mesh: m, change: remove(m.Gateways[1])},
		"the deletion of a tag that leads nowhere":   {mesh: m, change: remove(skew.Tag{Tag: m.Tags[0]})},
		"an object that says again what it declares": {mesh: m, change: update(nil, *m.ZTunnel)},
	})
}

func edit(o skew.Istio, f func(*skew.Istio)) skew.Istio {
	f(&o)
	return o
}

func revisionBasedSkewed() skew.Mesh {
	m := revisionBased("v1.28.5")
	m.CNI, m.ZTunnel = new(cni("v1.30.3")), new(ztunnel("v1.25.4"))
	return m
}

func TestExistingSkewDoesNotGrow(t *testing.T) {
	m := skewed()
	run(t, map[string]tc{
		"IstioCNI further ahead": {mesh: m, change: toVersion(*m.CNI, "v1.31.0"), want: []string{"Deny CNISkew", "Deny CNIZTunnelPair"}},
		"ZTunnel further behind": {mesh: m, change: toVersion(*m.ZTunnel, "v1.24.3"), want: []string{"Deny ZTunnelSkew", "Deny CNIZTunnelPair"}},
		"the control plane down": {mesh: m, change: toVersion(m.Istios[0], "v1.27.3"), want: []string{"Deny DataPlaneAhead", "Deny DataPlaneAhead"}},
		"the control plane up":   {mesh: m, change: toVersion(m.Istios[0], "v1.29.6"), want: []string{"Deny DataPlaneBehind", "Deny ZTunnelSkew"}},
		"a pinned image further": {mesh: m, change: update(m.Gateways[0], edited(m.Gateways[0], func(g *skew.Gateway) { g.ProxyImage = "proxyv2:1.23.0" })), want: []string{"Deny DataPlaneBehind"}},
		"another missing waypoint": {
			mesh: m, want: []string{"Deny WaypointMissing"},
			change: update(m.Namespaces[0], namespace("bookinfo", "istio-injection=enabled", "istio.io/rev=gone", "istio.io/use-waypoint=away", "istio.io/dataplane-mode=ambient")),
		},
	})
}

func TestFindingsDoNotDependOnOrder(t *testing.T) {
	m := skewed()
	m.Istios = append(m.Istios, skew.Istio{Name: "other", Version: "v1.29.6", Active: "other"})
	m.Revisions = append(m.Revisions, revision("other", "v1.29.6"))
	c := toVersion(m.Istios[0], "v1.31.0")
	want := skew.Check(&m, c, skew.DefaultPolicy())
	if len(want) < 3 {
		t.Fatalf("only %d findings", len(want))
	}
	turned := m
	turned.Istios = []skew.Istio{m.Istios[1], m.Istios[0]}
	turned.Revisions = []skew.Revision{m.Revisions[1], m.Revisions[0]}
	turned.Workloads = []skew.Workload{m.Workloads[1], m.Workloads[0]}
	turned.Gateways = []skew.Gateway{m.Gateways[1], m.Gateways[0]}
	if diff := cmp.Diff(want, skew.Check(&turned, c, skew.DefaultPolicy())); diff != "" {
		t.Errorf("findings (-given +turned):\n%s", diff)
	}
}

func TestCheckChangesNothing(t *testing.T) {
	m, kept := skewed(), skewed()
	for _, c := range []skew.Change{toVersion(m.Istios[0], "v1.31.0"), remove(*m.CNI), update(m.Namespaces[0], namespace("bookinfo"))} {
		skew.Check(&m, c, skew.DefaultPolicy())
	}
	if diff := cmp.Diff(kept, m); diff != "" {
		t.Errorf("mesh (-before +after):\n%s", diff)
	}
}

package skew_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// act is one write of a procedure, or where change is nil something that happens by itself.
type act struct {
	name   string
	change func(skew.Mesh) skew.Change
	want   []string
	// then is what the cluster makes of it.
	then func(*skew.Mesh)
}

func play(t *testing.T, m skew.Mesh, acts []act) {
	t.Helper()
	for _, a := range acts {
		if a.change != nil {
			found := skew.Check(&m, a.change(m), skew.DefaultPolicy())
			if diff := cmp.Diff(a.want, levels(found)); diff != "" {
				t.Fatalf("%s: findings (-want +got):\n%s\n%+v", a.name, diff, found)
			}
		}
		if a.then != nil {
			a.then(&m)
		}
	}
}

func always(c skew.Change) func(skew.Mesh) skew.Change {
	return func(skew.Mesh) skew.Change { return c }
}

// TestInstallAndUpdateInPlace is update guide 2.2.2 and 2.2.3, with the states that the real operator goes through.
func TestInstallAndUpdateInPlace(t *testing.T) {
	first := skew.Istio{Name: "default", Namespace: "istio-system", Version: "v1.29.6"}
	play(t, skew.Mesh{}, []act{
		{
			name: "label the namespace before there is a mesh", change: always(create(namespace("bookinfo", "istio-injection=enabled"))),
			then: func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")} },
		},
		{name: "create IstioCNI", change: always(create(withoutPods(cni("v1.29.6")))), then: func(m *skew.Mesh) { m.CNI = new(cni("v1.29.6")) }},
		{name: "create Istio", change: always(create(first)), then: func(m *skew.Mesh) { m.Istios = []skew.Istio{first} }},
		{
			name: "the operator creates the IstioRevision", change: always(by(operator, create(skew.Revision{Revision: revision("default", "v1.29.6").Revision}))),
			then: func(m *skew.Mesh) { *m = inPlace("v1.29.6"); m.CNI = new(cni("v1.29.6")) },
		},
		{name: "pods appear", then: func(m *skew.Mesh) {
			m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "v1.29.6")}
		}},
		{
			name: "patch Istio", change: always(toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3")),
			then: func(m *skew.Mesh) { m.Istios[0].Version, m.Istios[0].Observed = "v1.30.3", false },
		},
		{name: "patch IstioCNI too early", change: always(toVersion(cni("v1.29.6"), "v1.30.3")), want: []string{"Deny CNISkew"}},
		{
			name: "the operator updates the IstioRevision", change: always(by(operator, toVersion(revision("default", "v1.29.6"), "v1.30.3"))),
			then: func(m *skew.Mesh) {
				m.Istios[0].Observed = true
				m.Revisions[0].Version = "v1.30.3"
				m.Revisions[0].Istiod = rolling("1.29.6", "1.30.3")
			},
		},
		{name: "patch IstioCNI while istiod rolls", change: always(toVersion(cni("v1.29.6"), "v1.30.3")), want: []string{"Deny CNISkew"}},
		{name: "istiod has rolled", then: func(m *skew.Mesh) { m.Revisions[0].Istiod = runs("v1.30.3") }},
		{
			name: "the next minor before the restart", change: always(toVersion(istio("v1.30.3", skew.InPlace), "v1.31.0-beta.1")),
			want: []string{"Deny DataPlaneBehind", "Deny CNISkew"},
		},
		{name: "patch IstioCNI", change: always(toVersion(cni("v1.29.6"), "v1.30.3")), then: func(m *skew.Mesh) {
			m.CNI.Version, m.CNI.DaemonSet = "v1.30.3", rolling("1.29.6", "1.30.3")
		}},
		{
			name: "the next minor while the DaemonSet rolls", change: always(toVersion(istio("v1.30.3", skew.InPlace), "v1.31.0-beta.1")),
			want: []string{"Deny DataPlaneBehind", "Deny CNISkew"},
		},
		{name: "restart", then: func(m *skew.Mesh) {
			m.CNI = new(cni("v1.30.3"))
			m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "v1.30.3")}
		}},
		{name: "the next minor after it", change: always(toVersion(istio("v1.30.3", skew.InPlace), "v1.31.0-beta.1"))},
	})
}

// TestUpdateRevisionBasedWithTag is update guide 2.3.4 and 2.3.5.
func TestUpdateRevisionBasedWithTag(t *testing.T) {
	const old, next = "default-v1-29-6", "default-v1-30-3"
	start := revisionBased("v1.29.6")
	start.CNI = new(cni("v1.29.6"))
	bookinfo := namespace("bookinfo", "istio-injection=enabled")
	play(t, start, []act{
		{
			name: "create the tag", change: always(create(tag("default", "Istio", "default", ""))),
			then: func(m *skew.Mesh) { m.Tags = []routing.Tag{tag("default", "Istio", "default", old).Tag} },
		},
		{name: "label the namespace", change: always(create(bookinfo)), then: func(m *skew.Mesh) {
			m.Namespaces = []skew.Namespace{bookinfo}
			m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", old, "v1.29.6")}
		}},
		{
			name: "patch Istio", change: always(toVersion(istio("v1.29.6", skew.RevisionBased), "v1.30.3")),
			then: func(m *skew.Mesh) { m.Istios[0].Version, m.Istios[0].Observed = "v1.30.3", false },
		},
		{
			name: "the operator creates the IstioRevision", change: always(by(operator, create(skew.Revision{Revision: revision(next, "v1.30.3").Revision}))),
			then: func(m *skew.Mesh) {
				r := revision(next, "v1.30.3")
				r.Istiod, r.Ready = skew.Rollout{}, skew.NotObserved
				m.Revisions = append(m.Revisions, r)
				m.Istios[0].Active, m.Istios[0].Observed = next, true
			},
		},
		{name: "istiod runs, the tag flips", then: func(m *skew.Mesh) {
			m.Revisions[1] = revision(next, "v1.30.3")
			m.Tags[0].Revision = next
		}},
		{name: "IstioCNI stays while pods use the old revision", change: always(toVersion(cni("v1.29.6"), "v1.30.3")), want: []string{"Deny CNISkew"}},
		{name: "the old revision stays too", change: always(remove(revision(old, "v1.29.6"))), want: []string{"Deny InUseDelete"}},
		{name: "restart", then: func(m *skew.Mesh) { m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", next, "v1.30.3")} }},
		{name: "IstioCNI follows", change: always(toVersion(cni("v1.29.6"), "v1.30.3")), then: func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) }},
		{name: "the operator prunes", change: always(by(operator, remove(revision(old, "v1.29.6")))), then: func(m *skew.Mesh) { m.Revisions = m.Revisions[1:] }},
		{name: "a tag with the name of a revision", change: always(create(tag(next, "Istio", "default", ""))), want: []string{"Deny NameConflict"}},
		{name: "a tag of nothing", change: always(create(tag("broken", "Istio", "missing", ""))), want: []string{"Deny TagTarget"}},
	})
}

// TestUpdateAmbient is update guide 3.1 to 3.7: Istio, IstioCNI, ZTunnel, and waypoints that follow by themselves.
func TestUpdateAmbient(t *testing.T) {
	start := ambient("v1.29.6")
	start.Gateways = []skew.Gateway{waypointGateway("bookinfo", "waypoint")}
	proxy := func(version string) []skew.Workload {
		return []skew.Workload{{Namespace: "bookinfo", Kind: "Deployment", Name: "waypoint", Role: skew.WaypointProxy, Revision: "default", Version: version, Pods: 1}}
	}
	start.Workloads = proxy("v1.29.6")
	start.ZTunnel.GraceSeconds = 30
	play(t, start, []act{
		{name: "patch Istio", change: always(toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3")), then: func(m *skew.Mesh) {
			m.Istios[0].Version = "v1.30.3"
			m.Revisions[0] = revision("default", "v1.30.3")
			m.Workloads = proxy("v1.30.3")
		}},
		{name: "patch IstioCNI", change: func(m skew.Mesh) skew.Change { return toVersion(*m.CNI, "v1.30.3") }, then: func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) }},
		{name: "patch ZTunnel", change: func(m skew.Mesh) skew.Change { return toVersion(*m.ZTunnel, "v1.30.3") }, want: []string{"Warn ZTunnelDrain"}},
		{name: "give connections time first", change: func(m skew.Mesh) skew.Change {
			z := *m.ZTunnel
			z.GraceSeconds = 300
			return update(*m.ZTunnel, z)
		}, then: func(m *skew.Mesh) { m.ZTunnel.GraceSeconds = 300 }},
		{name: "patch ZTunnel again", change: func(m skew.Mesh) skew.Change { return toVersion(*m.ZTunnel, "v1.30.3") }, then: func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.30.3")) }},
		{
			name: "back is too late with a waypoint at the new version", change: func(m skew.Mesh) skew.Change { return toVersion(m.Istios[0], "v1.29.6") },
			want: []string{"Deny DataPlaneAhead", "Deny DataPlaneAhead", "Deny DataPlaneAhead"},
		},
		{
			name: "take the namespace out", change: func(m skew.Mesh) skew.Change { return update(m.Namespaces[0], namespace("bookinfo")) },
			then: func(m *skew.Mesh) { m.Namespaces, m.Gateways, m.Workloads = nil, nil, nil },
		},
		{name: "Istio goes last", change: func(m skew.Mesh) skew.Change { return remove(m.Istios[0]) }, want: []string{"Deny InUseDelete"}},
		{name: "ZTunnel goes first", change: func(m skew.Mesh) skew.Change { return remove(*m.ZTunnel) }, then: func(m *skew.Mesh) { m.ZTunnel = nil }},
		{name: "then Istio", change: func(m skew.Mesh) skew.Change { return remove(m.Istios[0]) }, then: func(m *skew.Mesh) { m.Istios[0].Deleting = true }},
		{
			name: "the garbage collector takes the revision", change: func(m skew.Mesh) skew.Change {
				return by("system:serviceaccount:kube-system:generic-garbage-collector", remove(m.Revisions[0]))
			},
			then: func(m *skew.Mesh) { m.Istios, m.Revisions = nil, nil },
		},
		{name: "then IstioCNI", change: func(m skew.Mesh) skew.Change { return remove(*m.CNI) }},
	})
}

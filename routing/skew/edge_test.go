package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Cases at the edges of what counts, one for each condition that the other tables leave open.

func TestWhatContinuesIsNotWorse(t *testing.T) {
	pinned := func(revision string) skew.Gateway {
		return edited(waypointGateway("bookinfo", "waypoint"), func(g *skew.Gateway) { g.Revision, g.ProxyImage = rev(revision), "proxyv2:1.24.3" })
	}
	twins := revisionBased("v1.26.0", "v1.26.1")
	behind := revisionBased("v1.28.5")
	behind.CNI = new(cni("v1.26.0"))
	run(t, map[string]tc{
		"a pinned Gateway that moves between revisions of one minor": {mesh: twins, change: update(pinned("default-v1-26-0"), pinned("default-v1-26-1"))},
		"a new revision that is ahead where the old one was behind": {
			mesh: behind, change: toVersion(istio("v1.28.5", skew.RevisionBased), "v1.25.4"),
			want: []string{"Deny SingletonSqueeze"},
			says: []string{"Go through v1.27 first", "deployment/istiod-default-v1-27-<patch>"},
		},
		"the same with the squeeze switched off": {
			mesh: behind, change: toVersion(istio("v1.28.5", skew.RevisionBased), "v1.25.4"),
			policy: levelled(skew.SingletonSqueeze, skew.Off), want: []string{"Deny CNISkew"},
		},
		"a step in place that is still too wide, but less": {
			mesh:   with(inPlace("v1.27.3"), func(m *skew.Mesh) { m.Revisions[0].Istiod = runs("v1.24.3") }),
			change: toVersion(istio("v1.27.3", skew.InPlace), "v1.26.0"),
		},
		"back to a revision that is as far from IstioCNI as the other": {
			mesh:   with(revisionBased("v1.28.5", "v1.28.6"), func(m *skew.Mesh) { m.CNI = new(cni("v1.26.0")) }),
			change: toVersion(istio("v1.28.6", skew.RevisionBased), "v1.28.5"),
		},
		"a gap that was there before": {
			mesh: with(revisionBased("v1.26.0", "v1.28.5"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.26.0"))
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default-v1-26-0", "v1.26.0")}
			}),
			change: toVersion(istio("v1.28.5", skew.RevisionBased), "v1.28.6"),
		},
		"the steps of one control plane are no gap": {
			mesh:   with(inPlace("v1.24.3"), func(m *skew.Mesh) { m.CNI = new(cni("v1.24.3")) }),
			change: toVersion(istio("v1.24.3", skew.InPlace), "v1.26.0"), want: []string{"Deny InPlaceStep", "Deny CNISkew"},
		},
		"singletons that are too far apart may come nearer": {
			mesh:   skew.Mesh{CNI: new(cni("v1.24.3")), ZTunnel: new(ztunnel("v1.28.5"))},
			change: toVersion(cni("v1.24.3"), "v1.26.0"),
		},
	})
}

func TestRolloutsThatAreNotDone(t *testing.T) {
	raise := toVersion(cni("v1.29.6"), "v1.30.3")
	istiod := func(r skew.Rollout) skew.Mesh {
		m := ambient("v1.30.3")
		m.CNI, m.ZTunnel = new(cni("v1.29.6")), new(ztunnel("v1.29.6"))
		m.Revisions[0].Istiod = r
		return m
	}
	remote := istiod(runs("v1.30.3"))
	other := revision("far", "v1.30.3")
	other.Istio, other.Istiod, other.Ready, other.Remote = "far", skew.Rollout{}, skew.NotReady, true
	remote.Revisions = append(remote.Revisions, other)
	remote.Istios = append(remote.Istios, skew.Istio{Name: "far", Version: "v1.30.3", Remote: true, Active: "far", Observed: true})
	run(t, map[string]tc{
		"a Deployment that its controller has not seen": {
			mesh: istiod(skew.Rollout{Found: true, Version: "1.30.3", Pods: 1, Updated: 1, Ready: 1}), change: raise, want: []string{"Deny CNISkew"},
		},
		"pods that are known beat the Deployment": {
			mesh: istiod(skew.Rollout{Found: true, Version: "1.30.3", Pods: 1, Updated: 1, Ready: 1, PodVersions: []string{"1.30.3", "1.30.3"}}), change: raise,
		},
		"a Deployment without a version is not judged": {
			mesh: istiod(skew.Rollout{Found: true, Observed: true, Pods: 1, Updated: 1, Ready: 1}), change: raise,
		},
		"a remote control plane beside one that runs": {mesh: remote, change: raise},
		"ZTunnel's pods that IstioCNI would leave too far behind": {
			mesh:   skew.Mesh{CNI: new(cni("v1.29.6")), ZTunnel: new(with3(ztunnel("v1.29.6"), rolling("1.28.5", "1.29.6")))},
			change: raise, want: []string{"Deny CNIZTunnelPair"}, says: []string{"pods of ZTunnel default that run v1.28.5", "kubectl rollout status daemonset/ztunnel -n ztunnel"},
		},
	})
}

func onDelete(z skew.ZTunnel) skew.ZTunnel {
	z.OnDelete = true
	return z
}

func with3(z skew.ZTunnel, r skew.Rollout) skew.ZTunnel {
	z.DaemonSet = r
	return z
}

func TestStatusOfNewDoesNotCount(t *testing.T) {
	bare := func(version string) skew.Istio {
		return skew.Istio{Name: "default", Namespace: "istio-system", Version: version, Strategy: skew.RevisionBased}
	}
	cniMesh := with(revisionBased("v1.24.3"), func(m *skew.Mesh) { m.CNI = new(cni("v1.24.3")) })
	onlyReady := inPlace("v1.24.3")
	onlyReady.Revisions[0].Istiod = skew.Rollout{}
	edited := onlyReady.Revisions[0]
	edited.Version, edited.Ready = "v1.26.0", skew.NotObserved
	rolled := with(ambient("v1.30.3"), func(m *skew.Mesh) {
		m.CNI.DaemonSet = rolling("1.29.6", "1.30.3")
		m.ZTunnel = new(ztunnel("v1.29.6"))
	})
	wrongPods := *rolled.CNI
	wrongPods.Version, wrongPods.DaemonSet = "v1.30.4", runs("v1.25.4")
	patched := skewed().Revisions[0]
	patched.Istiod = skew.Rollout{}
	aliased := istio("v1.30-latest", skew.RevisionBased)
	run(t, map[string]tc{
		"an Istio from a file keeps its active revision": {
			mesh: cniMesh, change: update(cniMesh.Istios[0], bare("v1.26.0")), want: []string{"Deny SingletonSqueeze"},
		},
		"an IstioRevision from a file runs what it ran": {mesh: onlyReady, change: update(onlyReady.Revisions[0], edited), want: []string{"Deny InPlaceStep"}, says: []string{"from v1.24.3 to v1.26.0"}},
		"an IstioRevision of which only Ready is known, in a skewed mesh": {
			mesh:   with(skewed(), func(m *skew.Mesh) { m.Revisions = []skew.Revision{patched} }),
			change: toVersion(patched, "v1.28.6"),
		},
		"an IstioCNI keeps its pods": {mesh: rolled, change: update(*rolled.CNI, wrongPods)},
		"an alias that was there":    {mesh: revisionBased("v1.30.3"), change: update(aliased, edit(aliased, func(o *skew.Istio) { o.Ambient = true }))},
		"a tag points where it did": {
			mesh: with(revisionBased("v1.29.6", "v1.30.3"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.30.3"))
				m.Tags = []routing.Tag{tag("prod", "Istio", "default", "default-v1-30-3").Tag}
			}),
			change: update(tag("prod", "Istio", "default", "default-v1-30-3"), tag("prod", "IstioRevision", "default-v1-30-3", "default-v1-29-6")),
		},
	})
}

func TestWhatIsBeingDeletedDoesNotCount(t *testing.T) {
	mesh := revisionBased("v1.29.6", "v1.30.3")
	mesh.CNI = new(cni("v1.29.6"))
	going := func(n skew.Namespace) skew.Namespace {
		n.Deleting = true
		return n
	}
	old := tag("old", "IstioRevision", "default-v1-29-6", "default-v1-29-6")
	old.Deleting = true
	gateway := edited(waypointGateway("bookinfo", "waypoint"), func(g *skew.Gateway) { g.Revision, g.Deleting = rev("default-v1-29-6"), true })
	z := ztunnel("v1.29.6")
	z.TargetKind, z.TargetName, z.Deleting = "IstioRevision", "default-v1-29-6", true
	raise := toVersion(cni("v1.29.6"), "v1.30.3")
	goingZ, goingCNI := ztunnel("v1.25.4"), cni("v1.25.4")
	goingZ.Deleting, goingCNI.Deleting = true, true
	waypoint := waypointGateway("infra", "waypoint")
	run(t, map[string]tc{
		"a namespace": {mesh: with(mesh, func(m *skew.Mesh) {
			m.Namespaces = []skew.Namespace{going(namespace("bookinfo", "istio.io/rev=default-v1-29-6"))}
		}), change: raise},
		"a tag":                      {mesh: with(mesh, func(m *skew.Mesh) { m.Tags = []routing.Tag{old.Tag} }), change: raise},
		"a Gateway":                  {mesh: with(mesh, func(m *skew.Mesh) { m.Gateways = []skew.Gateway{gateway} }), change: raise},
		"a ZTunnel":                  {mesh: with(mesh, func(m *skew.Mesh) { m.ZTunnel = &z }), change: raise},
		"a ZTunnel in its version":   {mesh: with(inPlace("v1.26.0"), func(m *skew.Mesh) { m.ZTunnel = &goingZ }), change: toVersion(istio("v1.26.0", skew.InPlace), "v1.27.3")},
		"an IstioCNI in its version": {mesh: with(inPlace("v1.26.0"), func(m *skew.Mesh) { m.CNI = &goingCNI }), change: toVersion(istio("v1.26.0", skew.InPlace), "v1.27.3")},
		"an ambient namespace": {mesh: with(mesh, func(m *skew.Mesh) {
			m.Namespaces = []skew.Namespace{going(namespace("bookinfo", "istio.io/dataplane-mode=ambient"))}
		}), change: remove(ztunnel("v1.29.6"))},
		"a namespace that uses a waypoint": {
			mesh: with(mesh, func(m *skew.Mesh) {
				m.Gateways = []skew.Gateway{waypoint}
				m.Namespaces = []skew.Namespace{going(namespace("infra", "istio.io/use-waypoint=waypoint"))}
			}),
			change: remove(waypoint),
		},
		"a write of a namespace that goes": {mesh: mesh, change: update(going(namespace("shop")), going(namespace("shop", "istio.io/rev=gone")))},
		"a namespace with its own waypoint": {
			mesh: with(mesh, func(m *skew.Mesh) {
				m.Gateways = []skew.Gateway{waypoint}
				m.Namespaces = []skew.Namespace{namespace("infra", "istio.io/use-waypoint=waypoint")}
			}),
			change: remove(namespace("infra", "istio.io/use-waypoint=waypoint")),
		},
		"a revision whose Istio goes": {
			mesh: with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.Istios[0].Deleting = true }), change: remove(revision("default", "v1.29.6")),
		},
	})
}

func TestEnableNamespacesByDefault(t *testing.T) {
	leftover := inPlace("v1.29.6")
	leftover.Istios, leftover.Namespaces = nil, nil
	leftover.Revisions[0].Injection.EnableNamespacesByDefault = true
	leftover.Revisions[0].Istio = ""
	leftover.CNI = new(cni("v1.29.6"))
	run(t, map[string]tc{
		"a default revision for every namespace is live":  {mesh: leftover, change: toVersion(cni("v1.29.6"), "v1.30.3"), want: []string{"Deny CNISkew"}, says: []string{"which every unlabelled namespace uses", "kubectl"}},
		"but may be deleted once it has no pods":          {mesh: leftover, change: remove(leftover.Revisions[0])},
		"an Istio takes over a revision without an owner": {mesh: leftover, change: create(skew.Istio{Name: "default", Version: "v1.29.6"})},
		"a namespace's own label beats that of its pods": {
			mesh: with(revisionBased("v1.29.6", "v1.30.3"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.29.6"))
				m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-30-3")}
				m.Workloads = []skew.Workload{{Namespace: "bookinfo", Kind: "Deployment", Name: "app", Label: "default-v1-29-6", Pods: 1}}
			}),
			change: toVersion(cni("v1.29.6"), "v1.30.3"),
		},
	})
}

func TestOddsAndEnds(t *testing.T) {
	ownerless := with(revisionBased("v1.29.6"), func(m *skew.Mesh) {
		m.Revisions[0].Istio = ""
		m.Tags = []routing.Tag{tag("prod", "Istio", "default", "").Tag}
	})
	both := revisionBased("v1.29.6", "v1.30.3")
	both.CNI = new(cni("v1.29.6"))
	remote := revisionBased("v1.30.3")
	remote.Revisions[0].Remote = true
	open := edited(waypointGateway("infra", "open"), func(g *skew.Gateway) { g.Listeners[0].From = "Selector" })
	digest := deployment("bookinfo", "reviews", "other", "")
	unread := with(inPlace("v1.29.6"), func(m *skew.Mesh) {
		m.Revisions = append(m.Revisions, revision("other", "v1.29.6"))
		m.Workloads = []skew.Workload{digest}
	})
	run(t, map[string]tc{
		"an active revision without an owner reference is the Istio's": {
			mesh: ownerless, change: create(namespace("shop", "istio.io/rev=prod")),
		},
		"pods that run with a revision and name it count once": {
			mesh: with(both, func(m *skew.Mesh) {
				w := deployment("plain", "app", "default-v1-29-6", "v1.29.6")
				w.Label = "default-v1-29-6"
				m.Workloads = []skew.Workload{w}
			}),
			change: toVersion(cni("v1.29.6"), "v1.30.3"), want: []string{"Deny CNISkew"}, says: []string{"which 2 pods still use."},
		},
		"an Istio whose active revision is remote is no target": {
			mesh: remote, change: create(tag("prod", "Istio", "default", "")), want: []string{"Deny TagTarget"},
		},
		"a selector without requirements admits everybody": {
			mesh:   with(ambient("v1.30.3"), func(m *skew.Mesh) { m.Gateways = []skew.Gateway{open} }),
			change: update(namespace("bookinfo"), namespace("bookinfo", "istio.io/use-waypoint=open", "istio.io/use-waypoint-namespace=infra")),
		},
		"proxies that cannot be read, of another revision": {mesh: unread, change: toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3")},
		"proxies that cannot be read, and the minor stays": {mesh: unread, change: toVersion(revision("other", "v1.29.6"), "v1.29.7")},
		"a control plane that cannot be read": {
			mesh:   with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.Istios[0].Version = "master"; m.Revisions[0] = revision("default", "nightly") }),
			change: create(cni("v1.30.3")), want: []string{"Warn UnknownVersion"}, says: []string{"IstioCNI default v1.30.3 is not judged against IstioRevision default"},
		},
		"an IstioRevision that a user made is raised itself": {
			mesh: with(inPlace("v1.29.6"), func(m *skew.Mesh) {
				m.Istios, m.CNI = nil, new(cni("v1.29.6"))
				m.Revisions[0].Istio = ""
			}),
			change: toVersion(cni("v1.29.6"), "v1.30.3"), want: []string{"Deny CNISkew"},
			says: []string{"which namespace bookinfo still asks for. Raise the control plane first and wait for it: kubectl patch istiorevision default"},
		},
	})
}

package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func TestSingletonsFollowTheRunningControlPlane(t *testing.T) {
	written := with(ambient("v1.29.6"), func(m *skew.Mesh) {
		m.Istios[0].Version, m.Istios[0].Observed = "v1.30.3", false
	})
	reconciled := with(ambient("v1.29.6"), func(m *skew.Mesh) {
		m.Istios[0].Version = "v1.30.3"
		m.Revisions[0].Version = "v1.30.3"
	})
	running := with(reconciled, func(m *skew.Mesh) {
		m.Revisions = []skew.Revision{revision("default", "v1.30.3")}
	})
	cniRaised := with(running, func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) })
	half := with(reconciled, func(m *skew.Mesh) {
		m.Revisions = []skew.Revision{revision("default", "v1.30.3")}
		m.Revisions[0].Istiod = skew.Rollout{Found: true, Version: "1.30.3", Observed: true, Pods: 2, Updated: 1, Ready: 1}
	})
	raiseCNI := toVersion(cni("v1.29.6"), "v1.30.3")
	raiseZTunnel := toVersion(ztunnel("v1.29.6"), "v1.30.3")
	run(t, map[string]tc{
		"the Istio of one apply passes": {mesh: ambient("v1.29.6"), change: toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3")},
		"its IstioCNI has to wait for the control plane": {mesh: written, change: raiseCNI, want: []string{"Deny CNISkew"}, says: []string{
			"which declares v1.30.3 but still runs v1.29.6", "wait for the control plane: kubectl rollout status deployment/istiod -n istio-system; then retry.",
		}},
		"its ZTunnel has to wait for the control plane":     {mesh: written, change: raiseZTunnel, want: []string{"Deny ZTunnelSkew"}, says: []string{"wait for"}},
		"still so once the IstioRevision is written":        {mesh: reconciled, change: raiseCNI, want: []string{"Deny CNISkew"}, says: []string{"wait for"}},
		"still so while istiod rolls, old pods not known":   {mesh: half, change: raiseCNI, want: []string{"Deny CNISkew"}, says: []string{"has not replaced all its pods yet", "wait for"}},
		"applied again once istiod runs it IstioCNI passes": {mesh: running, change: raiseCNI},
		"and so does ZTunnel":                               {mesh: cniRaised, change: raiseZTunnel},
		"ZTunnel before IstioCNI is refused": {mesh: running, change: raiseZTunnel, want: []string{"Deny CNIZTunnelPair"}, says: []string{
			"CNIZTunnelPair: ZTunnel default v1.30.3 would be ahead of IstioCNI default v1.29.6. Raise IstioCNI first and wait for it: " +
				`kubectl patch istiocni default --type=merge -p '{"spec":{"version":"v1.30.3"}}'; ` +
				"kubectl rollout status daemonset/istio-cni-node -n istio-cni; then retry.",
		}},
		"ZTunnel while IstioCNI rolls out": {
			mesh:   with(running, func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")); m.CNI.DaemonSet = rolling("1.29.6", "1.30.3") }),
			change: raiseZTunnel, want: []string{"Deny CNIZTunnelPair"}, says: []string{
				"would be ahead of pods of IstioCNI default that run v1.29.6. First wait for the DaemonSet: kubectl rollout status daemonset/istio-cni-node",
			},
		},
		"IstioCNI goes back before ZTunnel": {
			mesh: ambient("v1.30.3"), change: toVersion(cni("v1.30.3"), "v1.29.6"), want: []string{"Deny CNIZTunnelPair"}, says: []string{
				"IstioCNI default v1.29.6 would be behind ZTunnel default v1.30.3. Lower ZTunnel first and wait for it: kubectl patch ztunnel default",
			},
		},
		"IstioCNI goes back after ZTunnel": {
			mesh: with(ambient("v1.30.3"), func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.29.6")) }), change: toVersion(cni("v1.30.3"), "v1.29.6"),
		},
		"ZTunnel goes back first":                 {mesh: ambient("v1.30.3"), change: toVersion(ztunnel("v1.30.3"), "v1.29.6")},
		"with declared versions all pass at once": {mesh: written, change: raiseCNI, policy: &skew.Policy{ControlPlaneVersion: skew.Declared}},
		"one istiod pod of three that is not ready does not matter": {
			mesh: with(running, func(m *skew.Mesh) {
				r := revision("default", "v1.30.3")
				r.Istiod = skew.Rollout{Found: true, Version: "1.30.3", Observed: true, Pods: 3, Updated: 3, Ready: 2}
				r.Ready = skew.NotReady
				m.Revisions = []skew.Revision{r}
			}),
			change: raiseCNI,
		},
		"ahead of what is declared needs the control plane raised": {
			mesh: ambient("v1.29.6"), change: raiseCNI,
			want: []string{"Deny CNISkew"},
			says: []string{
				"CNISkew: IstioCNI default v1.30.3 would run ahead of revision default (v1.29.6), the active revision of Istio default.",
				"Raise the control plane first and wait for it: kubectl patch istio default",
			},
		},
		"two minors behind is refused": {
			mesh: ambient("v1.30.3"), change: toVersion(cni("v1.30.3"), "v1.28.5"),
			want: []string{"Deny CNISkew", "Deny CNIZTunnelPair"},
			says: []string{"would be behind revision default (v1.30.3), the active revision of Istio default, by more than one minor version", "Choose a version from v1.29 to v1.30"},
		},
		"one minor behind is fine": {mesh: ambient("v1.30.3"), change: toVersion(ztunnel("v1.30.3"), "v1.29.6")},
		"where only the condition Ready is known, it counts": {
			mesh: with(running, func(m *skew.Mesh) {
				r := revision("default", "v1.30.3")
				r.Istiod = skew.Rollout{}
				m.Revisions = []skew.Revision{r}
			}),
			change: raiseCNI,
		},
		"where it is not ready, nothing follows": {
			mesh: with(running, func(m *skew.Mesh) {
				r := revision("default", "v1.30.3")
				r.Istiod, r.Ready = skew.Rollout{}, skew.NotReady
				m.Revisions = []skew.Revision{r}
			}),
			change: raiseCNI, want: []string{"Deny CNISkew"}, says: []string{"does not run yet", "wait for"},
		},
		"a remote control plane counts as it is declared": {
			mesh: with(running, func(m *skew.Mesh) {
				r := revision("default", "v1.30.3")
				r.Istiod, r.Ready, r.Remote = skew.Rollout{}, skew.NotReady, true
				m.Revisions = []skew.Revision{r}
			}),
			change: raiseCNI,
		},
		"manifests without status count as they are declared": {
			mesh: with(ambient("v1.30.3"), func(m *skew.Mesh) {
				m.Istios[0].Active, m.Istios[0].Observed = "", false
				m.Revisions, m.CNI = nil, new(cni("v1.29.6"))
				m.CNI.DaemonSet = skew.Rollout{}
			}),
			change: raiseCNI,
		},
	})
}

func TestFirstInstallation(t *testing.T) {
	fresh := skew.Mesh{Istios: []skew.Istio{{Name: "default", Namespace: "istio-system", Version: "v1.29.6", Ambient: true}}}
	starting := with(fresh, func(m *skew.Mesh) {
		r := revision("default", "v1.29.6")
		r.Istiod, r.Ready = skew.Rollout{Found: true, Version: "1.29.6", Observed: true, Pods: 1, Updated: 1}, skew.NotReady
		m.Revisions = []skew.Revision{r}
	})
	run(t, map[string]tc{
		"IstioCNI before everything":              {change: create(cni("v1.29.6"))},
		"Istio after IstioCNI":                    {mesh: skew.Mesh{CNI: new(cni("v1.29.6"))}, change: create(fresh.Istios[0])},
		"Istio below IstioCNI is refused":         {mesh: skew.Mesh{CNI: new(cni("v1.30.3"))}, change: create(fresh.Istios[0]), want: []string{"Deny CNISkew"}},
		"IstioCNI and ZTunnel right after Istio":  {mesh: with(fresh, func(m *skew.Mesh) { m.CNI = new(cni("v1.29.6")) }), change: create(ztunnel("v1.29.6"))},
		"IstioCNI while istiod starts":            {mesh: starting, change: create(cni("v1.29.6"))},
		"IstioCNI ahead of an istiod that starts": {mesh: starting, change: create(cni("v1.30.3")), want: []string{"Deny CNISkew"}},
		"ZTunnel far from IstioCNI without a mesh": {
			mesh: skew.Mesh{CNI: new(cni("v1.28.5"))}, change: create(ztunnel("v1.30.3")), want: []string{"Deny CNIZTunnelPair"},
		},
		"a version of IstioCNI that cannot be read": {mesh: starting, change: create(cni("master")), want: []string{"Warn UnknownVersion"}},
	})
}

func TestSingletonsFitEveryLiveRevision(t *testing.T) {
	both := revisionBased("v1.29.6", "v1.30.3")
	both.CNI, both.ZTunnel = new(cni("v1.29.6")), new(ztunnel("v1.29.6"))
	both.ZTunnel.TargetKind, both.ZTunnel.TargetName = "Istio", "default"
	used := with(both, func(m *skew.Mesh) {
		w := deployment("bookinfo", "reviews-v1", "default-v1-29-6", "v1.29.6")
		w.Pods = 14
		m.Workloads = []skew.Workload{w}
		m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-30-3")}
	})
	named := func(label string) skew.Mesh {
		return with(both, func(m *skew.Mesh) { m.Namespaces = []skew.Namespace{namespace("bookinfo", label)} })
	}
	raise := toVersion(cni("v1.29.6"), "v1.30.3")
	raiseZTunnel := toVersion(*both.ZTunnel, "v1.30.3")
	run(t, map[string]tc{
		"they may stay where both fit": {mesh: used, change: toVersion(cni("v1.29.6"), "v1.29.4")},
		"pods of the old revision hold IstioCNI back, with what to do about it": {
			mesh: used, change: raise, want: []string{"Deny CNISkew"},
			says: []string{"CNISkew: IstioCNI default v1.30.3 would run ahead of revision default-v1-29-6 (v1.29.6), which 14 pods still use. " +
				"Move them first: kubectl rollout restart deployment -n bookinfo; then retry."},
		},
		"and ZTunnel": {mesh: used, change: raiseZTunnel, want: []string{"Deny ZTunnelSkew"}},
		"once the old revision is unused they go up": {mesh: both, change: raise},
		"and then ZTunnel too":                       {mesh: with(both, func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) }), change: raiseZTunnel},
		"a namespace that names it holds back": {
			mesh: named("istio.io/rev=default-v1-29-6"), change: raise, want: []string{"Deny CNISkew"},
			says: []string{"which namespace bookinfo still asks for", "kubectl label namespace bookinfo istio.io/rev=default-v1-30-3 --overwrite"},
		},
		"a tag that points at it holds back": {
			mesh: with(both, func(m *skew.Mesh) {
				m.Tags = []routing.Tag{tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6").Tag}
			}),
			change: raise, want: []string{"Deny CNISkew"},
			says: []string{"which tag prod still points at", "kubectl patch istiorevisiontag prod"},
		},
		"a Gateway that names it holds back": {
			mesh: with(both, func(m *skew.Mesh) {
				g := waypointGateway("bookinfo", "waypoint")
				g.Revision = routing.Label{Value: "default-v1-29-6", Present: true}
				m.Gateways = []skew.Gateway{g}
			}),
			change: raise, want: []string{"Deny CNISkew"}, says: []string{"kubectl label gateway waypoint -n bookinfo istio.io/rev=default-v1-30-3 --overwrite"},
		},
		"a ZTunnel that refers to it holds back": {
			mesh: with(both, func(m *skew.Mesh) {
				z := ztunnel("v1.29.6")
				z.TargetKind, z.TargetName = "IstioRevision", "default-v1-29-6"
				m.ZTunnel = &z
			}),
			change: raise, want: []string{"Deny CNISkew"}, says: []string{"which ZTunnel connects to"},
		},
		"a pod whose own label names it holds back": {
			mesh: with(both, func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{{Namespace: "plain", Kind: "Deployment", Name: "app", Label: "default-v1-29-6", Pods: 1}}
			}),
			change: raise, want: []string{"Deny CNISkew"}, says: []string{"which 1 pod still uses"},
		},
		"a namespace that switches injection off does not": {mesh: with(both, func(m *skew.Mesh) {
			m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=disabled", "istio.io/rev=default-v1-29-6")}
		}), change: raise},
		"a namespace that goes back to the old revision is refused then": {
			mesh: with(both, func(m *skew.Mesh) {
				m.CNI = new(cni("v1.30.3"))
				m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-30-3")}
			}),
			change: update(namespace("bookinfo", "istio.io/rev=default-v1-30-3"), namespace("bookinfo", "istio.io/rev=default-v1-29-6")),
			want:   []string{"Deny CNISkew"},
			says:   []string{"Namespace bookinfo would bring revision default-v1-29-6 (v1.29.6) into use, and IstioCNI default v1.30.3 would be ahead of"},
		},
		"a tag that goes back to it is refused too": {
			mesh: with(both, func(m *skew.Mesh) {
				m.CNI = new(cni("v1.30.3"))
				m.Tags = []routing.Tag{tag("prod", "Istio", "default", "default-v1-30-3").Tag}
			}),
			change: update(tag("prod", "Istio", "default", "default-v1-30-3"), tag("prod", "IstioRevision", "default-v1-29-6", "")),
			want:   []string{"Deny CNISkew"},
		},
	})
}

func TestCNIMaxAhead(t *testing.T) {
	room := &skew.Policy{CNIMaxAhead: 1}
	sidecars := with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.CNI = new(cni("v1.29.6")) })
	ahead := with(inPlace("v1.29.6"), func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) })
	raise := toVersion(cni("v1.29.6"), "v1.30.3")
	run(t, map[string]tc{
		"strict by default":             {mesh: sidecars, change: raise, want: []string{"Deny CNISkew"}},
		"one minor ahead with room":     {mesh: sidecars, change: raise, policy: room},
		"two minors ahead never":        {mesh: sidecars, change: toVersion(cni("v1.29.6"), "v1.31.0"), policy: room, want: []string{"Deny CNISkew"}},
		"a larger room than one is one": {mesh: sidecars, change: toVersion(cni("v1.29.6"), "v1.31.0"), policy: &skew.Policy{CNIMaxAhead: 5}, want: []string{"Deny CNISkew"}},
		"no room where a ZTunnel is": {
			mesh: with(sidecars, func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.29.6")) }), change: raise, policy: room,
			want: []string{"Deny CNISkew"},
		},
		"an ambient namespace takes the room away": {
			mesh: ahead, policy: room,
			change: update(namespace("bookinfo", "istio-injection=enabled"), namespace("bookinfo", "istio.io/dataplane-mode=ambient")),
			want:   []string{"Deny CNISkew"}, says: []string{"would make the mesh ambient"},
		},
		"a rollback of the control plane may use the room": {mesh: sidecars, change: toVersion(istio("v1.29.6", skew.InPlace), "v1.28.5"), policy: room},
	})
}

func TestZTunnelDrain(t *testing.T) {
	short := ztunnel("v1.29.6")
	short.GraceSeconds = 0
	onDelete := short
	onDelete.OnDelete = true
	mesh := ambient("v1.30.3")
	run(t, map[string]tc{
		"the default grace period warns": {
			mesh: mesh, change: toVersion(short, "v1.30.3"), want: []string{"Warn ZTunnelDrain"},
			says: []string{"longer than 30s", "terminationGracePeriodSeconds\":300", "OnDelete"},
		},
		"so does a patch":              {mesh: mesh, change: toVersion(short, "v1.29.7"), want: []string{"Warn ZTunnelDrain"}},
		"a long grace period does not": {mesh: mesh, change: toVersion(ztunnel("v1.29.6"), "v1.30.3")},
		"neither does OnDelete":        {mesh: mesh, change: toVersion(onDelete, "v1.30.3")},
		"nor a creation":               {mesh: with(mesh, func(m *skew.Mesh) { m.ZTunnel = nil }), change: create(short)},
		"what is long is a policy":     {mesh: mesh, change: toVersion(short, "v1.30.3"), policy: &skew.Policy{DrainSeconds: 30}},
		"with a grace period that is set in the same write": {
			mesh: mesh, change: update(short, ztunnel("v1.30.3")),
		},
	})
}

package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func with(m skew.Mesh, edit func(*skew.Mesh)) skew.Mesh {
	edit(&m)
	return m
}

func TestInPlace(t *testing.T) {
	upgrading := with(inPlace("v1.25.4"), func(m *skew.Mesh) { m.Revisions[0].Istiod = runs("v1.24.3") })
	run(t, map[string]tc{
		"one minor up is allowed": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(istio("v1.24.3", skew.InPlace), "v1.25.4"),
		},
		"the next minor is allowed once the workloads were restarted": {
			mesh: with(inPlace("v1.25.4"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default", "v1.25.4")}
			}),
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
		},
		"two minors at once are not": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(istio("v1.24.3", skew.InPlace), "v1.26.0"),
			want:   []string{"Deny InPlaceStep"},
			says: []string{
				"InPlaceStep: Istio default v1.26.0 would raise revision default in place from v1.24.3 to v1.26.0",
				"Go through v1.25 first: kubectl patch istio default --type=merge -p '{\"spec\":{\"version\":\"v1.25-latest\"}}'",
				"kubectl rollout status deployment/istiod -n istio-system", "then retry.",
			},
		},
		"an alias is judged by its minor": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(istio("v1.24.3", skew.InPlace), "v1.26-latest"),
			want:   []string{"Deny InPlaceStep"},
		},
		"two single steps without a rollout between them are two minors": {
			mesh:   upgrading,
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
			want:   []string{"Deny InPlaceStep"},
			says:   []string{"still runs v1.24.3", "wait for v1.25.4 to run"},
		},
		"with declared versions they are two single steps": {
			mesh:   upgrading,
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
			policy: &skew.Policy{ControlPlaneVersion: skew.Declared},
		},
		"the direct edit of an IstioRevision counts as well": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(revision("default", "v1.24.3"), "v1.26.0"),
			want:   []string{"Deny InPlaceStep"},
		},
		"proxies two minors behind deny, with the restart": {
			mesh: with(inPlace("v1.25.4"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{
					deployment("bookinfo", "reviews-v1", "default", "v1.24.3"),
					deployment("bookinfo", "ratings-v1", "default", "v1.25.4"),
					deployment("shop", "cart", "default", "v1.24.3"),
					{Namespace: "shop", Kind: "StatefulSet", Name: "db", Revision: "default", Version: "1.24.3", Pods: 1},
					{Namespace: "shop", Kind: "Pod", Name: "lonely", Revision: "default", Version: "1.24.3-distroless", Pods: 1},
				}
			}),
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
			want:   []string{"Deny DataPlaneBehind"},
			says: []string{
				"DataPlaneBehind: Istio default v1.26.0 would leave Deployment bookinfo/reviews-v1 (2 pods, v1.24.3), ",
				"Deployment shop/cart (2 pods, v1.24.3), Pod shop/lonely (1 pod, v1.24.3-distroless) and 1 more ",
				"behind revision default (v1.26.0) by more than one minor version.",
				"Restart them first: kubectl rollout restart deployment -n bookinfo; kubectl rollout restart deployment -n shop; " +
					"kubectl delete pod lonely -n shop; and 1 more step; then retry.",
			},
		},
		"proxies of another revision do not count": {
			mesh: with(inPlace("v1.25.4"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "canary", "v1.24.3")}
			}),
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
		},
		"down is allowed where nothing is ahead": {
			mesh: with(inPlace("v1.26.0"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.25.4"))
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default", "v1.25.4")}
			}),
			change: toVersion(istio("v1.26.0", skew.InPlace), "v1.25.4"),
		},
		"down by two is allowed where nothing is ahead": {
			mesh:   inPlace("v1.26.0"),
			change: toVersion(istio("v1.26.0", skew.InPlace), "v1.24.3"),
		},
		"down is denied under a proxy": {
			mesh: with(inPlace("v1.26.0"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default", "v1.26.0")}
			}),
			change: toVersion(istio("v1.26.0", skew.InPlace), "v1.25.4"),
			want:   []string{"Deny DataPlaneAhead"},
			says:   []string{"Deployment bookinfo/reviews-v1 (2 pods, v1.26.0) ahead of revision default (v1.25.4)", "revision-router.io/override"},
		},
		"down is denied under IstioCNI": {
			mesh:   with(inPlace("v1.26.0"), func(m *skew.Mesh) { m.CNI = new(cni("v1.26.0")) }),
			change: toVersion(istio("v1.26.0", skew.InPlace), "v1.25.4"),
			want:   []string{"Deny DataPlaneAhead"},
			says: []string{
				"would leave IstioCNI default v1.26.0 ahead of revision default (v1.25.4)",
				"Lower IstioCNI default first and wait for it: kubectl patch istiocni default --type=merge -p '{\"spec\":{\"version\":\"v1.25.4\"}}'",
			},
		},
		"down is denied while the CNI's pods have not followed": {
			mesh: with(inPlace("v1.26.0"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.25.4"))
				m.CNI.DaemonSet = rolling("1.26.0", "1.25.4")
			}),
			change: toVersion(istio("v1.26.0", skew.InPlace), "v1.25.4"),
			want:   []string{"Deny DataPlaneAhead"},
			says:   []string{"pods of IstioCNI default that run v1.26.0", "wait for the DaemonSet: kubectl rollout status daemonset/istio-cni-node -n istio-cni"},
		},
		"up is denied while IstioCNI is two minors behind": {
			mesh:   with(inPlace("v1.25.4"), func(m *skew.Mesh) { m.CNI = new(cni("v1.24.3")) }),
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
			want:   []string{"Deny CNISkew"},
			says:   []string{"behind revision default (v1.26.0) by more than one minor version", "Raise IstioCNI default first", "v1.25-latest"},
		},
		"a Gateway's pinned image is left behind": {
			mesh: with(ambient("v1.25.4"), func(m *skew.Mesh) {
				g := waypointGateway("bookinfo", "waypoint")
				g.ProxyImage = "registry.example/proxyv2:1.24.3-distroless"
				m.Gateways = []skew.Gateway{g}
			}),
			change: toVersion(istio("v1.25.4", skew.InPlace), "v1.26.0"),
			want:   []string{"Deny DataPlaneBehind"},
			says:   []string{"Gateway bookinfo/waypoint (pinned to v1.24.3-distroless)", "Remove the pinned image"},
		},
		"a version that cannot be read warns": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(istio("v1.24.3", skew.InPlace), "master"),
			want:   []string{"Warn UnknownVersion"},
		},
		"a policy cannot make it deny": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(istio("v1.24.3", skew.InPlace), "master"),
			policy: &skew.Policy{Levels: map[skew.Rule]skew.Level{skew.UnknownVersion: skew.Deny}},
			want:   []string{"Warn UnknownVersion"},
		},
		"proxies whose version is not known warn when the minor changes": {
			mesh: with(inPlace("v1.24.3"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default", "")}
			}),
			change: toVersion(istio("v1.24.3", skew.InPlace), "v1.25.4"),
			want:   []string{"Warn UnknownVersion"},
			says:   []string{"not judged against Deployment bookinfo/reviews-v1"},
		},
	})
}

func TestRevisionBased(t *testing.T) {
	live := revisionBased("v1.24.3")
	live.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/rev=default-v1-24-3")}
	live.Workloads = []skew.Workload{deployment("bookinfo", "reviews-v1", "default-v1-24-3", "v1.24.3")}
	withCNI := with(live, func(m *skew.Mesh) { m.CNI = new(cni("v1.24.3")) })
	step := func(version string) skew.Change { return toVersion(istio("v1.24.3", skew.RevisionBased), version) }
	run(t, map[string]tc{
		"two minors up with sidecars only are allowed":  {mesh: live, change: step("v1.26.0")},
		"five minors up with sidecars only are allowed": {mesh: live, change: step("v1.29.0")},
		"one minor up with IstioCNI is allowed":         {mesh: withCNI, change: step("v1.25.4")},
		"two minors up with IstioCNI need the one between": {
			mesh: withCNI, change: step("v1.26.0"),
			want: []string{"Deny SingletonSqueeze"},
			says: []string{
				"SingletonSqueeze: Istio default v1.26.0 would need IstioCNI default to fit both revision default-v1-24-3 (v1.24.3)",
				"and revision default-v1-26-0 (v1.26.0), and no version does",
				"Go through v1.25 first: kubectl patch istio default --type=merge -p '{\"spec\":{\"version\":\"v1.25.<patch>\"}}'", "kubectl label namespace bookinfo istio.io/rev=default-v1-25-<patch> --overwrite",
			},
		},
		"an unused old revision still squeezes until it is gone": {
			mesh:   with(revisionBased("v1.24.3"), func(m *skew.Mesh) { m.CNI = new(cni("v1.24.3")) }),
			change: step("v1.26.0"),
			want:   []string{"Deny SingletonSqueeze"},
		},
		"ZTunnel is squeezed too": {
			mesh:   with(withCNI, func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.24.3")) }),
			change: step("v1.26.0"),
			want:   []string{"Deny SingletonSqueeze", "Deny SingletonSqueeze"},
		},
		"room ahead for IstioCNI lets two minors coexist": {
			mesh:   with(withCNI, func(m *skew.Mesh) { m.CNI = new(cni("v1.25.4")) }),
			change: step("v1.26.0"), policy: &skew.Policy{CNIMaxAhead: 1},
		},
		"but IstioCNI has to be there already": {
			mesh: withCNI, change: step("v1.26.0"), policy: &skew.Policy{CNIMaxAhead: 1},
			want: []string{"Deny CNISkew"},
		},
		"where the squeeze is off, the pair still denies": {
			mesh: withCNI, change: step("v1.26.0"),
			policy: &skew.Policy{Levels: map[skew.Rule]skew.Level{skew.SingletonSqueeze: skew.Off}},
			want:   []string{"Deny CNISkew"},
		},
		"where the squeeze warns, the pair still denies": {
			mesh: withCNI, change: step("v1.26.0"),
			policy: &skew.Policy{Levels: map[skew.Rule]skew.Level{skew.SingletonSqueeze: skew.Warn}},
			want:   []string{"Warn SingletonSqueeze", "Deny CNISkew"},
		},
		"back to a revision that IstioCNI is ahead of": {
			mesh: with(revisionBased("v1.24.3", "v1.25.4"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.25.4"))
			}),
			change: toVersion(istio("v1.25.4", skew.RevisionBased), "v1.24.3"),
			want:   []string{"Deny CNISkew"},
			says:   []string{"would leave IstioCNI default v1.25.4 ahead of revision default-v1-24-3"},
		},
		"a second Istio too far away squeezes": {
			mesh: withCNI,
			change: create(skew.Istio{
				Name: "second", Namespace: "istio-system2", Version: "v1.26.0", Strategy: skew.InPlace,
			}),
			want: []string{"Deny SingletonSqueeze"},
			says: []string{"bring revision default-v1-24-3 (v1.24.3) there first"},
		},
		"an alias warns": {
			mesh: live, change: step("v1.25-latest"),
			want: []string{"Warn AliasWithRevisionBased"},
		},
		"an alias in place does not": {
			mesh:   inPlace("v1.24.3"),
			change: toVersion(istio("v1.24.3", skew.InPlace), "v1.25-latest"),
		},
		"revisions of plain Istio squeeze nothing": {
			mesh: with(withCNI, func(m *skew.Mesh) {
				old := revision("legacy", "v1.20.8")
				old.Origin, old.Istio = routing.Webhook, ""
				m.Revisions = append(m.Revisions, old)
				m.Workloads = append(m.Workloads, deployment("old", "app", "legacy", "v1.20.8"))
			}),
			change: step("v1.25.4"),
		},
	})
}

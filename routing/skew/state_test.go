package skew_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// changed returns a mesh with something changed.
func changed(m skew.Mesh, change func(*skew.Mesh)) skew.Mesh {
	change(&m)
	return m
}

func stateCases() map[string]struct {
	mesh skew.Mesh
	// want are rule, level and the first step of each observation.
	want []string
} {
	type tc = struct {
		mesh skew.Mesh
		want []string
	}
	return map[string]tc{
		"a mesh of one version has nothing wrong": {ambient("v1.30.3"), nil},
		"two revisions two minors apart without IstioCNI are fine": {
			changed(revisionBased("v1.28.3", "v1.30.3"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("shop", "cart", "default-v1-28-3", "1.28.3")}
			}), nil,
		},
		"a sidecar one minor behind is in the middle of an upgrade": {
			changed(inPlace("v1.30.3"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "1.29.6")}
			}), nil,
		},
		"a sidecar two minors behind has to be restarted": {
			changed(inPlace("v1.30.3"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "1.28.3")}
			}), []string{"DataPlaneBehind Deny kubectl rollout restart deployment -n bookinfo"},
		},
		"a sidecar ahead of what its control plane declares": {
			changed(inPlace("v1.29.6"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "1.30.3")}
			}), []string{"DataPlaneAhead Deny kubectl rollout restart deployment -n bookinfo"},
		},
		"a sidecar ahead of pods that a rollout has yet to replace": {
			changed(inPlace("v1.30.3"), func(m *skew.Mesh) {
				m.Revisions[0].Istiod = rolling("1.29.6", "1.30.3")
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "1.30.3")}
			}), []string{"DataPlaneAhead Deny kubectl rollout status deployment/istiod -n istio-system"},
		},
		"IstioCNI ahead of the revision that is active": {
			changed(ambient("v1.29.6"), func(m *skew.Mesh) { m.CNI = new(cni("v1.30.3")) }),
			[]string{
				`CNISkew Deny kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.30.3"}}'`,
			},
		},
		"IstioCNI that follows while the control plane still rolls out": {
			changed(ambient("v1.30.3"), func(m *skew.Mesh) { m.Revisions[0].Istiod = rolling("1.29.6", "1.30.3") }),
			[]string{
				"CNISkew Deny kubectl rollout status deployment/istiod -n istio-system",
				"ZTunnelSkew Deny kubectl rollout status deployment/istiod -n istio-system",
			},
		},
		"pods of ZTunnel that a rollout has left behind": {
			changed(ambient("v1.30.3"), func(m *skew.Mesh) { m.ZTunnel.DaemonSet = rolling("1.28.3", "1.30.3") }),
			[]string{"ZTunnelSkew Deny kubectl rollout status daemonset/ztunnel -n ztunnel"},
		},
		"pods of ZTunnel that nothing replaces but a person": {
			changed(ambient("v1.30.3"), func(m *skew.Mesh) {
				m.ZTunnel.DaemonSet, m.ZTunnel.OnDelete = rolling("1.28.3", "1.30.3"), true
			}),
			[]string{"ZTunnelSkew Deny kubectl drain <node> --ignore-daemonsets --delete-emptydir-data && kubectl delete pod -n ztunnel " +
				"-l app=ztunnel --field-selector spec.nodeName=<node> && kubectl uncordon <node>"},
		},
		"ZTunnel behind by two minors": {
			changed(ambient("v1.30.3"), func(m *skew.Mesh) { m.ZTunnel = new(ztunnel("v1.28.3")) }),
			[]string{
				`ZTunnelSkew Deny kubectl patch ztunnel default --type=merge -p '{"spec":{"version":"v1.30.3"}}'`,
			},
		},
		"IstioCNI and ZTunnel two minors apart, and no control plane": {
			skew.Mesh{CNI: new(cni("v1.30.3")), ZTunnel: new(ztunnel("v1.28.3"))},
			[]string{`CNIZTunnelPair Deny kubectl patch ztunnel default --type=merge -p '{"spec":{"version":"v1.30.3"}}'`},
		},
		"a rollout of a tag to a revision that is not there": {
			changed(revisionBased("v1.30.3"), func(m *skew.Mesh) {
				one := tag("prod", "Istio", "default", "default-v1-30-3").Tag
				one.Rollout = routing.Rollout{Revision: "default-v1-31-0", Percent: 10}
				m.Tags = []routing.Tag{one}
			}), []string{
				"TagRollout Deny kubectl annotate istiorevisiontag prod revision-router.io/rollout=default-v1-30-3=10 --overwrite",
			},
		},
		"no version of IstioCNI fits two revisions that are used": {
			changed(revisionBased("v1.28.3", "v1.30.3"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.29.6"))
				m.Workloads = []skew.Workload{deployment("shop", "cart", "default-v1-28-3", "1.28.3")}
			}), []string{
				"SingletonSqueeze Deny kubectl rollout restart deployment -n shop",
				"CNISkew Deny kubectl rollout restart deployment -n shop",
			},
		},
		"a tag whose target is gone": {
			changed(revisionBased("v1.30.3"), func(m *skew.Mesh) {
				m.Tags = []routing.Tag{tag("prod", "IstioRevision", "default-v1-29-6", "").Tag}
			}), []string{
				`TagTarget Deny kubectl patch istiorevisiontag prod --type=merge -p '{"spec":{"targetRef":{"kind":"IstioRevision","name":"default-v1-30-3"}}}'`,
			},
		},
		"a tag whose target the operator has yet to create": {
			changed(skew.Mesh{Istios: []skew.Istio{{Name: "default", Version: "v1.30.3", Strategy: skew.RevisionBased}}}, func(m *skew.Mesh) {
				m.Tags = []routing.Tag{tag("prod", "IstioRevision", "default-v1-30-3", "").Tag}
			}), nil,
		},
		"a tag with the name of a revision": {
			changed(inPlace("v1.30.3"), func(m *skew.Mesh) {
				m.Tags = []routing.Tag{tag("default", "Istio", "default", "").Tag}
			}), []string{"NameConflict Deny kubectl get istiorevision/default istiorevisiontag/default -o " +
				`"custom-columns=KIND:.kind,CREATED:.metadata.creationTimestamp"`},
		},
		"labels that lead nowhere or say two things": {
			changed(revisionBased("v1.30.3"), func(m *skew.Mesh) {
				m.Namespaces = []skew.Namespace{
					namespace("typo", "istio.io/rev=default-v1-30-4"), namespace("both", "istio-injection=disabled", "istio.io/rev=default-v1-30-3"),
					namespace("amb", "istio.io/dataplane-mode=ambient", "istio.io/rev=default-v1-30-3"),
				}
			}), []string{
				"UnknownRevisionLabel Deny kubectl label namespace typo istio.io/rev=default-v1-30-3 --overwrite",
				"InjectionLabels Warn kubectl label namespace both istio.io/rev-",
				"AmbientAndRevision Warn kubectl label namespace amb istio-injection- istio.io/rev-",
			},
		},
		"a waypoint that is not there, and a Gateway that nobody owns": {
			changed(revisionBased("v1.30.3"), func(m *skew.Mesh) {
				m.Namespaces = []skew.Namespace{namespace("shop", "istio.io/use-waypoint=gone")}
				m.Gateways = []skew.Gateway{{Namespace: "shop", Name: "ingress", Class: "istio"}}
			}), []string{
				"GatewayOwner Deny kubectl label gateway ingress -n shop istio.io/rev=default-v1-30-3 --overwrite",
				"WaypointMissing Deny istioctl waypoint apply -n shop --name gone --revision default-v1-30-3",
			},
		},
		"versions that nobody can read": {
			changed(inPlace("master"), func(m *skew.Mesh) {
				m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", "default", "")}
			}), []string{"UnknownVersion Warn kubectl rollout restart deployment -n bookinfo", "UnknownVersion Warn "},
		},
		"an alias with RevisionBased": {
			changed(revisionBased("v1.30-latest"), func(*skew.Mesh) {}), []string{
				`AliasWithRevisionBased Warn kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.30.<patch>"}}'`,
			},
		},
		"what is being deleted is not judged": {
			changed(ambient("v1.29.6"), func(m *skew.Mesh) {
				m.CNI = new(cni("v1.31.0"))
				m.CNI.Deleting = true
			}), nil,
		},
	}
}

func summarized(s skew.State) []string {
	var got []string
	for _, o := range s.Observations {
		step := ""
		if len(o.Steps) > 0 {
			step = o.Steps[0]
		}
		got = append(got, string(o.Rule)+" "+string(o.Level)+" "+step)
	}
	return got
}

func TestExamine(t *testing.T) {
	t.Parallel()
	for name, tc := range stateCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := skew.Examine(&tc.mesh, skew.DefaultPolicy())
			if diff := cmp.Diff(tc.want, summarized(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			for _, o := range got.Observations {
				if o.What == "" || !strings.HasSuffix(o.What, ".") || len(o.Objects) == 0 || strings.Contains(o.What, "would leave") {
					t.Errorf("%s says %q about %v", o.Rule, o.What, o.Objects)
				}
				if strings.HasSuffix(o.Advice, ".") || len(o.Steps) > 0 && o.Advice == "" {
					t.Errorf("%s advises %q for %v", o.Rule, o.Advice, o.Steps)
				}
			}
		})
	}
}

// Levels come from the policy, and the order of what a mesh holds means nothing.
func TestExamineFollowsThePolicyAndNoOrder(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for name, tc := range stateCases() {
		want := skew.Examine(&tc.mesh, skew.DefaultPolicy())
		for range 3 {
			m := tc.mesh
			m.Revisions, m.Namespaces = slices.Clone(m.Revisions), slices.Clone(m.Namespaces)
			random.Shuffle(len(m.Revisions), func(i, j int) { m.Revisions[i], m.Revisions[j] = m.Revisions[j], m.Revisions[i] })
			random.Shuffle(len(m.Namespaces), func(i, j int) { m.Namespaces[i], m.Namespaces[j] = m.Namespaces[j], m.Namespaces[i] })
			if diff := cmp.Diff(want, skew.Examine(&m, skew.DefaultPolicy()), cmp.AllowUnexported(skew.Version{})); diff != "" {
				t.Errorf("%s: another order (-want +got):\n%s", name, diff)
			}
		}
		off := skew.Policy{Levels: map[skew.Rule]skew.Level{}}
		for _, rule := range skew.Rules() {
			off.Levels[rule.Rule] = skew.Off
		}
		if got := skew.Examine(&tc.mesh, off); len(got.Observations) > 0 {
			t.Errorf("%s: all rules are off, and there is %v", name, summarized(got))
		}
	}
}

// What Check admits from a mesh that fits, Examine has nothing to say about, once everything runs what is declared.
func TestExamineAgreesWithCheck(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1.27.1", "v1.28.3", "v1.29.6", "v1.30.3", "v1.31.0", "v1.32.0"} {
		for _, kind := range []skew.Kind{skew.KindCNI, skew.KindZTunnel} {
			before := ambient("v1.30.3")
			after := ambient("v1.30.3")
			var change skew.Change
			if kind == skew.KindCNI {
				after.CNI = new(cni(version))
				change = update(cni("v1.30.3"), cni(version))
			} else {
				after.ZTunnel = new(ztunnel(version))
				change = update(ztunnel("v1.30.3"), ztunnel(version))
			}
			denied := skew.Denied(skew.Check(&before, change, skew.DefaultPolicy()))
			wrong := slices.ContainsFunc(skew.Examine(&after, skew.DefaultPolicy()).Observations, func(o skew.Observation) bool {
				return o.Level == skew.Deny
			})
			if denied != wrong {
				t.Errorf("%s %s: denied %t, wrong as a state %t", kind, version, denied, wrong)
			}
		}
	}
}

func TestExamineTellsWhoUsesAControlPlane(t *testing.T) {
	t.Parallel()
	m := revisionBased("v1.29.6", "v1.30.3", "v1.30.4")
	m.Tags = []routing.Tag{tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6").Tag}
	m.Namespaces = []skew.Namespace{namespace("shop", "istio.io/rev=prod"), namespace("legacy", "istio.io/rev=default-v1-29-6")}
	m.Workloads = []skew.Workload{
		deployment("shop", "cart", "default-v1-29-6", "1.29.6"), deployment("shop", "cart", "default-v1-29-6", "1.29.5"),
	}
	m.Gateways = []skew.Gateway{waypointGateway("legacy", "waypoint")}
	got := skew.Examine(&m, skew.DefaultPolicy())
	want := skew.ControlPlane{
		Name: "default-v1-29-6", Istio: "default", Namespace: "istio-system", Declared: skew.Parse("v1.29.6"), Live: true,
		Users: skew.Users{
			Namespaces: []string{"legacy", "shop"}, Tags: []string{"prod"},
			Gateways:  []skew.Ref{{Kind: skew.KindGateway, Namespace: "legacy", Name: "waypoint"}},
			Workloads: 1, Pods: 4,
		},
	}
	if diff := cmp.Diff(want, got.ControlPlanes[0], cmp.AllowUnexported(skew.Version{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	unused, active := got.ControlPlanes[1], got.ControlPlanes[2]
	if unused.Live || !active.Active || !active.Live {
		t.Errorf("got %+v and %+v", unused, active)
	}
	if len(got.Gateways) != 1 || !got.Gateways[0].Waypoint || got.Gateways[0].Owner.Revision != "default-v1-29-6" {
		t.Errorf("got Gateways %+v", got.Gateways)
	}
}

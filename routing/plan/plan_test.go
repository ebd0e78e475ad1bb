package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

func bookinfo(strategy skew.Strategy, version string) *world {
	w := meshOf(version, strategy)
	rev := w.mesh.Istios[0].Active
	return w.namespace("bookinfo", "istio.io/rev="+rev).workload("bookinfo", "reviews", rev, version).workload("bookinfo", "details", rev, version)
}

// tagged is the mesh of update guide 2.3.4.
func tagged(version string) *world {
	w := meshOf(version, skew.RevisionBased)
	rev := w.mesh.Istios[0].Active
	return w.tag("default", "Istio", "default", rev).namespace("bookinfo", "istio-injection=enabled").workload("bookinfo", "reviews", rev, version)
}

// short is a plan in few words: what becomes of which object.
func short(p *plan.Plan) []string {
	var list []string
	for _, s := range p.Steps {
		list = append(list, s.Object+" -> "+s.To)
	}
	return list
}

// climb repeats the steps of one minor for those of 1.24 to 1.28; %s is the version, %d the name of its revision.
func climb(steps ...string) []string {
	var list []string
	for _, v := range []string{"v1.25.5", "v1.26.8", "v1.27.9", "v1.28.5"} {
		for _, s := range steps {
			list = append(list, strings.NewReplacer("%s", v, "%d", "default-"+strings.ReplaceAll(v, ".", "-")).Replace(s))
		}
	}
	return list
}

type planCase struct {
	mesh    *world
	to      string
	request func(*plan.Request)
	want    []string
}

func guideCases() map[string]planCase {
	const workloads = "2 workloads in namespace bookinfo"
	return map[string]planCase{
		"in place by one minor, guide 2.2.3": {
			mesh: bookinfo(skew.InPlace, "v1.29.6"), to: "v1.30.3",
			want: []string{"Istio default -> v1.30.3", workloads + " -> default v1.30.3"},
		},
		"in place by a patch with IstioCNI, guide 2.2.3 and 4.1.1": {
			mesh: bookinfo(skew.InPlace, "v1.24.3").cni("v1.24.3"), to: "v1.24.4",
			want: []string{"Istio default -> v1.24.4", workloads + " -> default v1.24.4", "IstioCNI default -> v1.24.4"},
		},
		"a second revision and new labels, guide 2.3.3": {
			mesh: bookinfo(skew.RevisionBased, "v1.24.3"), to: "v1.24.4",
			want: []string{
				"Istio default -> v1.24.4", "Namespace bookinfo -> istio.io/rev=default-v1-24-4", workloads + " -> default-v1-24-4 v1.24.4",
			},
		},
		"a tag that follows the Istio, guide 2.3.5": {
			mesh: tagged("v1.29.6").cni("v1.29.6"), to: "v1.30.3",
			want: []string{
				"Istio default -> v1.30.3", "Deployment bookinfo/reviews -> default-v1-30-3 v1.30.3", "IstioCNI default -> v1.30.3",
			},
		},
		"ambient in place: Istio, IstioCNI, ZTunnel, guide 3.1 and 3.2": {
			mesh: meshOf("v1.29.6", skew.InPlace).ambient("v1.29.6").namespace("bookinfo", "istio.io/dataplane-mode=ambient").
				waypoint("bookinfo", "", "default", "v1.29.6"), to: "v1.30.3",
			want: []string{"Istio default -> v1.30.3", "IstioCNI default -> v1.30.3", "ZTunnel default -> v1.30.3"},
		},
		"ambient with revisions and a waypoint's own label, guide 3.3": {
			mesh: meshOf("v1.29.6", skew.RevisionBased).ambient("v1.29.6").namespace("bookinfo", "istio.io/dataplane-mode=ambient").
				waypoint("bookinfo", "default-v1-29-6", "default-v1-29-6", "v1.29.6"), to: "v1.30.3",
			want: []string{
				"Istio default -> v1.30.3", "Gateway bookinfo/waypoint -> istio.io/rev=default-v1-30-3", "IstioCNI default -> v1.30.3",
				"ZTunnel default -> v1.30.3",
			},
		},
		"a grace period first, guide 3.7.1": {
			mesh: meshOf("v1.29.6", skew.InPlace).ambient("v1.29.6"), to: "v1.30.3",
			request: func(r *plan.Request) { r.Drain = plan.DrainGrace },
			want: []string{
				"Istio default -> v1.30.3", "IstioCNI default -> v1.30.3", "ZTunnel default -> grace period 300s", "ZTunnel default -> v1.30.3",
			},
		},
		"node by node, guide 3.7.2": {
			mesh: meshOf("v1.29.6", skew.InPlace).ambient("v1.29.6"), to: "v1.30.3",
			request: func(r *plan.Request) { r.Drain = plan.DrainOnDelete },
			want: []string{
				"Istio default -> v1.30.3", "IstioCNI default -> v1.30.3", "ZTunnel default -> OnDelete", "ZTunnel default -> v1.30.3",
				"pods of ZTunnel default -> v1.30.3",
			},
		},
	}
}

func climbCases() map[string]planCase {
	const workloads = "2 workloads in namespace bookinfo"
	return map[string]planCase{
		"1.24 to 1.28 in place": {
			mesh: bookinfo(skew.InPlace, "v1.24.3").cni("v1.24.3"), to: "v1.28.5",
			want: climb("Istio default -> %s", workloads+" -> default %s", "IstioCNI default -> %s"),
		},
		"1.24 to 1.28 in place, ambient": {
			mesh: bookinfo(skew.InPlace, "v1.24.3").ambient("v1.24.3").waypoint("bookinfo", "", "default", "v1.24.3"), to: "v1.28.5",
			want: climb("Istio default -> %s", workloads+" -> default %s", "IstioCNI default -> %s", "ZTunnel default -> %s"),
		},
		"1.24 to 1.28 with revisions at once, where nothing is squeezed": {
			mesh: bookinfo(skew.RevisionBased, "v1.24.3"), to: "v1.28.5",
			want: []string{
				"Istio default -> v1.28.5", "Namespace bookinfo -> istio.io/rev=default-v1-28-5", workloads + " -> default-v1-28-5 v1.28.5",
			},
		},
		"1.24 to 1.28 with revisions and IstioCNI, which fits two minors only": {
			mesh: bookinfo(skew.RevisionBased, "v1.24.3").cni("v1.24.3"), to: "v1.28.5",
			want: climb("Istio default -> %s", "Namespace bookinfo -> istio.io/rev=%d", workloads+" -> %d %s", "IstioCNI default -> %s"),
		},
		"1.24 to 1.28 with revisions, ambient": {
			mesh: bookinfo(skew.RevisionBased, "v1.24.3").ambient("v1.24.3"), to: "v1.28.5",
			want: climb("Istio default -> %s", "Namespace bookinfo -> istio.io/rev=%d", workloads+" -> %d %s", "IstioCNI default -> %s", "ZTunnel default -> %s"),
		},
		"1.24 to 1.28 with revisions and a tag": {
			mesh: tagged("v1.24.3").cni("v1.24.3"), to: "v1.28.5",
			want: climb("Istio default -> %s", "Deployment bookinfo/reviews -> %d %s", "IstioCNI default -> %s"),
		},
	}
}

func otherCases() map[string]planCase {
	labelled := bookinfo(skew.RevisionBased, "v1.29.6").tag("prod", "IstioRevision", "default-v1-29-6", "default-v1-29-6")
	labelled.mesh.Tags[0].Rollout = routing.Rollout{Revision: "default-v1-29-6", Percent: 10}
	labelled.add(skew.Workload{
		Namespace: "plain", Kind: "StatefulSet", Name: "db", Role: skew.Sidecar, Revision: "default-v1-29-6", Version: "v1.29.6",
		Label: "default-v1-29-6", Pods: 1,
	})
	revisioned := meshOf("v1.29.6", skew.RevisionBased).ambient("v1.29.6").
		namespace("shop", "istio.io/dataplane-mode=ambient").waypoint("shop", "default-v1-29-6", "default-v1-29-6", "v1.29.6").
		namespace("edge").ingress("edge", "default-v1-29-6", "default-v1-29-6", "v1.29.6")
	for i := range revisioned.mesh.Workloads {
		revisioned.mesh.Workloads[i].Label = "default-v1-29-6"
	}
	pinned := meshOf("v1.29.6", skew.InPlace).waypoint("bookinfo", "", "default", "v1.29.6")
	pinned.mesh.Gateways[0].ProxyImage = "istio/proxyv2:1.29.6"
	return map[string]planCase{
		"there already": {mesh: bookinfo(skew.InPlace, "v1.30.3").cni("v1.30.3"), to: "v1.30.3"},
		"Gateways whose pods have their label": {
			mesh: revisioned, to: "v1.30.3",
			want: []string{
				"Istio default -> v1.30.3", "Gateway edge/ingress -> istio.io/rev=default-v1-30-3",
				"Gateway shop/waypoint -> istio.io/rev=default-v1-30-3", "IstioCNI default -> v1.30.3", "ZTunnel default -> v1.30.3",
			},
		},
		"everything that can name a revision": {
			mesh: labelled, to: "v1.30.3",
			want: []string{
				"Istio default -> v1.30.3", "IstioRevisionTag prod -> default-v1-30-3", "IstioRevisionTag prod -> ",
				"Namespace bookinfo -> istio.io/rev=default-v1-30-3", "StatefulSet plain/db -> istio.io/rev=default-v1-30-3",
				"2 workloads in namespace bookinfo -> default-v1-30-3 v1.30.3",
			},
		},
		"from in place to revisions, with the tag default, which has to wait for the name": {
			mesh: meshOf("v1.29.6", "").namespace("bookinfo", "istio-injection=enabled").workload("bookinfo", "reviews", "default", "v1.29.6"), to: "v1.30.3",
			request: func(r *plan.Request) { r.Strategy, r.Tag = skew.RevisionBased, "default" },
			want: []string{
				"Istio default -> v1.30.3 RevisionBased", "Namespace bookinfo -> istio.io/rev=default-v1-30-3",
				"Deployment bookinfo/reviews -> default-v1-30-3 v1.30.3", "IstioRevisionTag default -> Istio default",
				"Namespace bookinfo -> istio.io/rev=default",
			},
		},
		"back with revisions: IstioCNI goes first": {
			mesh: bookinfo(skew.RevisionBased, "v1.30.3").cni("v1.30.3"), to: "v1.29.6",
			want: []string{
				"IstioCNI default -> v1.29.6", "Istio default -> v1.29.6", "Namespace bookinfo -> istio.io/rev=default-v1-29-6",
				"2 workloads in namespace bookinfo -> default-v1-29-6 v1.29.6",
			},
		},
		"proxies two minors behind are restarted first": {
			mesh: meshOf("v1.29.6", skew.InPlace).namespace("bookinfo", "istio-injection=enabled").workload("bookinfo", "reviews", "default", "v1.28.5"), to: "v1.30.3",
			want: []string{
				"Deployment bookinfo/reviews -> default v1.29.6", "Istio default -> v1.30.3", "Deployment bookinfo/reviews -> default v1.30.3",
			},
		},
		"an IstioCNI that is ahead is let be caught up with": {
			mesh: meshOf("v1.29.6", skew.InPlace).cni("v1.30.3"), to: "v1.30.3",
			want: []string{"Istio default -> v1.30.3"},
		},
		"a pinned image is let go where it would fall behind": {
			mesh: pinned, to: "v1.31.0-beta.1",
			want: []string{"Istio default -> v1.30.3", "Gateway bookinfo/waypoint -> ", "Istio default -> v1.31.0-beta.1"},
		},
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	for _, cases := range []map[string]planCase{guideCases(), climbCases(), otherCases()} {
		for name, tc := range cases {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				r := tc.mesh.request(tc.to)
				r.Available = offered()
				if tc.request != nil {
					tc.request(&r)
				}
				p, err := plan.New(r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, short(p)); diff != "" || !p.Possible {
					t.Errorf("(-want +got):\n%s\n%s\n%s", diff, p.Reason, strings.Join(p.Advice, "\n"))
				}
			})
		}
	}
}

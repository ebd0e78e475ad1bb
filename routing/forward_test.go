package routing_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

// minor is a revision of the Istio "default" whose version is 1.<n>.0, ranked as the versions are.
func minor(name string, n int) routing.Revision {
	r := revision(name)
	r.Version, r.Istio, r.Order = fmt.Sprintf("v1.%d.0", n), "default", n
	return r
}

// away is a revision that takes no pods.
func away(r routing.Revision, why routing.Unroutable) routing.Revision {
	r.Unroutable = why
	return r
}

// aimed is a tag whose spec means target while its webhook would point at installed.
func aimed(name, target, installed string) routing.Tag {
	t := tag(name, installed)
	t.TargetKind, t.TargetName, t.Target = "IstioRevision", target, target
	return t
}

func rolling(t routing.Tag, revision string, percent int) routing.Tag {
	t.Rollout = routing.Rollout{Revision: revision, Percent: percent}
	return t
}

func forwardMesh(revisions []routing.Revision, tags ...routing.Tag) *routing.Mesh {
	return meshOf(routing.Objects{Mode: routing.Forward, Revisions: revisions, Tags: tags})
}

// forwardCases are decisions where the router injects.
func forwardCases() map[string]decided {
	old, next := minor("old", 29), minor("next", 30)
	ns := routing.Namespace{Name: "bookinfo", Revision: present("prod")}
	asks := routing.Decision{
		Action: routing.Inject, Reason: routing.NamespaceRevision, Rule: routing.NamespaceRevision, Wanted: "prod",
		Tag: "prod", Forward: true,
	}
	gets := func(r routing.Revision, f routing.Followed) routing.Decision {
		d := asks
		d.Revision, d.Version, d.Followed = r.Name, r.Version, f
		return d
	}
	refused := func(reason routing.Reason) routing.Decision {
		return routing.Decision{
			Action: routing.Unresolvable, Reason: reason, Rule: routing.NamespaceRevision, Wanted: "prod", Tag: "prod",
		}
	}
	both := []routing.Revision{old, next}
	to := func(m *routing.Mesh) routing.Input { return routing.Input{Mesh: m, Namespace: ns} }
	noNext := []routing.Revision{old, away(next, routing.NoEndpoints)}
	never := away(next, routing.NoEndpoints)
	never.Injection.AutoInject = "disabled"
	plain := next
	plain.Origin = routing.Webhook
	ofIstioctl := tag("prod", "next")
	ofIstioctl.Origin = routing.Webhook
	recorded := gets(next, "")
	recorded.Forward = false
	podFirst := routing.Namespace{Name: "bookinfo", Revision: present("prod"), PodFirst: true}
	return map[string]decided{
		"forward: a tag follows its target once that takes pods, whatever its webhook points at": {
			to(forwardMesh(both, aimed("prod", "next", "old"))), gets(next, ""),
		},
		"forward: a tag stays where it was while its target takes none": {
			to(forwardMesh(noNext, aimed("prod", "next", "old"))), gets(old, routing.FollowedLastGood),
		},
		"forward: a tag stays where it was while its target does not exist yet": {
			to(forwardMesh([]routing.Revision{old}, aimed("prod", "next", "old"))), gets(old, routing.FollowedLastGood),
		},
		"forward: the status names the target already, and an older revision of the Istio takes pods": {
			to(forwardMesh(noNext, aimed("prod", "next", "next"))), gets(old, routing.FollowedLastGood),
		},
		"forward: a newer revision is no fall-back": {
			to(forwardMesh([]routing.Revision{away(old, routing.NoEndpoints), next}, aimed("prod", "old", "old"))),
			refused(routing.NotRoutable),
		},
		"forward: nothing that the tag ever meant exists": {
			to(forwardMesh(both, aimed("prod", "gone", "gone too"))), refused(routing.DanglingTag),
		},
		"forward: values that keep the pod out count before the injector is missed": {
			to(forwardMesh([]routing.Revision{never}, aimed("prod", "next", "next"))),
			routing.Decision{
				Action: routing.Skip, Reason: routing.AutoInjectDisabled, Rule: routing.NamespaceRevision, Wanted: "prod",
			},
		},
		"forward: a rollout of 100 % moves every workload": {
			to(forwardMesh(both, rolling(aimed("prod", "old", "old"), "next", 100))), gets(next, routing.FollowedRollout),
		},
		"forward: a rollout of 0 % moves none": {
			to(forwardMesh(both, rolling(aimed("prod", "old", "old"), "next", 0))), gets(old, ""),
		},
		"forward: the share stays while the revision of the rollout takes no pods": {
			to(forwardMesh(noNext, rolling(aimed("prod", "old", "old"), "next", 100))), gets(old, routing.FollowedLastGood),
		},
		"forward: the share moves although the tag's own target takes no pods": {
			to(forwardMesh([]routing.Revision{away(old, routing.BeingDeleted), next}, rolling(aimed("prod", "old", "old"), "next", 100))),
			gets(next, routing.FollowedRollout),
		},
		"forward: a rollout to the target says nothing of itself": {
			to(forwardMesh(both, rolling(aimed("prod", "next", "old"), "next", 50))), gets(next, ""),
		},
		"forward: a revision that is named itself has no fall-back": {
			routing.Input{Mesh: forwardMesh(noNext), Namespace: routing.Namespace{Name: "bookinfo", Revision: present("next")}},
			routing.Decision{
				Action: routing.Unresolvable, Reason: routing.NotRoutable, Rule: routing.NamespaceRevision, Wanted: "next",
			},
		},
		"forward: what plain Istio's webhook injects is recorded only": {
			routing.Input{Mesh: forwardMesh([]routing.Revision{old, plain}), Namespace: routing.Namespace{Revision: present("next")}},
			routing.Decision{
				Action: routing.Inject, Reason: routing.NamespaceRevision, Rule: routing.NamespaceRevision, Wanted: "next",
				Revision: "next", Version: next.Version,
			},
		},
		"forward: a tag of istioctl's is recorded only": {to(forwardMesh(both, ofIstioctl)), recorded},
		"forward: the pod beats the namespace where the policy says so": {
			routing.Input{Mesh: forwardMesh(both, aimed("prod", "old", "old")), Namespace: podFirst, Pod: routing.Pod{Revision: present("next")}},
			routing.Decision{
				Action: routing.Inject, Reason: routing.PodRevision, Rule: routing.PodRevision, Wanted: "next",
				Revision: "next", Version: next.Version, Forward: true,
			},
		},
		"forward: an empty label of the pod does not beat the namespace": {
			routing.Input{Mesh: forwardMesh(both, aimed("prod", "old", "old")), Namespace: podFirst, Pod: routing.Pod{Revision: present("")}},
			gets(old, ""),
		},
		"guard: the pod never beats the namespace": {
			routing.Input{
				Mesh: meshOf(routing.Objects{Revisions: both, Tags: []routing.Tag{tag("prod", "old")}}), Namespace: podFirst,
				Pod: routing.Pod{Revision: present("next")},
			},
			func() routing.Decision {
				d := gets(old, "")
				d.Forward, d.Warnings = false, routing.WarningSet(0).With(routing.PodRevisionOverruled)
				return d
			}(),
		},
		"guard: neither target nor rollout count": {
			to(meshOf(routing.Objects{Revisions: noNext, Tags: []routing.Tag{rolling(aimed("prod", "old", "next"), "old", 100)}})),
			func() routing.Decision {
				d := gets(next, "")
				d.Forward = false
				return d
			}(),
		},
	}
}

// The newest revision up to the target, of the same Istio only.
func TestLastGoodIsTheNewestOfTheIstioUpToTheTarget(t *testing.T) {
	other := minor("of-another-istio", 30)
	other.Istio = "other"
	unowned := minor("of-a-user", 30)
	unowned.Istio = ""
	unknown := minor("of-unknown-version", 30)
	unknown.Order, unknown.Version = 0, "master"
	later := minor("same-version-later", 29)
	later.Created = day(5)
	target := away(minor("target", 30), routing.NoEndpoints)
	cases := map[string]struct {
		others []routing.Revision
		want   string
	}{
		"the newest":                         {[]routing.Revision{minor("a", 28), minor("b", 29)}, "b"},
		"of two equal ones the later":        {[]routing.Revision{minor("a", 29), later}, "same-version-later"},
		"of two alike the first by name":     {[]routing.Revision{minor("b", 29), minor("a", 29)}, "a"},
		"not one that takes no pods":         {[]routing.Revision{minor("a", 28), away(minor("b", 29), routing.NoCA)}, "a"},
		"not a newer one":                    {[]routing.Revision{minor("a", 31)}, ""},
		"one of the same version":            {[]routing.Revision{minor("a", 30)}, "a"},
		"not one of another Istio":           {[]routing.Revision{other, unowned}, ""},
		"not one whose version is not known": {[]routing.Revision{unknown}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := forwardMesh(append(tc.others, target), aimed("prod", "target", "target"))
			found := m.Resolve("prod")
			got := ""
			if found.Revision != nil {
				got = found.Revision.Name
			}
			if got != tc.want {
				t.Errorf("leads to %q (%s), want %q", got, found.Reason, tc.want)
			}
			if (found.Followed == routing.FollowedLastGood) != (tc.want != "") {
				t.Errorf("followed %q", found.Followed)
			}
		})
	}
}

// istiod decides who owns a Gateway, by where the tag points today.
func TestGatewaysAreOwnedTheSameInBothModes(t *testing.T) {
	o := routing.Objects{
		Revisions: []routing.Revision{minor("old", 29), away(minor("next", 30), routing.NoEndpoints)},
		Tags:      []routing.Tag{rolling(aimed("prod", "old", "next"), "old", 100), aimed("gone", "old", "missing")},
	}
	guard := meshOf(o)
	o.Mode = routing.Forward
	forward := meshOf(o)
	for _, name := range []string{"old", "next", "prod", "gone", "unknown", "default", ""} {
		in := routing.GatewayInput{Mesh: guard, Revision: present(name)}
		want := routing.DecideGateway(in)
		in.Mesh = forward
		if diff := cmp.Diff(want, routing.DecideGateway(in)); diff != "" {
			t.Errorf("%s (-guard +forward):\n%s", name, diff)
		}
	}
}

// Pods without labels ask the default revision while it takes none: to pass them over would be silent.
func TestNamespacesByDefaultAskWhileTheDefaultTakesNoPods(t *testing.T) {
	d := away(minor("default", 30), routing.NoEndpoints)
	d.Injection.EnableNamespacesByDefault = true
	got := routing.Decide(routing.Input{Mesh: forwardMesh([]routing.Revision{d}), Namespace: routing.Namespace{Name: "bookinfo"}})
	if got.Action != routing.Unresolvable || got.Reason != routing.NotRoutable || got.Rule != routing.NamespacesByDefault {
		t.Errorf("decided %+v, want NotRoutable by NamespacesByDefault", got)
	}
}

func TestPrecedence(t *testing.T) {
	team := func(value string) routing.Selector {
		return routing.Selector{{Key: "team", Operator: routing.OpIn, Values: []string{value}}}
	}
	cases := map[string]struct {
		rules  routing.Precedence
		labels map[string]string
		want   bool
	}{
		"no rule":                            {nil, map[string]string{"team": "a"}, false},
		"a selector without requirements":    {routing.Precedence{{PodFirst: true}}, nil, true},
		"the selector matches":               {routing.Precedence{{Selector: team("a"), PodFirst: true}}, map[string]string{"team": "a"}, true},
		"the selector does not match":        {routing.Precedence{{Selector: team("a"), PodFirst: true}}, map[string]string{"team": "b"}, false},
		"the first rule that matches counts": {routing.Precedence{{Selector: team("a")}, {PodFirst: true}}, map[string]string{"team": "a"}, false},
		"a later rule counts for the rest":   {routing.Precedence{{Selector: team("a")}, {PodFirst: true}}, map[string]string{"team": "b"}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.rules.PodFirst(tc.labels); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

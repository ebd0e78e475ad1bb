package routing_test

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

// sailMesh has two revisions, one of them behind the tag default, and a tag whose revision is gone.
func sailMesh() *routing.Mesh {
	return meshOf(routing.Objects{
		Revisions: []routing.Revision{revision("1-30"), revision("1-31")},
		Tags:      []routing.Tag{tag("default", "1-30"), tag("prod", "1-31"), tag("dangling", "1-29")},
	})
}

// valuesMesh has one revision in place with these values.
func valuesMesh(i routing.Injection) *routing.Mesh {
	r := revision("default")
	r.Injection = i
	return meshOf(routing.Objects{Revisions: []routing.Revision{r}})
}

// decided is one pod and what becomes of it.
type decided struct {
	in   routing.Input
	want routing.Decision
}

// decidedCases hold every reason of pods once.
func decidedCases() map[string]decided {
	inject, skip, unresolvable := routing.Inject, routing.Skip, routing.Unresolvable
	enabled := routing.Namespace{Name: "bookinfo", Injection: present("enabled")}
	named := func(name string) routing.Namespace {
		return routing.Namespace{Name: "bookinfo", Revision: present(name)}
	}
	plain := routing.Namespace{Name: "bookinfo"}
	web := routing.Selector{{Key: "app", Operator: routing.OpIn, Values: []string{"web"}}}
	onlyNamed := meshOf(routing.Objects{Revisions: []routing.Revision{revision("1-31")}})
	return map[string]decided{
		"a namespace with istio-injection=enabled follows the tag default": {
			routing.Input{Mesh: sailMesh(), Namespace: enabled},
			routing.Decision{
				Action: inject, Reason: routing.NamespaceInjection, Rule: routing.NamespaceInjection,
				Wanted: "default", Revision: "1-30", Tag: "default", Version: "v1.30.0",
			},
		},
		"a namespace that names a revision follows no tag": {
			routing.Input{Mesh: sailMesh(), Namespace: named("1-31")},
			routing.Decision{
				Action: inject, Reason: routing.NamespaceRevision, Rule: routing.NamespaceRevision,
				Wanted: "1-31", Revision: "1-31", Version: "v1.30.0",
			},
		},
		"a pod that names a tag gets the tag's revision": {
			routing.Input{Mesh: sailMesh(), Namespace: plain, Pod: routing.Pod{Revision: present("prod")}},
			routing.Decision{
				Action: inject, Reason: routing.PodRevision, Rule: routing.PodRevision,
				Wanted: "prod", Revision: "1-31", Tag: "prod", Version: "v1.30.0",
			},
		},
		"a pod that opts in gets the default": {
			routing.Input{Mesh: valuesMesh(routing.Injection{}), Namespace: plain, Pod: routing.Pod{Inject: present("true")}},
			routing.Decision{
				Action: inject, Reason: routing.PodInjection, Rule: routing.PodInjection,
				Wanted: "default", Revision: "default", Version: "v1.30.0",
			},
		},
		"a pod without labels gets the default where namespaces are by default": {
			routing.Input{Mesh: valuesMesh(routing.Injection{EnableNamespacesByDefault: true}), Namespace: plain},
			routing.Decision{
				Action: inject, Reason: routing.NamespacesByDefault, Rule: routing.NamespacesByDefault,
				Wanted: "default", Revision: "default", Version: "v1.30.0",
			},
		},
		"a pod that opts out is skipped before anything else counts": {
			routing.Input{Mesh: sailMesh(), Namespace: enabled, Pod: routing.Pod{Inject: present("false"), HostNetwork: true}},
			routing.Decision{Action: skip, Reason: routing.PodOptOut},
		},
		"a namespace with injection off skips every pod": {
			routing.Input{Mesh: sailMesh(), Namespace: routing.Namespace{Injection: present("disabled")}},
			routing.Decision{Action: skip, Reason: routing.NamespaceDisabled},
		},
		"a pod that nothing selects is skipped": {
			routing.Input{Mesh: sailMesh(), Namespace: plain},
			routing.Decision{Action: skip, Reason: routing.NotSelected},
		},
		"a pod on the host's network is skipped, even if its label is wrong": {
			routing.Input{Mesh: sailMesh(), Namespace: named("gone"), Pod: routing.Pod{HostNetwork: true}},
			routing.Decision{
				Action: skip, Reason: routing.HostNetwork, Rule: routing.NamespaceRevision, Wanted: "gone",
			},
		},
		"a system namespace is skipped, even if its label is wrong": {
			routing.Input{Mesh: sailMesh(), Namespace: routing.Namespace{Name: "kube-system", Revision: present("")}},
			routing.Decision{Action: skip, Reason: routing.IgnoredNamespace, Rule: routing.NamespaceRevision},
		},
		"a pod that opts out by annotation is skipped": {
			routing.Input{Mesh: sailMesh(), Namespace: enabled, Pod: routing.Pod{InjectAnnotation: present("false")}},
			routing.Decision{
				Action: skip, Reason: routing.AnnotationOptOut, Rule: routing.NamespaceInjection, Wanted: "default",
			},
		},
		"a mirror pod is skipped": {
			routing.Input{Mesh: sailMesh(), Namespace: enabled, Pod: routing.Pod{Mirror: true}},
			routing.Decision{Action: skip, Reason: routing.MirrorPod, Rule: routing.NamespaceInjection, Wanted: "default"},
		},
		"a pod that the revision never injects is skipped": {
			routing.Input{
				Mesh:      valuesMesh(routing.Injection{NeverInject: []routing.Selector{web}}),
				Namespace: enabled, Pod: routing.Pod{Labels: []routing.Pair{{Key: "app", Value: "web"}}},
			},
			routing.Decision{
				Action: skip, Reason: routing.NeverInjectSelector, Rule: routing.NamespaceInjection, Wanted: "default",
			},
		},
		"a pod that does not ask is skipped where the revision injects on request": {
			routing.Input{Mesh: valuesMesh(routing.Injection{AutoInject: "disabled"}), Namespace: enabled},
			routing.Decision{
				Action: skip, Reason: routing.AutoInjectDisabled, Rule: routing.NamespaceInjection, Wanted: "default",
			},
		},
		"a pod is skipped where the policy of the revision is none": {
			routing.Input{Mesh: valuesMesh(routing.Injection{AutoInject: "on"}), Namespace: enabled},
			routing.Decision{
				Action: skip, Reason: routing.AutoInjectInvalid, Rule: routing.NamespaceInjection, Wanted: "default",
			},
		},
		"an empty istio.io/rev names nothing": {
			routing.Input{Mesh: sailMesh(), Namespace: named("")},
			routing.Decision{Action: unresolvable, Reason: routing.EmptyRevision, Rule: routing.NamespaceRevision},
		},
		"a name of nothing is unknown": {
			routing.Input{Mesh: sailMesh(), Namespace: named("gone")},
			routing.Decision{
				Action: unresolvable, Reason: routing.UnknownRevision, Rule: routing.NamespaceRevision, Wanted: "gone",
			},
		},
		"the default is asked for and there is none": {
			routing.Input{Mesh: onlyNamed, Namespace: enabled},
			routing.Decision{
				Action: unresolvable, Reason: routing.NoDefaultRevision, Rule: routing.NamespaceInjection, Wanted: "default",
			},
		},
		"a tag whose revision is gone dangles": {
			routing.Input{Mesh: sailMesh(), Namespace: named("dangling")},
			routing.Decision{
				Action: unresolvable, Reason: routing.DanglingTag, Rule: routing.NamespaceRevision,
				Wanted: "dangling", Tag: "dangling",
			},
		},
		"the tag default dangles": {
			routing.Input{
				Mesh: meshOf(routing.Objects{
					Revisions: []routing.Revision{revision("1-31")}, Tags: []routing.Tag{tag("default", "1-30")},
				}),
				Namespace: enabled,
			},
			routing.Decision{
				Action: unresolvable, Reason: routing.DanglingTag, Rule: routing.NamespaceInjection,
				Wanted: "default", Tag: "default",
			},
		},
		"there is no mesh": {
			routing.Input{Mesh: meshOf(routing.Objects{}), Namespace: named("prod")},
			routing.Decision{Action: unresolvable, Reason: routing.NoMesh, Rule: routing.NamespaceRevision, Wanted: "prod"},
		},
	}
}

// allCases are those of both modes.
func allCases() map[string]decided {
	cases := decidedCases()
	maps.Copy(cases, forwardCases())
	return cases
}

func TestDecide(t *testing.T) {
	for name, tc := range allCases() {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, routing.Decide(tc.in)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The cases above are the cases of the test of allocations, too, so none may be missing.
func TestDecideCoversEveryReasonOfPods(t *testing.T) {
	covered := map[routing.Reason]bool{
		// Gateways only.
		routing.GatewayRevision: true, routing.DefaultOwner: true,
	}
	for _, tc := range allCases() {
		covered[tc.want.Reason] = true
	}
	for _, known := range routing.Reasons() {
		if !covered[known.Reason] {
			t.Errorf("no case ends in %s", known.Reason)
		}
	}
}

// Every pod of a cluster passes through Decide while the API server waits.
func TestDecideAllocatesNothing(t *testing.T) {
	for name, tc := range allCases() {
		t.Run(name, func(t *testing.T) {
			if n := testing.AllocsPerRun(100, func() { routing.Decide(tc.in) }); n != 0 {
				t.Errorf("%v allocations", n)
			}
		})
	}
}

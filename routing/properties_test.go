package routing_test

import (
	"slices"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// everyInput calls yield with a space of inputs that is small enough to be walked whole: four labels, and what the
// injector looks at, in an ordinary and in a system namespace.
func everyInput(m *routing.Mesh, yield func(routing.Input)) {
	values := []routing.Label{{}}
	for _, word := range []string{"", "enabled", "true", "false", "yes", "default", "1-30", "prod", "dangling", "gone"} {
		values = append(values, present(word))
	}
	annotations := []routing.Label{{}, present("true"), present("false")}
	var in routing.Input
	in.Mesh = m
	rest := func() {
		for _, in.Namespace.Name = range []string{"bookinfo", "kube-system"} {
			for _, in.Pod.InjectAnnotation = range annotations {
				for _, in.Pod.HostNetwork = range []bool{false, true} {
					for _, in.Pod.Mirror = range []bool{false, true} {
						yield(in)
					}
				}
			}
		}
	}
	for _, in.Namespace.Injection = range values {
		for _, in.Namespace.Revision = range values {
			for _, in.Pod.Inject = range values {
				for _, in.Pod.Revision = range values {
					rest()
				}
			}
		}
	}
}

func propertyMeshes() map[string]*routing.Mesh {
	onRequest := revision("1-30")
	onRequest.Injection.AutoInject = "disabled"
	return map[string]*routing.Mesh{
		"behind a tag, only on request": meshOf(routing.Objects{
			Revisions: []routing.Revision{onRequest},
			Tags:      []routing.Tag{tag("default", "1-30"), tag("prod", "1-30")},
		}),
		"no mesh":                     meshOf(routing.Objects{}),
		"two revisions and tags":      sailMesh(),
		"in place, by default":        valuesMesh(routing.Injection{EnableNamespacesByDefault: true}),
		"in place, only on request":   valuesMesh(routing.Injection{AutoInject: "disabled"}),
		"in place, without an answer": valuesMesh(routing.Injection{AutoInject: "no such policy"}),
	}
}

// TestDecideHoldsItsPromises checks what every decision has to be, whatever the input.
func TestDecideHoldsItsPromises(t *testing.T) {
	actions := map[routing.Reason]routing.Action{}
	for _, known := range routing.Reasons() {
		actions[known.Reason] = known.Action
	}
	for name, m := range propertyMeshes() {
		t.Run(name, func(t *testing.T) {
			count := 0
			everyInput(m, func(in routing.Input) {
				count++
				d := routing.Decide(in)
				if again := routing.Decide(in); again != d {
					t.Errorf("%+v: decided %+v, then %+v", in, d, again)
				}
				if actions[d.Reason] != d.Action {
					t.Errorf("%+v: %s by %s, which is a reason of %q", in, d.Action, d.Reason, actions[d.Reason])
				}
				for _, broken := range brokenPromises(in, d) {
					t.Errorf("%+v: %s: %+v", in, broken, d)
				}
			})
			t.Logf("%d inputs", count)
		})
	}
}

func brokenPromises(in routing.Input, d routing.Decision) []string {
	var broken []string
	check := func(ok bool, promise string) {
		if !ok {
			broken = append(broken, promise)
		}
	}
	never := in.Pod.HostNetwork || routing.SystemNamespace(in.Namespace.Name)
	check(!in.Pod.Inject.Is("false") || d.Action == routing.Skip, "an opted-out pod is never routed or refused")
	check(!never || d.Action == routing.Skip, "a pod that istiod never injects is never routed or refused")
	check(!in.Pod.Mirror || d.Action == routing.Skip, "a mirror pod is never routed or refused")
	switch d.Action {
	case routing.Inject:
		check(d.Rule == d.Reason, "the reason to inject is the rule")
		check(slices.ContainsFunc(in.Mesh.Revisions(), func(r routing.Revision) bool {
			return r.Name == d.Revision && r.Version == d.Version
		}), "the revision is one of the mesh")
		check(d.Wanted == d.Revision && d.Tag == "" || d.Wanted == d.Tag, "the name that was asked for was followed")
	case routing.Skip:
		check(d.Revision == "" && d.Tag == "" && d.Version == "", "a pod that is skipped has no revision")
	case routing.Unresolvable:
		check(d.Revision == "" && d.Version == "", "what cannot be resolved has no revision")
		check(d.Rule != "", "it is known who asked")
		check(d.Tag == "" || d.Reason == routing.DanglingTag && d.Tag == d.Wanted, "only a tag that dangles is named")
	}
	return broken
}

// What the router writes on a pod changes nothing when it comes by again, on reinvocation or in a copy of the pod.
func TestDecideIgnoresWhatTheRouterWrites(t *testing.T) {
	web := routing.Selector{{Key: "app", Operator: routing.OpIn, Values: []string{"web"}}}
	m := valuesMesh(routing.Injection{NeverInject: []routing.Selector{web}, EnableNamespacesByDefault: true})
	if !m.UsesPodLabels() {
		t.Fatal("the mesh reads no labels: the test would prove nothing")
	}
	written := []routing.Pair{
		{Key: routing.LabelRoutedRevision, Value: "gone"},
		{Key: routing.LabelRoutedVersion, Value: "v1.0.0"},
		{Key: routing.AnnotationReason, Value: "HostNetwork"},
		{Key: routing.AnnotationTag, Value: "gone"},
	}
	for _, own := range [][]routing.Pair{nil, {{Key: "app", Value: "web"}}, {{Key: "app", Value: "db"}}} {
		everyInput(m, func(in routing.Input) {
			in.Pod.Labels = own
			before := routing.Decide(in)
			in.Pod.Labels = slices.Concat(written, own)
			if after := routing.Decide(in); after != before {
				t.Errorf("%+v: decided %+v, with the router's labels %+v", in, before, after)
			}
		})
	}
}

// TestOrderOfObjectsDoesNotMatter: every replica reads the same objects, each in an order of its own.
func TestOrderOfObjectsDoesNotMatter(t *testing.T) {
	byWebhook := revision("default")
	byWebhook.Origin, byWebhook.UID, byWebhook.Version = routing.Webhook, "w", "v1.2.3"
	lower := byWebhook
	lower.UID, lower.Version = "v", "v1.2.4"
	revisions := []routing.Revision{revision("default"), byWebhook, lower, revision("1-30")}
	younger, unset := tag("prod", "default"), tag("prod", "")
	younger.Created, younger.Origin, younger.UID = day(3), routing.Webhook, "w"
	tags := []routing.Tag{tag("prod", "1-30"), younger, unset, tag("default", "1-30")}

	want := routing.NewMesh(routing.Objects{Revisions: slices.Clone(revisions), Tags: slices.Clone(tags)})
	orders := 0
	permute(revisions, func(rs []routing.Revision) {
		permute(tags, func(ts []routing.Tag) {
			orders++
			got := routing.NewMesh(routing.Objects{Revisions: slices.Clone(rs), Tags: slices.Clone(ts)})
			for _, name := range []string{"default", "1-30", "prod", "gone"} {
				pod := routing.Pod{Revision: present(name)}
				ns := routing.Namespace{Name: "bookinfo"}
				a := routing.Decide(routing.Input{Mesh: want, Namespace: ns, Pod: pod})
				b := routing.Decide(routing.Input{Mesh: got, Namespace: ns, Pod: pod})
				if a != b {
					t.Errorf("%s: %+v in order %v %v, but %+v in another", name, b, rs, ts, a)
				}
			}
		})
	})
	if orders != 24*24 {
		t.Errorf("%d orders, want all %d", orders, 24*24)
	}
}

// permute calls yield with every order of list.
func permute[T any](list []T, yield func([]T)) {
	if len(list) == 0 {
		yield(nil)
		return
	}
	for i := range list {
		rest := slices.Concat(list[:i:i], list[i+1:])
		permute(rest, func(tail []T) { yield(append([]T{list[i]}, tail...)) })
	}
}

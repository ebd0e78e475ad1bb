package routing_test

import (
	"slices"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// postMatch is one case of what istiod's injector looks at once a webhook has matched.
type postMatch struct {
	label, annotation   routing.Label
	hostNetwork, mirror bool
	never, always       []routing.Selector
	autoInject          string
	namespace           string
}

// injects states istiod's injectRequired (pkg/kube/inject/inject.go) in another way than routing does: not as a
// list of reasons to skip, but as a vote that is yes, no or open, which the policy then settles.
func (c postMatch) injects() bool {
	if c.hostNetwork || slices.Contains(systemNamespaces(), c.namespace) {
		return false
	}
	const open, yes, no = 0, 1, 2
	vote := map[string]int{"true": yes, "false": no}[c.explicit()]
	if vote == open && selects(c.never) {
		vote = no
	}
	if vote == open && selects(c.always) {
		vote = yes
	}
	settled := map[string]map[int]bool{
		"":         {open: true, yes: true},
		"enabled":  {open: true, yes: true},
		"disabled": {yes: true},
	}
	return settled[c.autoInject][vote]
}

// explicit is the label's value, or the annotation's where the label's key is absent.
func (c postMatch) explicit() string {
	if c.label.Present {
		return c.label.Value
	}
	return c.annotation.Value
}

// selects reports whether one of the lists below selects podLabels.
func selects(list []routing.Selector) bool {
	return slices.ContainsFunc(list, func(s routing.Selector) bool {
		return len(s) == 1 && s[0].Values[0] == "web"
	})
}

func selectorLists() map[string][]routing.Selector {
	app := func(value string) routing.Selector {
		return routing.Selector{{Key: "app", Operator: routing.OpIn, Values: []string{value}}}
	}
	return map[string][]routing.Selector{
		"none":              nil,
		"empty":             {{}},
		"another app":       {app("db")},
		"this app":          {app("web")},
		"this app, at last": {{}, app("db"), app("web")},
	}
}

func everyPostMatch() []postMatch {
	values := []routing.Label{{}, present(""), present("true"), present("false"), present("yes"), present("False")}
	var all []postMatch
	add := func(c postMatch) {
		for _, c.hostNetwork = range []bool{false, true} {
			for _, c.mirror = range []bool{false, true} {
				for _, c.autoInject = range []string{"", "enabled", "disabled", "off"} {
					for _, c.namespace = range []string{"bookinfo", "kube-system"} {
						all = append(all, c)
					}
				}
			}
		}
	}
	for _, label := range values {
		for _, annotation := range values {
			for _, never := range selectorLists() {
				for _, always := range selectorLists() {
					add(postMatch{label: label, annotation: annotation, never: never, always: always})
				}
			}
		}
	}
	return all
}

// decide asks routing about a pod whose namespace has istio-injection=enabled, so that a webhook matches unless the
// pod's label opts out.
func (c postMatch) decide() routing.Decision {
	r := revision("default")
	r.Injection = routing.Injection{AutoInject: c.autoInject, NeverInject: c.never, AlwaysInject: c.always}
	return routing.Decide(routing.Input{
		Mesh:      meshOf(routing.Objects{Revisions: []routing.Revision{r}}),
		Namespace: routing.Namespace{Name: c.namespace, Injection: present("enabled")},
		Pod: routing.Pod{
			Inject: c.label, InjectAnnotation: c.annotation, HostNetwork: c.hostNetwork, Mirror: c.mirror,
			Labels: []routing.Pair{{Key: "app", Value: "web"}},
		},
	})
}

func TestDecideSkipsWhatIstiodSkips(t *testing.T) {
	every := everyPostMatch()
	injected := 0
	for _, c := range every {
		// The webhooks' selectors leave out a pod that opts out by label. The router leaves out mirror pods, which
		// istiod would inject in the API object to no effect.
		want := c.injects() && !c.label.Is("false") && !c.mirror
		got := c.decide()
		if (got.Action == routing.Inject) != want || got.Action == routing.Unresolvable {
			t.Errorf("%+v: %s by %s, want a sidecar: %t", c, got.Action, got.Reason, want)
		}
		if want {
			injected++
		}
	}
	if injected == 0 || injected == len(every) {
		t.Errorf("%d of %d cases get a sidecar: the cases do not tell anything apart", injected, len(every))
	}
	t.Logf("%d cases, %d of them with a sidecar", len(every), injected)
}

// The reasons come in istiod's order, so that the user is told of the check that istiod stops at.
func TestDecideGivesTheFirstReasonToSkip(t *testing.T) {
	web := selectorLists()["this app"]
	c := postMatch{
		label: present("false"), annotation: present("false"), hostNetwork: true, mirror: true,
		namespace: "kube-system", never: web, autoInject: "off",
	}
	for _, step := range []struct {
		name string
		// change takes away what the step before was skipped for.
		change func()
		want   routing.Reason
	}{
		{"everything at once", func() {}, routing.PodOptOut},
		{"no label that opts out", func() { c.label = routing.Label{} }, routing.HostNetwork},
		{"not on the host's network", func() { c.hostNetwork = false }, routing.IgnoredNamespace},
		{"in an ordinary namespace", func() { c.namespace = "bookinfo" }, routing.AnnotationOptOut},
		{"an empty label masks the annotation", func() { c.label = present("") }, routing.MirrorPod},
		{"no mirror pod", func() { c.mirror = false }, routing.AutoInjectInvalid},
		{"a policy of disabled", func() { c.autoInject = "disabled" }, routing.NeverInjectSelector},
		{"nothing that is never injected", func() { c.never = nil }, routing.AutoInjectDisabled},
		{"always injected", func() { c.always = web }, routing.NamespaceInjection},
	} {
		step.change()
		if got := c.decide(); got.Reason != step.want {
			t.Errorf("%s: %s, want %s", step.name, got.Reason, step.want)
		}
	}
}

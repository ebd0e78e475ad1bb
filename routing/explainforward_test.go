package routing

import (
	"maps"
	"strings"
	"testing"
)

// explainedCases are those of both modes.
func explainedCases() map[string]explained {
	cases := guardExplained()
	maps.Copy(cases, forwardExplained())
	return cases
}

// forwarding is a mesh of two revisions, of which the newer one takes pods or does not, and the tag prod.
func forwarding(next Unroutable, t Tag) *Mesh {
	t.Name, t.Origin = "prod", Sail
	return NewMesh(Objects{
		Mode: Forward,
		Revisions: []Revision{
			{Name: "v29", Version: "v1.29.6", Namespace: "istio-system", Istio: "default", Origin: Sail, Order: 1},
			{Name: "v30", Version: "v1.30.3", Namespace: "istio-system", Istio: "default", Origin: Sail, Order: 2, Unroutable: next},
		},
		Tags: []Tag{t},
	})
}

func forwardExplained() map[string]explained {
	const means = "the namespace's label istio.io/rev=prod means revision "
	prod := Namespace{Revision: present("prod")}
	to := func(m *Mesh) Input { return asked(m, prod, Pod{}) }
	refused := func(m *Mesh, name string) Input { return asked(m, Namespace{Revision: present(name)}, Pod{}) }
	only := func(why Unroutable, name string) *Mesh {
		return NewMesh(Objects{Mode: Forward, Revisions: []Revision{
			{Name: name, Version: "v1.30.3", Namespace: "istio-system", Origin: Sail, Unroutable: why},
		}})
	}
	rolled := Tag{Revision: "v29", Target: "v29", Rollout: Rollout{Revision: "v30", Percent: 100}}
	missing := rolled
	missing.Rollout.Revision = "v31"
	return map[string]explained{
		"forward: the target of the tag takes pods": {
			in: to(forwarding("", Tag{Revision: "v29", Target: "v30"})), reason: NamespaceRevision,
			explain: means + "v30 (v1.30.3), through the tag prod",
		},
		"forward: the target of the tag has no endpoint": {
			in: to(forwarding(NoEndpoints, Tag{Revision: "v29", Target: "v30"})), reason: NamespaceRevision,
			explain: means + "v29 (v1.29.6), through the tag prod, as the last good one: its target, revision v30 " +
				"(v1.30.3), takes no pods (its injector has no ready endpoint)",
		},
		"forward: the target of the tag does not exist": {
			in: to(forwarding("", Tag{Revision: "v29", Target: "v31"})), reason: NamespaceRevision,
			explain: means + "v29 (v1.29.6), through the tag prod, as the last good one: its target, v31, does not exist",
		},
		"forward: the Istio of the tag has no revision": {
			in:      to(forwarding("", Tag{Revision: "v29", TargetKind: "Istio", TargetName: "default"})),
			reason:  NamespaceRevision,
			explain: means + "v29 (v1.29.6), through the tag prod, as the last good one: its target, the Istio default, has no revision",
		},
		"forward: a rollout sends the workload on": {
			in: to(forwarding("", rolled)), reason: NamespaceRevision,
			explain: means + "v30 (v1.30.3), through the tag prod, whose rollout sends 100% of the workloads there",
		},
		"forward: the revision of the rollout is being deleted": {
			in: to(forwarding(BeingDeleted, rolled)), reason: NamespaceRevision,
			explain: means + "v29 (v1.29.6), through the tag prod, as the last good one: the revision of its rollout, " +
				"revision v30 (v1.30.3), takes no pods (it is being deleted)",
		},
		"forward: the revision of the rollout does not exist": {
			in: to(forwarding("", missing)), reason: NamespaceRevision,
			explain: means + "v29 (v1.29.6), through the tag prod, as the last good one: the revision of its rollout, v31, does not exist",
		},
		"forward: nothing behind the tag takes pods": {
			in:     to(NewMesh(Objects{Mode: Forward, Revisions: only(NoEndpoints, "v30").Revisions(), Tags: []Tag{{Name: "prod", Target: "v30", Origin: Sail}}})),
			reason: NotRoutable,
			explain: "the namespace's label istio.io/rev=prod asks for the tag prod, whose target, revision v30 (v1.30.3), takes no " +
				"pods (its injector has no ready endpoint), and no earlier revision of it does",
			refusal: `NotRoutable: pod "web-*" in namespace bookinfo is refused: the namespace's label istio.io/rev=prod asks for ` +
				`the tag prod, whose target, revision v30 (v1.30.3), takes no pods (its injector has no ready endpoint), and no ` +
				`earlier revision of it does. Next: kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istiod-v30`,
		},
		"forward: the default revision has no endpoint": {
			in: refused(only(NoEndpoints, "default"), "default"), reason: NotRoutable,
			explain: "the namespace's label istio.io/rev=default names revision default (v1.30.3), which takes no pods: its injector " +
				"has no ready endpoint",
			refusal: `NotRoutable: pod "web-*" in namespace bookinfo is refused: the namespace's label istio.io/rev=default names ` +
				`revision default (v1.30.3), which takes no pods: its injector has no ready endpoint. Next: kubectl get ` +
				`endpointslices -n istio-system -l kubernetes.io/service-name=istiod`,
		},
	}
}

// Every reason has a clause of its own, and a refusal that ends in a step.
func TestEveryUnroutableReasonIsExplained(t *testing.T) {
	seen := map[string]bool{}
	for _, why := range UnroutableReasons() {
		m := NewMesh(Objects{Mode: Forward, Revisions: []Revision{
			{Name: "v30", Version: "v1.30.3", Namespace: "istio-system", Origin: Sail, Unroutable: why},
		}})
		in := asked(m, Namespace{Revision: present("v30")}, Pod{})
		d := Decide(in)
		clause := ExplainUnroutable(why)
		if clause == "" || seen[clause] {
			t.Errorf("%s is explained by %q, as another one or not at all", why, clause)
		}
		seen[clause] = true
		refusal := ExplainRefusal("pod \"web\"", in, d)
		if _, next, ok := strings.Cut(refusal, "Next: "); !ok || !strings.Contains(next, "kubectl") {
			t.Errorf("%s: no next command in %q", why, refusal)
		}
		if !strings.Contains(refusal, clause) || !strings.Contains(refusal, "v30") {
			t.Errorf("%s: %q names neither revision nor reason", why, refusal)
		}
	}
}

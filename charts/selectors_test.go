package charts_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

// The entries, by the first part of their names.
const (
	namespaceInjection  = "namespace-injection"
	namespaceRevision   = "namespace-revision"
	podRevision         = "pod-revision"
	podInjection        = "pod-injection"
	namespacesByDefault = "namespaces-by-default"
)

// metadataName is the label that the API server puts on every namespace.
const metadataName = "kubernetes.io/metadata.name"

// subject is one pod in one namespace, as selectors see them.
type subject struct{ namespace, pod labels.Set }

// subjects calls visit for every combination of labels in the given namespaces, and returns how many there are.
func subjects(namespaces []string, visit func(subject)) int {
	const absent = "(absent)"
	put := func(in labels.Set, key, value string) {
		if value != absent {
			in[key] = value
		}
	}
	count := 0
	for _, name := range namespaces {
		for _, injection := range []string{absent, "", "enabled", "disabled", "Enabled", "canary"} {
			for _, nsRevision := range []string{absent, "", "default", "canary", "stable", "gone"} {
				for _, inject := range []string{absent, "", "true", "false", "True", "yes"} {
					for _, revision := range []string{absent, "", "default", "canary", "stable", "gone"} {
						s := subject{namespace: labels.Set{metadataName: name}, pod: labels.Set{"app": "reviews"}}
						put(s.namespace, routing.LabelInjection, injection)
						put(s.namespace, routing.LabelRevision, nsRevision)
						put(s.pod, routing.LabelInject, inject)
						put(s.pod, routing.LabelRevision, revision)
						visit(s)
						count++
					}
				}
			}
		}
	}
	return count
}

// matching returns which webhooks of the configurations the API server would call for the pod.
func matching(t testing.TB, s subject, configurations ...*admissionregistrationv1.MutatingWebhookConfiguration) []string {
	t.Helper()
	selects := func(selector *metav1.LabelSelector, set labels.Set) bool {
		parsed, err := metav1.LabelSelectorAsSelector(selector)
		if err != nil {
			t.Fatal(err)
		}
		return parsed.Matches(set)
	}
	var names []string
	for _, configuration := range configurations {
		for _, webhook := range configuration.Webhooks {
			if selects(webhook.NamespaceSelector, s.namespace) && selects(webhook.ObjectSelector, s.pod) && meets(t, webhook, s.pod) {
				names = append(names, webhook.Name)
			}
		}
	}
	return names
}

// meets evaluates the conditions of a webhook for a pod that is neither in the node's network nor a mirror. That the
// API server reads them alike is what TestWithoutARouterOnlyPodsThatIstioInjectsWait shows.
func meets(t testing.TB, webhook admissionregistrationv1.MutatingWebhook, pod labels.Set) bool {
	t.Helper()
	for _, condition := range webhook.MatchConditions {
		expression, negated := strings.CutPrefix(condition.Expression, "!(")
		var met bool
		switch inject := pod[routing.LabelInject]; {
		case strings.HasSuffix(strings.TrimSuffix(expression, ")"), `.orValue("") != "false"`):
			met = inject != "false"
		case strings.HasSuffix(strings.TrimSuffix(expression, ")"), `.orValue("") == "true"`):
			met = inject == "true"
		default:
			t.Fatalf("%s: no such condition is known: %s", webhook.Name, condition.Expression)
		}
		if met == negated {
			return false
		}
	}
	return true
}

// entries shortens the names of the router's webhooks.
func entries(names []string) []string {
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".pods.revision-router.io")
	}
	return names
}

// entryFor is the contract between the chart and the handlers, in words: docs/spec.md has the same table.
func entryFor(s subject, byDefault bool) []string {
	switch {
	case s.namespace.Has(routing.LabelInjection):
		return []string{namespaceInjection}
	case s.namespace.Has(routing.LabelRevision):
		return []string{namespaceRevision}
	case s.pod.Has(routing.LabelRevision):
		return []string{podRevision}
	case s.pod.Has(routing.LabelInject):
		return []string{podInjection}
	case byDefault && s.namespace[metadataName] != "local-path-storage":
		return []string{namespacesByDefault}
	}
	return nil
}

// istio returns the injector webhooks of a mesh with every kind of name: the default revision, another one, a tag.
func istio(byDefault bool) []*admissionregistrationv1.MutatingWebhookConfiguration {
	return []*admissionregistrationv1.MutatingWebhookConfiguration{
		injector.RevisionConfiguration(injector.Target{Revision: routing.DefaultRevision, NamespacesByDefault: byDefault}),
		injector.RevisionConfiguration(injector.Target{Revision: "canary"}),
		injector.TagConfiguration("stable", injector.Target{Revision: "canary"}),
	}
}

func TestEveryPodThatIstioSelectsReachesOneEntry(t *testing.T) {
	for _, byDefault := range []bool{false, true} {
		t.Run(fmt.Sprintf("enableNamespacesByDefault=%t", byDefault), func(t *testing.T) {
			configuration := one[*admissionregistrationv1.MutatingWebhookConfiguration](t,
				render(t, set(fmt.Sprintf("enableNamespacesByDefault=%t", byDefault))...))
			selected := map[string]int{}
			total := subjects([]string{"bookinfo", "local-path-storage", "istio-ingress"}, func(s subject) {
				got := entries(matching(t, s, configuration))
				if diff := cmp.Diff(entryFor(s, byDefault), got); diff != "" {
					t.Fatalf("%+v reaches (-want +got):\n%s", s, diff)
				}
				if len(matching(t, s, istio(byDefault)...)) == 0 {
					return
				}
				if len(got) != 1 {
					t.Fatalf("%+v is selected by Istio and reaches %v, want one entry", s, got)
				}
				selected[got[0]]++
			})
			want := []string{namespaceInjection, namespaceRevision, podInjection, podRevision}
			if byDefault {
				want = append(want, namespacesByDefault)
			}
			for _, entry := range want {
				if selected[entry] == 0 {
					t.Errorf("of %d pods none that Istio selects reaches %s: the test proves nothing about it", total, entry)
				}
			}
		})
	}
}

// Where the core names a rule, the entry of the same meaning carries the request: the handler concludes from the
// path what the API server saw.
func TestEntriesAgreeWithTheRulesOfTheCore(t *testing.T) {
	configuration := one[*admissionregistrationv1.MutatingWebhookConfiguration](t,
		render(t, set("enableNamespacesByDefault=true")...))
	mesh := routing.NewMesh(routing.Objects{Revisions: []routing.Revision{
		{Name: routing.DefaultRevision, Injection: routing.Injection{EnableNamespacesByDefault: true}}, {Name: "canary"},
	}})
	want := map[routing.Reason]string{
		routing.NamespaceInjection: namespaceInjection, routing.NamespaceRevision: namespaceRevision,
		routing.PodRevision: podRevision, routing.PodInjection: podInjection,
		routing.NamespacesByDefault: namespacesByDefault,
	}
	seen := map[routing.Reason]bool{}
	subjects([]string{"bookinfo"}, func(s subject) {
		rule := routing.Decide(routing.Input{
			Mesh:      mesh,
			Namespace: routing.NamespaceOf(s.namespace[metadataName], s.namespace),
			Pod: routing.Pod{
				Inject:   routing.LabelOf(s.pod, routing.LabelInject),
				Revision: routing.LabelOf(s.pod, routing.LabelRevision),
			},
		}).Rule
		if rule == "" {
			return
		}
		seen[rule] = true
		if diff := cmp.Diff([]string{want[rule]}, entries(matching(t, s, configuration))); diff != "" {
			t.Fatalf("%+v, rule %s, reaches (-want +got):\n%s", s, rule, diff)
		}
	})
	if len(seen) != len(want) {
		t.Errorf("rules met: %v, want all of %v", seen, want)
	}
}

func TestExemptNamespacesReachNoEntry(t *testing.T) {
	configuration := one[*admissionregistrationv1.MutatingWebhookConfiguration](t,
		renderAs(t, charts.Options{Namespace: "guard", Args: set("enableNamespacesByDefault=true")}))
	exempt := []string{
		"guard", "kube-system", "kube-public", "kube-node-lease", "istio-system", "istio-cni", "ztunnel",
		"sail-operator", "openshift-operators", "cert-manager",
	}
	subjects(exempt, func(s subject) {
		if got := matching(t, s, configuration); len(got) > 0 {
			t.Fatalf("%+v reaches %v, want none", s, got)
		}
	})
}

func TestExemptNamespacesOfTheValuesReplaceTheDefault(t *testing.T) {
	got := exemptOf(t, render(t, set("exemptNamespaces={mesh-system,kube-system}")...))
	want := []string{"kube-node-lease", "kube-public", "kube-system", "mesh-system", "revision-router"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exempt namespaces (-want +got):\n%s", diff)
	}
}

// A router that waits for its certificate and a cert-manager that waits for the router would wait for ever.
func TestCertManagerIsExemptWhereTheRouterNeedsIt(t *testing.T) {
	got := exemptOf(t, render(t, set("certs.provider=cert-manager", "exemptNamespaces={mesh-system}")...))
	want := []string{"cert-manager", "kube-node-lease", "kube-public", "kube-system", "mesh-system", "revision-router"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exempt namespaces (-want +got):\n%s", diff)
	}
}

func exemptOf(t *testing.T, r release) []string {
	t.Helper()
	var exempt []string
	for _, webhook := range one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r).Webhooks {
		first := webhook.NamespaceSelector.MatchExpressions[0]
		if first.Key != metadataName || first.Operator != metav1.LabelSelectorOpNotIn {
			t.Fatalf("%s: first requirement %v, want NotIn on %s", webhook.Name, first, metadataName)
		}
		if exempt != nil && !slices.Equal(exempt, first.Values) {
			t.Errorf("%s exempts %v, another entry %v", webhook.Name, first.Values, exempt)
		}
		exempt = first.Values
	}
	return exempt
}

// A router that waits for itself, or for an istiod that waits for it, would never start: neither the router's own
// entries nor Istio's may select its pods, wherever they run and whatever their namespace is labelled.
func TestRouterAndIstiodAreNeverIntercepted(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, append(args, set("enableNamespacesByDefault=true")...)...)
			configuration := one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r)
			router := one[*appsv1.Deployment](t, r).Spec.Template.Labels
			subjects([]string{"bookinfo", r.namespace}, func(s subject) {
				maps.Copy(s.pod, router)
				if got := matching(t, s, append(istio(true), configuration)...); len(got) > 0 {
					t.Fatalf("the router in %v reaches %v, want none", s.namespace, got)
				}
			})
			subjects([]string{"mesh-system"}, func(s subject) {
				s.pod["app"] = "istiod"
				if got := matching(t, s, configuration); len(got) > 0 {
					t.Fatalf("istiod in %v reaches %v, want none", s.namespace, got)
				}
			})
		})
	}
}

package istio

import (
	"encoding/json"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// TestSelectorsOfValuesAgreeWithKubernetes follows neverInjectSelector from the Helm values to a decision, and
// compares each selector with what istiod does with it (pkg/kube/inject, injectRequired): one that is not valid, and
// one without requirements, count for nothing.
func TestSelectorsOfValuesAgreeWithKubernetes(t *testing.T) {
	matched, ignored, count := 0, 0, 0
	for _, selector := range selectors() {
		mesh := meshWith(t, selector)
		for _, set := range labelSets() {
			count++
			want := istiodSelects(selector, set)
			got := decideWithLabels(mesh, set)
			if skipped := got.Reason == routing.NeverInjectSelector; skipped != want {
				t.Errorf("%s on %v: %s by %s, want that the selector matches: %t",
					metav1.FormatLabelSelector(&selector), set, got.Action, got.Reason, want)
			}
			if want {
				matched++
			}
		}
		if _, err := metav1.LabelSelectorAsSelector(&selector); err != nil {
			ignored++
		}
	}
	if matched == 0 || ignored == 0 {
		t.Errorf("%d matches, %d selectors that are not valid: the test tells nothing apart", matched, ignored)
	}
	t.Logf("%d comparisons, %d matches, %d selectors that are not valid", count, matched, ignored)
}

func istiodSelects(selector metav1.LabelSelector, set labels.Set) bool {
	s, err := metav1.LabelSelectorAsSelector(&selector)
	return err == nil && !s.Empty() && s.Matches(set)
}

func decideWithLabels(mesh *routing.Mesh, set labels.Set) routing.Decision {
	pod := routing.Pod{}
	for key, value := range set {
		pod.Labels = append(pod.Labels, routing.Pair{Key: key, Value: value})
	}
	ns := routing.Namespace{Name: "bookinfo", Injection: routing.Label{Value: "enabled", Present: true}}
	return routing.Decide(routing.Input{Mesh: mesh, Namespace: ns, Pod: pod})
}

func meshWith(t *testing.T, never metav1.LabelSelector) *routing.Mesh {
	t.Helper()
	data, err := json.Marshal(values{"sidecarInjectorWebhook": values{"neverInjectSelector": []any{never}}})
	if err != nil {
		t.Fatal(err)
	}
	object := sail.IstioRevision{ObjectMeta: meta("default", revisionsCreated())}
	if err := json.Unmarshal(data, &object.Spec.Values); err != nil {
		t.Fatal(err)
	}
	return routing.NewMesh(routing.Objects{Revisions: []routing.Revision{object.Revision()}})
}

// selectors are all of up to two requirements on two keys, the wrong ones among them, with and without matchLabels.
func selectors() []metav1.LabelSelector {
	requirements := []metav1.LabelSelectorRequirement{}
	for _, key := range []string{"app", "tier", "not a key"} {
		for _, operator := range []metav1.LabelSelectorOperator{
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists,
			metav1.LabelSelectorOpDoesNotExist, "Gt", "",
		} {
			for _, list := range [][]string{nil, {"web"}, {"db", "web"}, {""}, {"not a value"}} {
				requirements = append(requirements, metav1.LabelSelectorRequirement{Key: key, Operator: operator, Values: list})
			}
		}
	}
	var all []metav1.LabelSelector
	for _, matchLabels := range []map[string]string{nil, {"app": "web"}, {"tier": ""}, {"app": "not a value"}} {
		all = append(all, metav1.LabelSelector{MatchLabels: matchLabels})
		for i, first := range requirements {
			one := []metav1.LabelSelectorRequirement{first}
			all = append(all, metav1.LabelSelector{MatchLabels: matchLabels, MatchExpressions: one})
			if matchLabels != nil {
				continue
			}
			for _, second := range requirements[i:] {
				two := []metav1.LabelSelectorRequirement{first, second}
				all = append(all, metav1.LabelSelector{MatchExpressions: two})
			}
		}
	}
	return all
}

func labelSets() []labels.Set {
	return []labels.Set{
		{},
		{"app": "web"},
		{"app": "db"},
		{"app": ""},
		{"tier": "web"},
		{"tier": ""},
		{"app": "web", "tier": ""},
		{"app": "other", "tier": "db"},
	}
}

package sail_test

import (
	"math/rand/v2"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// anySelector is a random selector on the labels that matter.
func anySelector(r *rand.Rand, values map[string][]string) *metav1.LabelSelector {
	s := &metav1.LabelSelector{}
	for _, key := range []string{"istio-injection", "istio.io/rev", "sidecar.istio.io/inject"} {
		words := values[key]
		if words == nil || r.IntN(3) == 0 {
			continue
		}
		ops := []metav1.LabelSelectorOperator{
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist,
		}
		e := metav1.LabelSelectorRequirement{Key: key, Operator: ops[r.IntN(len(ops))]}
		if e.Operator == metav1.LabelSelectorOpIn || e.Operator == metav1.LabelSelectorOpNotIn {
			for range 1 + r.IntN(3) {
				e.Values = append(e.Values, words[r.IntN(len(words))])
			}
		}
		s.MatchExpressions = append(s.MatchExpressions, e)
	}
	return s
}

// everyPod calls yield with each combination of the words for the labels of a namespace and a pod, absent ones too.
func everyPod(namespace, pod map[string][]string, yield func(ns, pod labels.Set)) {
	choices := func(words []string) []string { return append([]string{"\x00"}, words...) }
	set := func(pairs ...string) labels.Set {
		out := labels.Set{}
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] != "\x00" {
				out[pairs[i]] = pairs[i+1]
			}
		}
		return out
	}
	for _, a := range choices(namespace["istio-injection"]) {
		for _, b := range choices(namespace["istio.io/rev"]) {
			for _, c := range choices(pod["sidecar.istio.io/inject"]) {
				for _, d := range choices(pod["istio.io/rev"]) {
					yield(set("istio-injection", a, "istio.io/rev", b), set("sidecar.istio.io/inject", c, "istio.io/rev", d))
				}
			}
		}
	}
}

// TestOverlapsAreThoseThatASearchFinds compares the answer for random webhooks with a search through all labels, by
// Kubernetes' own selectors.
func TestOverlapsAreThoseThatASearchFinds(t *testing.T) {
	const rounds = 1000
	names := []string{"default", "v30", "away", "prod", "plain", "gone"}
	namespace := map[string][]string{"istio-injection": {"enabled", "disabled"}, "istio.io/rev": names}
	pod := map[string][]string{"sidecar.istio.io/inject": {"true", "false", "yes"}, "istio.io/rev": names}
	away := ofSail("away", "v1.30.3")
	away.Unroutable = routing.NoEndpoints
	base := routing.Objects{
		Mode:      routing.Forward,
		Revisions: []routing.Revision{ofSail("v30", "v1.30.3"), away, {Name: "plain", Origin: routing.Webhook}},
		Tags:      []routing.Tag{{Name: "prod", Target: "v30", Origin: routing.Sail}},
	}
	withDefault := routing.Objects{
		Mode: routing.Forward, Tags: base.Tags, Revisions: append([]routing.Revision{ofSail("default", "v1.30.3")}, base.Revisions...),
		Namespaces: []routing.Namespace{{Name: "somewhere", PodFirst: true}},
	}
	meshes := []*routing.Mesh{routing.NewMesh(base), routing.NewMesh(withDefault)}
	r := rand.New(rand.NewPCG(1, 2))
	overlapping, pods := 0, 0
	for range rounds {
		m := meshes[r.IntN(len(meshes))]
		w := admissionregistrationv1.MutatingWebhook{
			Name: "any." + suffix, NamespaceSelector: anySelector(r, namespace), ObjectSelector: anySelector(r, pod),
		}
		of, err := metav1.LabelSelectorAsSelector(w.NamespaceSelector)
		if err != nil {
			t.Fatal(err)
		}
		on, err := metav1.LabelSelectorAsSelector(w.ObjectSelector)
		if err != nil {
			t.Fatal(err)
		}
		want := false
		everyPod(namespace, pod, func(ns, labels labels.Set) {
			pods++
			if want || !of.Matches(ns) || !on.Matches(labels) {
				return
			}
			for _, first := range []bool{false, m.PodFirst()} {
				in := routing.Input{Mesh: m, Namespace: routing.NamespaceOf("somewhere", ns), Pod: routing.Pod{
					Inject: routing.LabelOf(labels, routing.LabelInject), Revision: routing.LabelOf(labels, routing.LabelRevision),
				}}
				in.Namespace.PodFirst = first
				d := routing.Decide(in)
				want = want || d.Forward || d.Reason == routing.NotRoutable
			}
		})
		c := &admissionregistrationv1.MutatingWebhookConfiguration{Webhooks: []admissionregistrationv1.MutatingWebhook{w}}
		got := len(sail.Overlaps(m, sail.Webhooks(c), nil)) > 0
		if got != want {
			t.Fatalf("namespaces %v, pods %v: overlap %t, a search finds %t", of, on, got, want)
		}
		if got {
			overlapping++
		}
	}
	if overlapping < rounds/10 || overlapping > rounds*9/10 {
		t.Errorf("%d of %d webhooks overlap: the test would prove little", overlapping, rounds)
	}
	t.Logf("%d webhooks, %d of them overlap, %d pods tried", rounds, overlapping, pods)
}

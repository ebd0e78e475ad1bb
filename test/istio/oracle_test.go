package istio

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/routing"
)

// totals is what TestMain prints, so that a run which compared nothing does not pass for one that found nothing.
type totals struct {
	clusters, combinations, differences int
}

var compared totals

func TestMain(m *testing.M) {
	code := m.Run()
	fmt.Printf("istio.io/istio %s: %d clusters, %d combinations compared, %d differences\n",
		istioVersion(), compared.clusters, compared.combinations, compared.differences)
	os.Exit(code)
}

// istioVersion reads go.mod: the build information of a test binary does not list its modules.
func istioVersion() string {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		return err.Error()
	}
	_, rest, _ := strings.Cut(string(mod), "istio.io/istio ")
	version, _, _ := strings.Cut(rest, "\n")
	return version
}

// TestDecideAgreesWithIstio is the oracle: for every combination of labels the decision is what the webhooks do.
func TestDecideAgreesWithIstio(t *testing.T) {
	all := clusters(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			c := all[name]
			count, differences := 0, 0
			for _, v := range c.views {
				r := compare(t, c.configurations, v.objects)
				count, differences = count+r.combinations, differences+len(r.differences)
				for _, d := range r.differences[:min(len(r.differences), 10)] {
					t.Errorf("%s: %s", v.name, d)
				}
			}
			t.Logf("%s: %d combinations compared, %d differences", name, count, differences)
			compared.clusters++
			compared.combinations += count
			compared.differences += differences
		})
	}
}

// result is one comparison of a cluster with a view of it.
type result struct {
	combinations int
	differences  []string
	// doubles are the combinations for which more than one webhook matches. They are among the differences.
	doubles []question
}

// question is one combination of labels.
type question struct {
	namespace routing.Namespace
	pod       routing.Pod
}

// compare asks the webhooks and routing about every combination of the four labels in every kind of namespace.
func compare(t *testing.T, installed []configuration, view routing.Objects) result {
	t.Helper()
	all, mesh := webhooks(t, installed), routing.NewMesh(clone(view))
	running := revisions(installed)
	values := labelValues(all, view)
	everyPod := pods(values)
	onPod := make([]hits, len(everyPod))
	for i, pod := range everyPod {
		onPod[i] = hitsOf(all, byObject, podLabels(pod))
	}
	var r result
	for _, ns := range namespaces(values) {
		inNamespace := hitsOf(all, byNamespace, namespaceLabels(ns))
		for i, pod := range everyPod {
			q := question{ns, pod}
			matching := (inNamespace & onPod[i]).of(all)
			decision := routing.Decide(routing.Input{Mesh: mesh, Namespace: ns, Pod: pod})
			r.combinations++
			if len(matching) > 1 {
				r.doubles = append(r.doubles, q)
			}
			if wrong := judge(q, matching, running, decision); wrong != "" {
				r.differences = append(r.differences, wrong)
			}
		}
	}
	return r
}

// revisions are those that run. Each has a configuration of its own, even if it is deactivated.
func revisions(installed []configuration) []string {
	var names []string
	for _, c := range installed {
		if !isTag(c) {
			names = append(names, c.Labels[routing.LabelRevision])
		}
	}
	return names
}

// judge says what is wrong with the decision, given the webhooks that match; nothing is the empty string.
func judge(q question, matching []webhook, running []string, got routing.Decision) string {
	if len(matching) > 1 {
		return fmt.Sprintf("%v: %d webhooks match: %v", q, len(matching), matching)
	}
	want := "no sidecar"
	switch {
	case routing.SystemNamespace(q.namespace.Name):
		// The injector skips the pod whether or not a webhook matches, so nothing may refuse it either.
		if got.Action == routing.Skip {
			return ""
		}
	case len(matching) == 0:
		if got.Action != routing.Inject {
			return ""
		}
	default:
		decision := decisionOf(matching[0], running)
		if got.Action == decision.Action && got.Reason == decision.Reason && got.Revision == decision.Revision &&
			got.Tag == decision.Tag {
			return ""
		}
		want = describe(decision)
	}
	return fmt.Sprintf("%v: webhooks %v, decided %s, want %s", q, matching, describe(got), want)
}

// decisionOf is the decision that says the same as the only webhook that matches.
func decisionOf(w webhook, running []string) routing.Decision {
	tag := w.tag
	if tag == w.revision {
		// istioctl install gives the default revision a tag of the same name. That is no other name to follow.
		tag = ""
	}
	if !slices.Contains(running, w.revision) {
		// The webhook of a tag outlives its revision, and calls a Service that is gone.
		return routing.Decision{Action: routing.Unresolvable, Reason: routing.DanglingTag, Tag: tag}
	}
	return routing.Decision{Action: routing.Inject, Reason: w.rule(), Revision: w.revision, Tag: tag}
}

func describe(d routing.Decision) string {
	return fmt.Sprintf("%s by %s of revision %q, tag %q", d.Action, d.Reason, d.Revision, d.Tag)
}

// labelValues are the values that every label takes in turn, after being absent: all that some rule could mean by
// them, what comes close to that, and every name of the cluster.
func labelValues(all []webhook, view routing.Objects) []routing.Label {
	words := []string{
		"", "enabled", "disabled", "true", "false", "Enabled", "False", "yes", "default", "1-30", "1-31", "prod", "unknown",
	}
	for _, w := range all {
		words = append(words, w.revision, w.tag)
	}
	for _, r := range view.Revisions {
		words = append(words, r.Name)
	}
	for _, t := range view.Tags {
		words = append(words, t.Name, t.Revision)
	}
	slices.Sort(words)
	values := []routing.Label{{}}
	for _, word := range slices.Compact(words) {
		values = append(values, routing.Label{Value: word, Present: true})
	}
	return values
}

func namespaces(values []routing.Label) []routing.Namespace {
	var all []routing.Namespace
	for _, name := range []string{
		"bookinfo", controlPlaneNamespace, "kube-system", "kube-public", "kube-node-lease", "local-path-storage",
	} {
		for _, injection := range values {
			for _, revision := range values {
				all = append(all, routing.Namespace{Name: name, Injection: injection, Revision: revision})
			}
		}
	}
	return all
}

func pods(values []routing.Label) []routing.Pod {
	var all []routing.Pod
	for _, inject := range values {
		for _, revision := range values {
			all = append(all, routing.Pod{Inject: inject, Revision: revision})
		}
	}
	return all
}

// namespaceLabels adds the label that the API server gives every namespace.
func namespaceLabels(ns routing.Namespace) labels.Set {
	set := labels.Set{"kubernetes.io/metadata.name": ns.Name}
	put(set, routing.LabelInjection, ns.Injection)
	put(set, routing.LabelRevision, ns.Revision)
	return set
}

func podLabels(pod routing.Pod) labels.Set {
	set := labels.Set{"app": "productpage"}
	put(set, routing.LabelInject, pod.Inject)
	put(set, routing.LabelRevision, pod.Revision)
	return set
}

func put(set labels.Set, key string, l routing.Label) {
	if l.Present {
		set[key] = l.Value
	}
}

func (q question) String() string {
	return strings.Join([]string{
		"namespace " + q.namespace.Name,
		show(routing.LabelInjection, q.namespace.Injection), show(routing.LabelRevision, q.namespace.Revision),
		"pod", show(routing.LabelInject, q.pod.Inject), show(routing.LabelRevision, q.pod.Revision),
	}, " ")
}

func show(key string, l routing.Label) string {
	if !l.Present {
		return key + " absent"
	}
	return fmt.Sprintf("%s=%q", key, l.Value)
}

package sail

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

// Webhook is one injector webhook of Istio's that may match pods, whoever owns its configuration.
type Webhook struct {
	Configuration, Name string
	// Namespaces and Objects are its selectors; one without requirements matches everything.
	Namespaces, Objects routing.Selector
}

// Webhooks reads the injector webhooks of a configuration. Those that are deactivated match nothing and are left out.
func Webhooks(c *admissionregistrationv1.MutatingWebhookConfiguration) []Webhook {
	var out []Webhook
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		if !strings.HasSuffix(w.Name, injectorSuffix) || neverMatches(w.NamespaceSelector) || neverMatches(w.ObjectSelector) {
			continue
		}
		out = append(out, Webhook{
			Configuration: c.Name, Name: w.Name,
			Namespaces: requirements(w.NamespaceSelector), Objects: requirements(w.ObjectSelector),
		})
	}
	return out
}

// requirements reads a selector that the API server has validated.
func requirements(s *metav1.LabelSelector) routing.Selector {
	if s == nil {
		return nil
	}
	selector, err := SelectorOf(s)
	if err != nil {
		return nil // it is then taken to match everything: fail closed
	}
	return selector
}

// Overlap is a webhook of Istio's that matches pods which the router has injected itself: two injectors would call on
// one pod, which can leave it with two sidecars or with the wrong one.
type Overlap struct {
	Configuration, Webhook string
	// Wanted is what such a pod asks for: a revision, a tag, or default.
	Wanted string
}

// Overlaps finds those webhooks, in order of configuration and webhook. excluded are the namespaces that the router's
// own configuration leaves out. Labels that neither Istio nor the router reads may have any value, so that a webhook
// whose selectors look at them counts as one that matches.
func Overlaps(m *routing.Mesh, webhooks []Webhook, excluded []string) []Overlap {
	names := forwardable(m)
	if len(names) == 0 {
		return nil
	}
	var out []Overlap
	for i := range webhooks {
		w := &webhooks[i]
		if wanted, ok := w.overlaps(m, names, excluded); ok {
			out = append(out, Overlap{Configuration: w.Configuration, Webhook: w.Name, Wanted: wanted})
		}
	}
	slices.SortFunc(out, func(a, b Overlap) int {
		return strings.Compare(a.Configuration+"\x00"+a.Webhook, b.Configuration+"\x00"+b.Webhook)
	})
	return out
}

// forwardable are the names that lead to the router, now or once their revision takes pods.
func forwardable(m *routing.Mesh) []string {
	var names []string
	add := func(name string) {
		d := routing.Decide(routing.Input{Mesh: m, Pod: routing.Pod{
			Revision: routing.Label{Value: name, Present: true}, Inject: routing.Label{Value: "true", Present: true},
		}})
		if ours(d) {
			names = append(names, name)
		}
	}
	for i := range m.Revisions() {
		add(m.Revisions()[i].Name)
	}
	for i := range m.Tags() {
		add(m.Tags()[i].Name)
	}
	return names
}

func ours(d routing.Decision) bool { return d.Forward || d.Reason == routing.NotRoutable }

// overlaps looks for labels of a namespace and a pod that the webhook matches and the router forwards. The labels
// tried are all that can make a difference: those that the selectors name, and one name of the mesh for the rest.
func (w *Webhook) overlaps(m *routing.Mesh, names, excluded []string) (wanted string, ok bool) {
	if !w.inRoutedNamespaces(excluded) {
		return "", false
	}
	absent := routing.Label{}
	injection := []routing.Label{absent, {Value: "enabled", Present: true}}
	inject := []routing.Label{absent, {Value: "true", Present: true}, {Value: "other", Present: true}}
	podFirst := []bool{false, true}
	if !m.PodFirst() {
		podFirst = podFirst[:1]
	}
	var in routing.Input
	in.Mesh = m
	for _, in.Namespace.Injection = range accepted(w.Namespaces, routing.LabelInjection, injection) {
		for _, in.Namespace.Revision = range revisionLabels(w.Namespaces, names) {
			for _, in.Pod.Inject = range accepted(w.Objects, routing.LabelInject, inject) {
				for _, in.Pod.Revision = range revisionLabels(w.Objects, names) {
					for _, in.Namespace.PodFirst = range podFirst {
						if d := routing.Decide(in); ours(d) {
							return d.Wanted, true
						}
					}
				}
			}
		}
	}
	return "", false
}

// inRoutedNamespaces is false where the selector names only namespaces whose pods never come to the router.
func (w *Webhook) inRoutedNamespaces(excluded []string) bool {
	for _, r := range w.Namespaces {
		if r.Key != corev1.LabelMetadataName || r.Operator != routing.OpIn {
			continue
		}
		if !slices.ContainsFunc(r.Values, func(name string) bool {
			return !slices.Contains(excluded, name) && !routing.SystemNamespace(name)
		}) {
			return false
		}
	}
	return true
}

// accepted are those values, of the ones given and of those that the selector names, that its requirements on key accept.
func accepted(s routing.Selector, key string, values []routing.Label) []routing.Label {
	for _, r := range s {
		if r.Key == key && r.Operator == routing.OpIn {
			for _, v := range r.Values {
				values = append(slices.Clip(values), routing.Label{Value: v, Present: true})
			}
		}
	}
	var out []routing.Label
	for _, value := range values {
		var labels []routing.Pair
		if value.Present {
			labels = []routing.Pair{{Key: key, Value: value.Value}}
		}
		ok := true
		for _, r := range s {
			if r.Key == key {
				ok = ok && routing.Selector{r}.Matches(labels)
			}
		}
		if ok {
			out = append(out, value)
		}
	}
	return out
}

// revisionLabels are values of istio.io/rev that the selector accepts: none at all, each that it names, and one of
// the names, since all that it does not name are alike to it.
func revisionLabels(s routing.Selector, names []string) []routing.Label {
	out := accepted(s, routing.LabelRevision, []routing.Label{{}})
	for _, name := range names {
		label := routing.Label{Value: name, Present: true}
		if slices.Contains(accepted(s, routing.LabelRevision, []routing.Label{label}), label) {
			return append(out, label)
		}
	}
	return out
}

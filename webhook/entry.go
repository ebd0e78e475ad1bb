package webhook

import "github.com/revision-router/revision-router/routing"

// NamespaceState is what the selector of a webhook entry says about the labels of the pod's namespace.
type NamespaceState string

// The states. They exclude one another, as the entries' selectors do.
const (
	// HasInjection: the namespace has the label istio-injection, with whatever value.
	HasInjection NamespaceState = "HasInjection"
	// HasRevision: the namespace has the label istio.io/rev and not istio-injection.
	HasRevision NamespaceState = "HasRevision"
	// HasNeither: the namespace has neither label.
	HasNeither NamespaceState = "HasNeither"
)

// stateOf is the state that the labels of a namespace amount to.
func stateOf(ns routing.Namespace) NamespaceState {
	switch {
	case ns.Injection.Present:
		return HasInjection
	case ns.Revision.Present:
		return HasRevision
	}
	return HasNeither
}

// describe says the state in a message.
func (s NamespaceState) describe() string {
	switch s {
	case HasInjection:
		return "with " + routing.LabelInjection
	case HasRevision:
		return "with " + routing.LabelRevision + " alone"
	case HasNeither:
		return "with neither " + routing.LabelInjection + " nor " + routing.LabelRevision
	}
	return string(s)
}

// Entry is one webhook of the router's MutatingWebhookConfiguration for pods. Every entry has a path of its own,
// so that a request tells what the API server saw on the namespace when it chose the entry.
type Entry struct {
	// Name is the webhook's name in the configuration, which the API server also puts before audit annotations.
	Name string
	// Path is where the entry's requests are served.
	Path string
	// Namespace is what the entry's namespaceSelector requires.
	Namespace NamespaceState
}

// Entries lists the webhooks for pods in the order in which Istio's own selectors take precedence. At most one of
// them matches a pod, and a pod without any label for Istio matches only the last, which is off by default.
func Entries() []Entry {
	entry := func(id string, state NamespaceState) Entry {
		return Entry{Name: id + ".pods.revision-router.io", Path: "/mutate-v1-pod/" + id, Namespace: state}
	}
	return []Entry{
		entry("namespace-injection", HasInjection),
		entry("namespace-revision", HasRevision),
		entry("pod-revision", HasNeither),
		entry("pod-injection", HasNeither),
		entry("namespaces-by-default", HasNeither),
	}
}

package istio

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/routing"
)

// webhookSuffix ends the name of every webhook of an injector of Istio's.
const webhookSuffix = "sidecar-injector.istio.io"

// webhook is one entry of an injector's configuration, as much of it as decides which pods go where.
type webhook struct {
	configuration string
	name          string
	// tag is the label istio.io/tag of the configuration; empty where it is a revision's own.
	tag string
	// revision is the one whose Service is called.
	revision          string
	namespace, object labels.Selector
}

// webhooks reads configurations as the API server does. A configuration that it would evaluate in another way than
// this package, for other operations or with match conditions, fails the test.
func webhooks(t *testing.T, from []configuration) []webhook {
	t.Helper()
	var all []webhook
	for _, c := range from {
		for _, entry := range c.Webhooks {
			w, err := readWebhook(entry)
			if err != nil {
				t.Fatalf("%s, webhook %s: %v", c.Name, entry.Name, err)
			}
			w.configuration, w.tag = c.Name, c.Labels[routing.LabelTag]
			all = append(all, w)
		}
	}
	return all
}

func readWebhook(entry admissionregistrationv1.MutatingWebhook) (webhook, error) {
	w := webhook{name: entry.Name}
	if err := selectsNewPods(entry); err != nil {
		return w, err
	}
	var err error
	if w.revision, err = revisionOf(entry.ClientConfig); err != nil {
		return w, err
	}
	if w.namespace, err = selector(entry.NamespaceSelector); err != nil {
		return w, fmt.Errorf("namespaceSelector: %w", err)
	}
	if w.object, err = selector(entry.ObjectSelector); err != nil {
		return w, fmt.Errorf("objectSelector: %w", err)
	}
	return w, nil
}

// selector reads a selector that the API server has defaulted: one that is not there selects everything.
func selector(s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	return metav1.LabelSelectorAsSelector(s)
}

func selectsNewPods(entry admissionregistrationv1.MutatingWebhook) error {
	if len(entry.MatchConditions) > 0 {
		return errors.New("has match conditions, which this test does not evaluate")
	}
	if len(entry.Rules) != 1 {
		return fmt.Errorf("has %d rules, want one", len(entry.Rules))
	}
	rule := entry.Rules[0]
	if !slices.Equal(rule.Operations, []admissionregistrationv1.OperationType{admissionregistrationv1.Create}) ||
		!slices.Equal(rule.Resources, []string{"pods"}) || !slices.Equal(rule.APIGroups, []string{""}) {
		return fmt.Errorf("selects %+v, want the creation of pods", rule)
	}
	return nil
}

// revisionOf tells the revision from the Service that is called: istiod, or istiod-<revision>.
func revisionOf(to admissionregistrationv1.WebhookClientConfig) (string, error) {
	if to.Service == nil || to.Service.Namespace != controlPlaneNamespace {
		return "", fmt.Errorf("calls %+v, want a Service in %s", to, controlPlaneNamespace)
	}
	if to.Service.Name == "istiod" {
		return routing.DefaultRevision, nil
	}
	revision, ok := strings.CutPrefix(to.Service.Name, "istiod-")
	if !ok {
		return "", fmt.Errorf("calls the Service %s, want istiod or istiod-<revision>", to.Service.Name)
	}
	return revision, nil
}

// rule is the reason that routing gives for what this webhook selects.
func (w webhook) rule() routing.Reason {
	switch strings.TrimSuffix(w.name, webhookSuffix) {
	case "namespace.":
		return routing.NamespaceInjection
	case "rev.namespace.":
		return routing.NamespaceRevision
	case "rev.object.":
		return routing.PodRevision
	case "object.":
		return routing.PodInjection
	case "auto.":
		return routing.NamespacesByDefault
	}
	return "a webhook that routing does not know: " + routing.Reason(w.name)
}

func (w webhook) String() string {
	return w.configuration + "/" + w.name + " to " + w.revision
}

// hits is a set of webhooks: bit i stands for the i-th of a list.
type hits uint64

// hitsOf returns the webhooks whose selector matches. The API server calls a webhook where both of its selectors
// match, so the webhooks for a pod in a namespace are the intersection of the pod's hits and the namespace's.
func hitsOf(all []webhook, selector func(webhook) labels.Selector, on labels.Set) hits {
	var set hits
	for i, w := range all {
		if selector(w).Matches(on) {
			set |= 1 << i
		}
	}
	return set
}

func (h hits) of(all []webhook) []webhook {
	var list []webhook
	for i, w := range all {
		if h&(1<<i) != 0 {
			list = append(list, w)
		}
	}
	return list
}

func byNamespace(w webhook) labels.Selector { return w.namespace }
func byObject(w webhook) labels.Selector    { return w.object }

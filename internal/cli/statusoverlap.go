package cli

import (
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/sail"
)

// overlapsIn are the webhooks of Istio's in the way of a router that injects, by what was read; none where it does not.
func overlapsIn(set *manifest.Set) []sail.Overlap {
	configurations := configurationsIn(set)
	var webhooks []sail.Webhook
	for _, c := range configurations {
		webhooks = append(webhooks, sail.Webhooks(c)...)
	}
	return sail.Overlaps(set.Mesh, webhooks, leftOut(configurations))
}

func configurationsIn(set *manifest.Set) []*admissionregistrationv1.MutatingWebhookConfiguration {
	var list []*admissionregistrationv1.MutatingWebhookConfiguration
	for _, c := range manifest.All[*admissionregistrationv1.MutatingWebhookConfiguration](set) {
		list = append(list, c)
	}
	return list
}

// ownWebhooks ends the names of all webhooks of the router's own that see pods, those of webhook.Entries and those that the
// chart makes of them where the router fails closed.
const ownWebhooks = ".pods.revision-router.io"

// leftOut are the namespaces whose pods none of the router's own webhooks sees. Without any such webhook none is known:
// that istiod injects nothing in system namespaces is found out elsewhere.
func leftOut(configurations []*admissionregistrationv1.MutatingWebhookConfiguration) []string {
	var out []string
	found := false
	for _, c := range configurations {
		for i := range c.Webhooks {
			w := &c.Webhooks[i]
			if !strings.HasSuffix(w.Name, ownWebhooks) {
				continue
			}
			names := notIn(w.NamespaceSelector)
			if found { // fail closed: what a single one sees is not left out
				names = slices.DeleteFunc(out, func(name string) bool { return !slices.Contains(names, name) })
			}
			out, found = names, true
		}
	}
	return out
}

// notIn are the namespaces that a selector leaves out by name.
func notIn(s *metav1.LabelSelector) []string {
	var names []string
	if s == nil {
		return nil
	}
	for _, r := range s.MatchExpressions {
		if r.Key == corev1.LabelMetadataName && r.Operator == metav1.LabelSelectorOpNotIn {
			names = append(names, r.Values...)
		}
	}
	return names
}

// Package injector stands in for istiod's sidecar injector in tests and in the demo: webhook configurations with
// the names, labels and selectors that Istio's charts give them, and a server that answers them as istiod does on
// the wire. It proves on a real API server which injector a pod reaches, without Istio. Not for production.
package injector

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

// suffix ends the name of every webhook of an injector of Istio's; istiod writes its CA bundle only into those.
const suffix = "sidecar-injector.istio.io"

// Target is where the webhooks of one revision lead.
type Target struct {
	// Revision is the revision's name, "default" for the one without a name.
	Revision string
	// ClientConfig is used for every webhook. Its path or URL is taken as it is.
	ClientConfig admissionregistrationv1.WebhookClientConfig
	// NamespacesByDefault adds the webhook that enableNamespacesByDefault switches on.
	NamespacesByDefault bool
}

// RevisionConfiguration is the configuration that the chart istio-discovery renders for a revision.
func RevisionConfiguration(to Target) *admissionregistrationv1.MutatingWebhookConfiguration {
	name := "istio-sidecar-injector"
	if to.Revision != routing.DefaultRevision {
		name += "-" + to.Revision
	}
	labels := map[string]string{"app": "sidecar-injector", routing.LabelRevision: to.Revision}
	return configuration(name, labels, webhooks(to.Revision, to))
}

// TagConfiguration is the configuration that the chart revision-tags renders for a tag of a revision.
func TagConfiguration(tag string, to Target) *admissionregistrationv1.MutatingWebhookConfiguration {
	labels := map[string]string{
		"app": "sidecar-injector", routing.LabelRevision: to.Revision, routing.LabelTag: tag,
	}
	return configuration("istio-revision-tag-"+tag, labels, webhooks(tag, to))
}

func configuration(
	name string, labels map[string]string, hooks []admissionregistrationv1.MutatingWebhook,
) *admissionregistrationv1.MutatingWebhookConfiguration {
	return &admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Webhooks:   hooks,
	}
}

// webhooks are the entries that make name, a revision's or a tag's, mean something to pods.
func webhooks(name string, to Target) []admissionregistrationv1.MutatingWebhook {
	notFalse := notIn(routing.LabelInject, "false")
	noInjection, noRevision := absent(routing.LabelInjection), absent(routing.LabelRevision)
	hooks := []admissionregistrationv1.MutatingWebhook{
		webhook("rev.namespace.", to, selector(in(routing.LabelRevision, name), noInjection), selector(notFalse)),
		webhook("rev.object.", to, selector(noRevision, noInjection),
			selector(notFalse, in(routing.LabelRevision, name))),
	}
	if name != routing.DefaultRevision {
		return hooks
	}
	hooks = append(hooks,
		webhook("namespace.", to, selector(in(routing.LabelInjection, "enabled")), selector(notFalse)),
		webhook("object.", to, selector(noInjection, noRevision),
			selector(in(routing.LabelInject, "true"), noRevision)),
	)
	if to.NamespacesByDefault {
		outside := notIn("kubernetes.io/metadata.name",
			"kube-system", "kube-public", "kube-node-lease", "local-path-storage")
		hooks = append(hooks, webhook("auto.", to, selector(noInjection, noRevision, outside),
			selector(absent(routing.LabelInject), noRevision)))
	}
	return hooks
}

func webhook(prefix string, to Target, namespaces, objects *metav1.LabelSelector) admissionregistrationv1.MutatingWebhook {
	return admissionregistrationv1.MutatingWebhook{
		Name:                    prefix + suffix,
		ClientConfig:            to.ClientConfig,
		NamespaceSelector:       namespaces,
		ObjectSelector:          objects,
		FailurePolicy:           new(admissionregistrationv1.Fail),
		MatchPolicy:             new(admissionregistrationv1.Equivalent),
		ReinvocationPolicy:      new(admissionregistrationv1.NeverReinvocationPolicy),
		SideEffects:             new(admissionregistrationv1.SideEffectClassNone),
		TimeoutSeconds:          new(int32(10)),
		AdmissionReviewVersions: []string{"v1"},
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule: admissionregistrationv1.Rule{
				APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"},
				Scope: new(admissionregistrationv1.AllScopes),
			},
		}},
	}
}

func selector(requirements ...metav1.LabelSelectorRequirement) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: requirements}
}

func in(key string, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpIn, Values: values}
}

func notIn(key string, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpNotIn, Values: values}
}

func absent(key string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: metav1.LabelSelectorOpDoesNotExist}
}

package sail_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/internal/sail"
)

func epoch() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC) }

// configuration writes what Istio's chart renders for a revision, or for a tag where tag is not empty.
func configuration(revision, tag string, changes ...func(*admissionregistrationv1.MutatingWebhookConfiguration)) *admissionregistrationv1.MutatingWebhookConfiguration {
	name := revision
	labels := map[string]string{"app": "sidecar-injector", "istio.io/rev": revision}
	if tag != "" {
		name, labels["istio.io/tag"] = tag, tag
	}
	c := &admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{
		Name: "of-" + name, UID: types.UID("uid-" + revision + "-" + tag), Labels: labels,
		CreationTimestamp: metav1.NewTime(epoch()),
	}}
	addWebhook(c, "rev.namespace.sidecar-injector.istio.io", "istio.io/rev", name)
	addWebhook(c, "rev.object.sidecar-injector.istio.io", "istio.io/rev", name)
	if name == "default" {
		addWebhook(c, "namespace.sidecar-injector.istio.io", "istio-injection", "enabled")
		addWebhook(c, "object.sidecar-injector.istio.io", "sidecar.istio.io/inject", "true")
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func addWebhook(c *admissionregistrationv1.MutatingWebhookConfiguration, name, key, value string) {
	c.Webhooks = append(c.Webhooks, admissionregistrationv1.MutatingWebhook{
		Name: name,
		ClientConfig: admissionregistrationv1.WebhookClientConfig{
			Service: &admissionregistrationv1.ServiceReference{Name: "istiod", Namespace: "istio-system"},
		},
		NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: key, Operator: metav1.LabelSelectorOpIn, Values: []string{value}},
		}},
	})
}

type edit = func(*admissionregistrationv1.MutatingWebhookConfiguration)

func autoInject(c *admissionregistrationv1.MutatingWebhookConfiguration) {
	addWebhook(c, "auto.sidecar-injector.istio.io", "kubernetes.io/metadata.name", "any")
}

// deactivated does what istioctl does to the configuration of the default revision.
func deactivated(c *admissionregistrationv1.MutatingWebhookConfiguration) {
	never := &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/deactivated": "never-match"}}
	for i := range c.Webhooks {
		c.Webhooks[i].NamespaceSelector, c.Webhooks[i].ObjectSelector = never, never
	}
}

func ownedBy(apiVersion, kind string) edit {
	return func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
		c.OwnerReferences = append(c.OwnerReferences, metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: "x"})
	}
}

func later(by time.Duration) edit {
	return func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
		c.CreationTimestamp = metav1.NewTime(epoch().Add(by))
	}
}

func inNamespace(namespace string) edit {
	return func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
		for i := range c.Webhooks {
			c.Webhooks[i].ClientConfig.Service.Namespace = namespace
		}
	}
}

func TestFromWebhookConfiguration(t *testing.T) {
	revision := sail.Injector{Revision: "canary", Namespace: "istio-system", Created: epoch(), UID: "uid-canary-"}
	tag := sail.Injector{Revision: "canary", Tag: "prod", Namespace: "istio-system", Created: epoch(), UID: "uid-canary-prod"}
	with := func(in sail.Injector, change func(*sail.Injector)) *sail.Injector {
		change(&in)
		return &in
	}
	cases := map[string]struct {
		configuration *admissionregistrationv1.MutatingWebhookConfiguration
		want          *sail.Injector // nil: not an injector that counts
	}{
		"the configuration of a revision": {configuration("canary", ""), &revision},
		"the configuration of a tag":      {configuration("canary", "prod"), &tag},
		"without the label istio.io/rev": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			delete(c.Labels, "istio.io/rev")
		}), nil},
		"with an empty label istio.io/rev": {configuration("", "prod"), nil},
		"with webhooks of other purpose only": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				c.Webhooks[i].Name = "pods.example.com"
			}
		}), nil},
		"with no webhooks": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks = nil
		}), nil},
		"owned by an IstioRevision":        {configuration("canary", "", ownedBy("sailoperator.io/v1", "IstioRevision")), nil},
		"owned by an object of an old API": {configuration("canary", "", ownedBy("sailoperator.io/v1alpha1", "IstioRevision")), nil},
		"owned by a tag of Sail's among others": {configuration("canary", "prod",
			ownedBy("v1", "ConfigMap"), ownedBy("sailoperator.io/v1", "IstioRevisionTag")), nil},
		"owned by something else":                   {configuration("canary", "", ownedBy("install.istio.io/v1alpha1", "IstioOperator")), &revision},
		"owned by a group that only looks like it":  {configuration("canary", "", ownedBy("notsailoperator.io/v1", "IstioRevision")), &revision},
		"deactivated by labels, as istioctl does":   {configuration("canary", "", deactivated), with(revision, func(in *sail.Injector) { in.Deactivated = true })},
		"deactivated in the object selectors alone": {configuration("canary", "", onlyObjectSelectors), with(revision, func(in *sail.Injector) { in.Deactivated = true })},
		"deactivated by an expression of any value": {
			configuration("canary", "", byExpression(metav1.LabelSelectorOpIn)),
			with(revision, func(in *sail.Injector) { in.Deactivated = true }),
		},
		"a selector that excludes what is deactivated matches all others": {
			configuration("canary", "", byExpression(metav1.LabelSelectorOpDoesNotExist)), &revision,
		},
		"one of two webhooks is deactivated": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			c.Webhooks[0].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/deactivated": "x"}}
		}), &revision},
		"without any selectors": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			for i := range c.Webhooks {
				c.Webhooks[i].NamespaceSelector = nil
			}
		}), &revision},
		"with the webhook for unlabelled pods": {
			configuration("canary", "", autoInject),
			with(revision, func(in *sail.Injector) { in.NamespacesByDefault = true }),
		},
		"with that webhook deactivated": {
			configuration("canary", "", autoInject, deactivated),
			with(revision, func(in *sail.Injector) { in.Deactivated = true }),
		},
		"called by URL": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			url := "https://istiod.example:443/inject"
			for i := range c.Webhooks {
				c.Webhooks[i].ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: &url}
			}
		}), with(revision, func(in *sail.Injector) { in.Namespace = "" })},
		"being deleted": {configuration("canary", "", func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
			now := metav1.NewTime(epoch())
			c.DeletionTimestamp = &now
		}), with(revision, func(in *sail.Injector) { in.Deleting = true })},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, ok := sail.FromWebhookConfiguration(tc.configuration)
			if ok != (tc.want != nil) {
				t.Fatalf("counts: %t, want %t", ok, tc.want != nil)
			}
			if !ok {
				return
			}
			if diff := cmp.Diff(*tc.want, got); diff != "" {
				t.Errorf("injector (-want +got):\n%s", diff)
			}
		})
	}
}

func onlyObjectSelectors(c *admissionregistrationv1.MutatingWebhookConfiguration) {
	for i := range c.Webhooks {
		c.Webhooks[i].ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/deactivated": "never-match"}}
	}
}

func byExpression(operator metav1.LabelSelectorOperator) edit {
	return func(c *admissionregistrationv1.MutatingWebhookConfiguration) {
		for i := range c.Webhooks {
			r := metav1.LabelSelectorRequirement{Key: "istio.io/deactivated", Operator: operator}
			if operator == metav1.LabelSelectorOpIn {
				r.Values = []string{"whatever"}
			}
			c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions, r)
		}
	}
}

package secretca

import (
	"context"
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	typedv1 "k8s.io/client-go/kubernetes/typed/admissionregistration/v1"
)

// configuration is what matters of a webhook configuration of either kind.
type configuration struct {
	exists          bool
	resourceVersion string
	webhooks        []webhook // in the order of the object: a JSON patch addresses them by position
	writer          string
}

type webhook struct {
	name     string
	caBundle []byte
}

// target is one webhook configuration that gets the CA bundle.
type target struct {
	kind, name string
	api        configurationAPI
}

func (t target) String() string { return t.kind + " " + t.name }

// configurationAPI is the part of a client that both kinds of configurations have, in terms of what they share.
type configurationAPI interface {
	get(ctx context.Context, name string) (configuration, error)
	object() runtime.Object
	patch(ctx context.Context, name string, patch []byte) error
	list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error)
	// open opens a watch.
	open(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
}

func targets(o Options) []target {
	client := o.Client.AdmissionregistrationV1()
	var all []target
	for _, name := range o.MutatingWebhookConfigurations {
		all = append(all, target{"MutatingWebhookConfiguration", name, mutating{client.MutatingWebhookConfigurations()}})
	}
	for _, name := range o.ValidatingWebhookConfigurations {
		all = append(all, target{"ValidatingWebhookConfiguration", name, validating{client.ValidatingWebhookConfigurations()}})
	}
	return all
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,resourceNames=0-istio-revision-router,verbs=get;list;watch;patch

type mutating struct {
	client typedv1.MutatingWebhookConfigurationInterface
}

func (m mutating) get(ctx context.Context, name string) (configuration, error) {
	found, err := m.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return configuration{}, fmt.Errorf("read MutatingWebhookConfiguration %s: %w", name, err)
	}
	c := summary(found.ObjectMeta)
	for i := range found.Webhooks {
		c.webhooks = append(c.webhooks, summarize(found.Webhooks[i].Name, found.Webhooks[i].ClientConfig))
	}
	return c, nil
}

func (m mutating) patch(ctx context.Context, name string, patch []byte) error {
	_, err := m.client.Patch(ctx, name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}

func (mutating) object() runtime.Object {
	return &admissionregistrationv1.MutatingWebhookConfiguration{}
}

func (m mutating) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return m.client.List(ctx, options)
}

func (m mutating) open(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return m.client.Watch(ctx, options)
}

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,resourceNames=istio-revision-router,verbs=get;list;watch;patch

type validating struct {
	client typedv1.ValidatingWebhookConfigurationInterface
}

func (v validating) get(ctx context.Context, name string) (configuration, error) {
	found, err := v.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return configuration{}, fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", name, err)
	}
	c := summary(found.ObjectMeta)
	for i := range found.Webhooks {
		c.webhooks = append(c.webhooks, summarize(found.Webhooks[i].Name, found.Webhooks[i].ClientConfig))
	}
	return c, nil
}

func (v validating) patch(ctx context.Context, name string, patch []byte) error {
	_, err := v.client.Patch(ctx, name, types.JSONPatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	return err
}

func (validating) object() runtime.Object {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{}
}

func (v validating) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	return v.client.List(ctx, options)
}

func (v validating) open(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return v.client.Watch(ctx, options)
}

func summary(meta metav1.ObjectMeta) configuration {
	return configuration{exists: true, resourceVersion: meta.ResourceVersion, writer: lastWriter(meta.ManagedFields)}
}

func summarize(name string, client admissionregistrationv1.WebhookClientConfig) webhook {
	return webhook{name: name, caBundle: client.CABundle}
}

// lastWriter names whoever changed the object last, so that the log tells with whom there is a fight over it.
func lastWriter(entries []metav1.ManagedFieldsEntry) string {
	var last metav1.ManagedFieldsEntry
	for _, e := range entries {
		if e.Manager != fieldManager && e.Time != nil && (last.Time == nil || last.Time.Before(e.Time)) {
			last = e
		}
	}
	return last.Manager
}

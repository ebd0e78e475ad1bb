package mesh

import (
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/sail"
)

// offline makes a source that no API server feeds: the test plays the reflectors.
func offline(tb testing.TB, o Options) *Source {
	tb.Helper()
	o.Config = &rest.Config{Host: "https://127.0.0.1:1"}
	s, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *Source) storeOf(tb testing.TB, resource string) *store {
	tb.Helper()
	for _, k := range s.kinds {
		if k.resource.Resource == resource {
			return &store{source: s, kind: k}
		}
	}
	tb.Fatalf("no kind %s", resource)
	return nil
}

// sync makes every kind known in full, as the first lists do, with no objects.
func (s *Source) sync(tb testing.TB) {
	tb.Helper()
	for _, k := range s.kinds {
		if err := (&store{source: s, kind: k}).Replace(nil, "1"); err != nil {
			tb.Fatal(err)
		}
		s.opened(k)
	}
}

func created() metav1.Time { return metav1.NewTime(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)) }

func aNamespace(name string, labels map[string]string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels, ResourceVersion: "1"}}
}

func anIstiod(namespace, revision, version string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "istiod-" + revision,
		Labels: map[string]string{"app": "istiod", "istio.io/rev": revision, "app.kubernetes.io/version": version},
	}}
}

func aRevision(name, version string) *sail.IstioRevision {
	return &sail.IstioRevision{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("r-" + name), CreationTimestamp: created()},
		Spec:       sail.IstioRevisionSpec{Version: version, Namespace: "istio-system"},
	}
}

func aTag(name, revision string) *sail.IstioRevisionTag {
	return &sail.IstioRevisionTag{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("t-" + name), CreationTimestamp: created()},
		Spec:       sail.IstioRevisionTagSpec{TargetRef: sail.TargetRef{Kind: "IstioRevision", Name: revision}},
		Status:     sail.IstioRevisionTagStatus{IstioRevision: revision},
	}
}

func anInjector(revision, tag string) *admissionregistrationv1.MutatingWebhookConfiguration {
	c := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{
			Name: "injector-" + revision + "-" + tag, UID: types.UID("w-" + revision + "-" + tag), CreationTimestamp: created(),
			Labels: map[string]string{"istio.io/rev": revision},
		},
		Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name:         "rev.namespace.sidecar-injector.istio.io",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{Namespace: "istio-system", Name: "istiod"}},
		}},
	}
	if tag != "" {
		c.Labels["istio.io/tag"] = tag
	}
	return c
}

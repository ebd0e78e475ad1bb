package admission

import (
	"fmt"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/local"
)

func revisionConfiguration(
	i *local.Injectors, revision, version string,
) *admissionregistrationv1.MutatingWebhookConfiguration {
	return injector.RevisionConfiguration(injector.Target{
		Revision: revision, ClientConfig: i.ClientConfig(revision, version),
	})
}

func tagConfiguration(
	i *local.Injectors, tag, revision, version string,
) *admissionregistrationv1.MutatingWebhookConfiguration {
	return injector.TagConfiguration(tag, injector.Target{
		Revision: revision, ClientConfig: i.ClientConfig(revision, version),
	})
}

// mesh creates the revisions a (v1.29.6) and b (v1.30.3) and the tag prod of a as Sail objects, with the webhook
// configurations of their injectors; with a default tag, default leads to b.
func (h *harness) mesh(withDefault bool) {
	h.t.Helper()
	versions := map[string]string{"a": "v1.29.6", "b": "v1.30.3"}
	for name, version := range versions {
		h.apply("istiorevisions", map[string]any{
			"apiVersion": "sailoperator.io/v1", "kind": "IstioRevision",
			"metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"version": version, "namespace": "istio-system", "values": map[string]any{"revision": name},
			},
		})
		h.configure(revisionConfiguration(h.injectors, name, version))
	}
	tags := map[string]string{"prod": "a"}
	if withDefault {
		tags["default"] = "b"
	}
	for tag, revision := range tags {
		h.apply("istiorevisiontags", map[string]any{
			"apiVersion": "sailoperator.io/v1", "kind": "IstioRevisionTag",
			"metadata": map[string]any{"name": tag},
			"spec":     map[string]any{"targetRef": map[string]any{"kind": "IstioRevision", "name": revision}},
			"status":   map[string]any{"istioRevision": revision, "istiodNamespace": "istio-system"},
		})
		h.configure(tagConfiguration(h.injectors, tag, revision, versions[revision]))
	}
	h.eventually("the mesh is seen", func() error {
		m := h.source.Mesh()
		for name := range tags {
			if m.Resolve(name).Revision == nil {
				return fmt.Errorf("tag %s is not there yet", name)
			}
		}
		if len(m.Revisions()) != len(versions) {
			return fmt.Errorf("%d revisions", len(m.Revisions()))
		}
		return nil
	})
	h.awaitWebhooks(withDefault)
}

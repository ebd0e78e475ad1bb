package admission

import (
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

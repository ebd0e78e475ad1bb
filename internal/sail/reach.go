package sail

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/url"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

const (
	// RootCertificates is the ConfigMap in which istiod publishes its CA in every namespace, rootCertificateKey the
	// key (pilot/pkg/serviceregistry/kube/controller, CACertNamespaceConfigMap).
	RootCertificates   = "istio-ca-root-cert"
	rootCertificateKey = "root-cert.pem"
	// validatorName begins the name of the validating configuration of a revision (istio-discovery,
	// templates/validatingwebhookconfiguration.yaml). istiod writes its CA bundle there.
	validatorName = "istio-validator"
	// injectorPath is the chart's default of istiodRemote.injectionPath.
	injectorPath = "/inject"
	httpsPort    = "443"
)

// Reach is what the values of a revision say about the way to its injector.
type Reach struct {
	// URL, Path and CABundle are istiodRemote.injectionURL, injectionPath and injectionCABundle.
	URL, Path, CABundle string
}

// Reach reads the values.
func (o *IstioRevision) Reach() Reach {
	v := &o.Spec.Values
	return Reach{URL: v.InjectionURL, Path: v.InjectionPath, CABundle: v.InjectionCABundle}
}

// Endpoints is what counts of an EndpointSlice.
type Endpoints struct {
	Namespace, Service string
	// Ready: at least one endpoint takes traffic.
	Ready bool
}

// EndpointsOf reads an EndpointSlice. An endpoint whose condition is not known counts as ready, as for kube-proxy.
func EndpointsOf(s *discoveryv1.EndpointSlice) Endpoints {
	ready := func(e discoveryv1.Endpoint) bool {
		return len(e.Addresses) > 0 && (e.Conditions.Ready == nil || *e.Conditions.Ready)
	}
	return Endpoints{
		Namespace: s.Namespace,
		Service:   s.Labels[discoveryv1.LabelServiceName],
		Ready:     slices.ContainsFunc(s.Endpoints, ready),
	}
}

// Authority is a CA bundle that istiod has published.
type Authority struct {
	// Configuration is the name of the validating webhook configuration, or Namespace that of the ConfigMap.
	Configuration, Namespace string
	// Revision is the label istio.io/rev of the configuration.
	Revision string
	// CABundle is PEM, with at least one certificate.
	CABundle []byte
}

// FromValidatingConfiguration reads the CA bundle of a validating configuration of Istio's. It returns false where
// there is none yet: the chart leaves it to istiod to fill it in.
func FromValidatingConfiguration(c *admissionregistrationv1.ValidatingWebhookConfiguration) (Authority, bool) {
	a := Authority{Configuration: c.Name, Revision: c.Labels[routing.LabelRevision]}
	for i := range c.Webhooks {
		if bundle := c.Webhooks[i].ClientConfig.CABundle; certificates(bundle) {
			a.CABundle = bytes.Clone(bundle)
			return a, a.Revision != ""
		}
	}
	return Authority{}, false
}

// FromRootCertificates reads the ConfigMap of that name.
func FromRootCertificates(c *corev1.ConfigMap) (Authority, bool) {
	bundle := []byte(c.Data[rootCertificateKey])
	if c.Name != RootCertificates || !certificates(bundle) {
		return Authority{}, false
	}
	return Authority{Namespace: c.Namespace, CABundle: bundle}, true
}

func certificates(bundle []byte) bool { return x509.NewCertPool().AppendCertsFromPEM(bundle) }

// Targets tells where the injectors of the Sail Operator's revisions are, by the name of the revision. A revision
// is missing where its values hold no usable address, or no CA bundle is known for it. Everything comes from the
// IstioRevision and from objects that it names: an injector is never discovered by labels, which whoever may create
// a Service somewhere could set.
func (i Inventory) Targets() map[string]forward.Injector {
	found := make(map[string]forward.Injector, len(i.Revisions))
	for n := range i.Revisions {
		if injector, why := i.injector(&i.Revisions[n]); why == "" {
			found[injector.Revision] = injector
		}
	}
	return found
}

func (i Inventory) injector(r *routing.Revision) (forward.Injector, routing.Unroutable) {
	reach := i.Reaches[r.Name]
	injector, ok := reach.address(r)
	if !ok {
		return injector, routing.NoInjector
	}
	injector.CABundle = i.authority(r, reach)
	if injector.CABundle == nil && !i.AssumeCA {
		return injector, routing.NoCA
	}
	return injector, ""
}

// address is that of the Service, unless the values name a URL. The chart then takes the URL as it is and ignores the
// path (istio-discovery, templates/mutatingwebhook.yaml).
func (r Reach) address(of *routing.Revision) (forward.Injector, bool) {
	if r.URL == "" {
		host := of.Service() + "." + of.Namespace + ".svc"
		path := cmp.Or(r.Path, injectorPath)
		return forward.Injector{
			Revision: of.Name, Address: net.JoinHostPort(host, httpsPort), ServerName: host, Path: path,
		}, of.Namespace != "" && strings.HasPrefix(path, "/")
	}
	u, err := url.Parse(r.URL)
	// The API server accepts no other URL for a webhook, either (apiserver, util/webhook/validation.go).
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return forward.Injector{}, false
	}
	return forward.Injector{
		Revision: of.Name, Address: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), httpsPort)), ServerName: u.Hostname(),
		Path: cmp.Or(u.EscapedPath(), "/"),
	}, true
}

// authority is the CA bundle for a revision: what istiod wrote into its validating configuration, else what it
// published in its namespace, else what the values say. An injector behind a URL may have a certificate of another
// CA, so that there the values come first.
func (i Inventory) authority(r *routing.Revision, reach Reach) []byte {
	explicit := explicitCA(reach.CABundle)
	if reach.URL != "" && explicit != nil {
		return explicit
	}
	var published []byte
	for n := range i.Authorities {
		switch a := &i.Authorities[n]; {
		case a.Configuration == validatorOf(r) && a.Revision == r.Name:
			return a.CABundle
		case a.Configuration == "" && a.Namespace == r.Namespace:
			published = a.CABundle
		}
	}
	if published != nil {
		return published
	}
	return explicit
}

// validatorOf is the name of the revision's validating configuration.
func validatorOf(r *routing.Revision) string {
	if r.Name == routing.DefaultRevision {
		return validatorName + "-" + r.Namespace
	}
	return validatorName + "-" + r.Name + "-" + r.Namespace
}

// explicitCA reads injectionCABundle: the chart copies it to where an API server expects base64.
func explicitCA(value string) []byte {
	if value == "" {
		return nil
	}
	bundle, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err != nil {
		bundle = []byte(value)
	}
	if !certificates(bundle) {
		return nil
	}
	return bundle
}

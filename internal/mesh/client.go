package mesh

import (
	"context"
	"fmt"
	"net/http"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
)

// client lists and watches the objects of one kind.
type client interface {
	List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error)
	Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error)
}

// clients makes the client of each kind; all share one connection.
type clients struct {
	metadata metadata.Interface
	// sail and admission decode the API server's JSON straight into the small types of package sail, and into the
	// typed webhook configurations; gateways, security and pods into those of package inventory, the rest into the typed
	// ones.
	sail, admission, gateways, security, pods, apps, discovery rest.Interface
}

func newClients(given *rest.Config) (clients, error) {
	config := rest.CopyConfig(given)
	config.RateLimiter, config.QPS = nil, -1
	config.Timeout = 0 // it would end every watch; live reads have deadlines of their own
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return clients{}, fmt.Errorf("mesh: make a client from Options.Config: %w", err)
	}
	var c clients
	if c.metadata, err = metadata.NewForConfigAndClient(config, connection); err != nil {
		return clients{}, fmt.Errorf("mesh: make a client for metadata: %w", err)
	}
	for gv, made := range map[schema.GroupVersion]*rest.Interface{
		sail.GroupVersion():                        &c.sail,
		admissionregistrationv1.SchemeGroupVersion: &c.admission,
		inventory.GatewayGroupVersion():            &c.gateways,
		inventory.SecurityGroupVersion():           &c.security,
		corev1.SchemeGroupVersion:                  &c.pods,
		appsv1.SchemeGroupVersion:                  &c.apps,
		discoveryv1.SchemeGroupVersion:             &c.discovery,
	} {
		if *made, err = newJSONClient(config, connection, gv); err != nil {
			return clients{}, err
		}
	}
	return c, nil
}

func newJSONClient(config *rest.Config, connection *http.Client, gv schema.GroupVersion) (rest.Interface, error) {
	scheme := runtime.NewScheme()
	sail.AddToScheme(scheme)
	inventory.AddToScheme(scheme)
	scheme.AddKnownTypes(corev1.SchemeGroupVersion, &corev1.ConfigMap{}, &corev1.ConfigMapList{})
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistrationv1.AddToScheme, appsv1.AddToScheme, discoveryv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("mesh: make a client for %s: %w", gv, err)
		}
	}
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &gv, "/apis"
	if gv.Group == "" {
		config.APIPath = "/api"
	}
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON
	c, err := rest.RESTClientForConfigAndClient(config, connection)
	if err != nil {
		return nil, fmt.Errorf("mesh: make a client for %s: %w", gv, err)
	}
	return c, nil
}

// wholeClient reads whole objects.
type wholeClient struct {
	rest     rest.Interface
	resource string
}

var _ client = wholeClient{}

func (c wholeClient) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	return c.rest.Get().Resource(c.resource).VersionedParams(&o, metav1.ParameterCodec).Do(ctx).Get()
}

func (c wholeClient) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return c.rest.Get().Resource(c.resource).VersionedParams(&o, metav1.ParameterCodec).Watch(ctx)
}

// metadataClient reads the metadata of objects and leaves the rest of them on the server.
type metadataClient struct{ metadata.Getter }

var _ client = metadataClient{}

func (c metadataClient) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	return c.Getter.List(ctx, o)
}

func (c metadataClient) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	return c.Getter.Watch(ctx, o)
}

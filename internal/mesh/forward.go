package mesh

import (
	"context"
	"maps"
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

// Overlap is a webhook of Istio's that matches pods which the router has injected itself.
type Overlap = sail.Overlap

// Injector tells where the injector of a revision is, from the latest snapshot; false where it cannot be called. It
// is told of revisions without ready endpoints, too: whether one takes pods is in the mesh. Only in routing.Forward.
func (s *Source) Injector(revision string) (forward.Injector, bool) {
	now := s.current.Load()
	if now == nil {
		return forward.Injector{}, false
	}
	injector, ok := now.injectors[revision]
	return injector, ok
}

// Overlaps are the webhooks that stand in the way of forwarding, as of the latest snapshot, in a fixed order. None in
// routing.Guard, where they inject. The slice must not be changed.
func (s *Source) Overlaps() []Overlap {
	if now := s.current.Load(); now != nil {
		return now.overlaps
	}
	return nil
}

// forwarding holds what is known only where the router injects. It is nil in routing.Guard, where nothing of it is
// followed. The lock of the source guards it.
type forwarding struct {
	clients clients
	// excluded are the namespaces that the router's own webhooks leave out.
	excluded []string
	// validators are the CA bundles in the validating configurations.
	validators *collection[sail.Authority]
	// spaces are the namespaces of control planes.
	spaces map[string]*space
	// begin starts to follow a kind, and returns what ends it. nil until the source is started.
	begin func(*kind) (end func())
}

// space is what is followed in one namespace of a control plane.
type space struct {
	endpoints *collection[sail.Endpoints]
	roots     *collection[sail.Authority]
	kinds     []*kind
	ends      []func()
}

// forwardTable lists what is followed in the cluster as a whole besides. Few objects carry the label.
//
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=validatingwebhookconfigurations,verbs=list;watch
func (f *forwarding) forwardTable() []*kind {
	return []*kind{{
		resource: admissionregistrationv1.SchemeGroupVersion.WithResource("validatingwebhookconfigurations"),
		selector: routing.LabelRevision,
		client:   wholeClient{f.clients.admission, "validatingwebhookconfigurations"}, objects: f.validators,
	}}
}

// newSpace lists what is followed in a namespace: all its EndpointSlices, which are a handful where a control plane
// is, and one ConfigMap. In all namespaces together a cluster with 10,000 Services would send each change of their
// endpoints to each replica, and each namespace holds a ConfigMap of that name.
//
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=configmaps,resourceNames=istio-ca-root-cert,verbs=list;watch
func (f *forwarding) newSpace(namespace string) *space {
	in := &space{endpoints: newCollection(endpointsOf), roots: newCollection(rootsOf)}
	in.kinds = []*kind{
		{
			resource: discoveryv1.SchemeGroupVersion.WithResource("endpointslices"),
			selector: discoveryv1.LabelServiceName,
			client:   namespacedClient{f.clients.discovery, "endpointslices", namespace}, objects: in.endpoints,
		},
		{
			resource: corev1.SchemeGroupVersion.WithResource("configmaps"),
			fields:   fields.OneTermEqualSelector("metadata.name", sail.RootCertificates).String(),
			client:   namespacedClient{f.clients.pods, "configmaps", namespace}, objects: in.roots,
		},
	}
	for _, k := range in.kinds {
		k.variant, k.local = "namespace "+namespace, true
	}
	return in
}

// adjust begins to follow the namespaces of control planes that are new, and ends it for those that are gone. The
// caller holds the lock.
func (s *Source) adjust() {
	f := s.watched.forwarding
	if f == nil {
		return
	}
	wanted := map[string]bool{}
	for _, r := range s.watched.revisions.values {
		if r.Namespace != "" {
			wanted[r.Namespace] = true
		}
	}
	for namespace, in := range f.spaces {
		if wanted[namespace] {
			continue
		}
		delete(f.spaces, namespace)
		s.kinds = slices.DeleteFunc(s.kinds, func(k *kind) bool { return slices.Contains(in.kinds, k) })
		for _, end := range in.ends {
			end()
		}
	}
	for _, namespace := range slices.Sorted(maps.Keys(wanted)) {
		if f.spaces[namespace] != nil {
			continue
		}
		in := f.newSpace(namespace)
		f.spaces[namespace] = in
		for _, k := range in.kinds {
			k.phase, k.since = Connecting, s.clock.Now()
			s.kinds = append(s.kinds, k)
			if f.begin != nil {
				in.ends = append(in.ends, f.begin(k))
			}
		}
	}
}

// complete adds what is known to the inventory. The caller holds the lock.
func (f *forwarding) complete(i *sail.Inventory, revisions map[string]revision) {
	i.Mode = routing.Forward
	i.Reaches = make(map[string]sail.Reach, len(revisions))
	for _, r := range revisions {
		i.Reaches[r.Name] = r.reach
	}
	i.Authorities = valuesOf(f.validators)
	for _, in := range f.spaces {
		i.Endpoints = append(i.Endpoints, valuesOf(in.endpoints)...)
		i.Authorities = append(i.Authorities, valuesOf(in.roots)...)
	}
}

func endpointsOf(o *discoveryv1.EndpointSlice) counts[sail.Endpoints] {
	e := sail.EndpointsOf(o)
	return counts[sail.Endpoints]{value: e, kept: e.Ready && e.Service != ""}
}

func rootsOf(o *corev1.ConfigMap) counts[sail.Authority] {
	a, ok := sail.FromRootCertificates(o)
	return counts[sail.Authority]{value: a, kept: ok}
}

func validatorOf(o *admissionregistrationv1.ValidatingWebhookConfiguration) counts[sail.Authority] {
	a, ok := sail.FromValidatingConfiguration(o)
	return counts[sail.Authority]{value: a, kept: ok}
}

// namespacedClient reads whole objects of one namespace.
type namespacedClient struct {
	rest                rest.Interface
	resource, namespace string
}

var _ client = namespacedClient{}

func (c namespacedClient) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	return c.rest.Get().Namespace(c.namespace).Resource(c.resource).VersionedParams(&o, metav1.ParameterCodec).Do(ctx).Get()
}

func (c namespacedClient) Watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	return c.rest.Get().Namespace(c.namespace).Resource(c.resource).VersionedParams(&o, metav1.ParameterCodec).Watch(ctx)
}

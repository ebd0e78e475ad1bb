package mesh

import (
	"sync/atomic"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

const (
	// selectIstiod is the label that Istio's chart gives to every istiod Deployment.
	selectIstiod = "app=istiod"
	// selectInjectors leaves out what no revision or tag is served by, the router's own configuration above all,
	// which never carries the label.
	selectInjectors = routing.LabelRevision
)

// kind is one kind of object that is followed.
type kind struct {
	resource schema.GroupVersionResource
	// optional: a CustomResourceDefinition that need not be installed. Without it the kind has no objects.
	optional bool
	selector string
	// fields selects by fields, where that is of use.
	fields string
	// variant tells kinds apart that are one resource with two selectors.
	variant string
	client  client
	objects objects
	// local: one that is followed only while something else calls for it. It holds up nothing but the first snapshot.
	local bool
	// restart ends the run that is under way, so that another one begins. The lock of the source guards it.
	restart func()

	progress
}

// name is the kind's resource with its group, as in RBAC messages.
func (k *kind) name() string {
	if k.variant != "" {
		return k.resource.GroupResource().String() + " of " + k.variant
	}
	return k.resource.GroupResource().String()
}

// watched holds what counts of all objects. The lock of the source guards it.
type watched struct {
	istios         *collection[sail.Istio]
	revisions      *collection[revision]
	tags           *collection[routing.Tag]
	namespaces     *collection[routing.Namespace]
	configurations *collection[configuration]
	istiods        *collection[sail.Istiod]

	// precedence is what flags namespaces. Conversions read it without the lock.
	precedence *atomic.Pointer[routing.Precedence]
	// forwarding is nil in routing.Guard.
	forwarding *forwarding
}

// revision is what counts of an IstioRevision.
type revision struct {
	routing.Revision

	// reach is set in routing.Forward only.
	reach sail.Reach
}

// configuration is what counts of an injector webhook configuration.
type configuration struct {
	// injector is what it means as one of plain Istio's, where plain is true.
	injector sail.Injector
	plain    bool
	// webhooks are all that may match pods, in routing.Forward only.
	webhooks []sail.Webhook
}

func newWatched(o Options) watched {
	w := watched{
		istios:     newCollection(istioOf),
		tags:       newCollection(tagOf),
		istiods:    newCollection(istiodOf),
		precedence: &atomic.Pointer[routing.Precedence]{},
	}
	w.precedence.Store(&o.Precedence)
	if o.Mode == routing.Forward {
		w.forwarding = &forwarding{
			excluded: o.Excluded, validators: newCollection(validatorOf), spaces: map[string]*space{},
		}
	}
	w.revisions = newCollection(w.revisionOf)
	w.namespaces = newCollection(w.namespaceOf)
	w.configurations = newCollection(w.configurationOf)
	return w
}

// table lists what is followed.
//
// +kubebuilder:rbac:groups=sailoperator.io,resources=istios;istiorevisions;istiorevisiontags,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,verbs=list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=list;watch
func (w *watched) table(c clients) []*kind {
	ofSail := func(resource string, o objects) *kind {
		return &kind{
			resource: sail.GroupVersion().WithResource(resource), optional: true,
			client: wholeClient{c.sail, resource}, objects: o,
		}
	}
	kinds := []*kind{
		ofSail("istios", w.istios),
		ofSail("istiorevisions", w.revisions),
		ofSail("istiorevisiontags", w.tags),
		{resource: namespaces(), client: metadataClient{c.metadata.Resource(namespaces())}, objects: w.namespaces},
		{
			resource: admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingwebhookconfigurations"),
			selector: selectInjectors,
			client:   wholeClient{c.admission, "mutatingwebhookconfigurations"}, objects: w.configurations,
		},
		{
			resource: deployments(), selector: selectIstiod,
			client: metadataClient{c.metadata.Resource(deployments())}, objects: w.istiods,
		},
	}
	if w.forwarding != nil {
		w.forwarding.clients = c
		kinds = append(kinds, w.forwarding.forwardTable()...)
	}
	return kinds
}

func namespaces() schema.GroupVersionResource {
	return corev1.SchemeGroupVersion.WithResource("namespaces")
}

func deployments() schema.GroupVersionResource {
	return appsv1.SchemeGroupVersion.WithResource("deployments")
}

func istioOf(o *sail.Istio) counts[sail.Istio] {
	kept := sail.Istio{
		TypeMeta: metav1.TypeMeta{APIVersion: sail.GroupVersion().String(), Kind: "Istio"},
		ObjectMeta: metav1.ObjectMeta{
			Name: o.Name, UID: o.UID, Generation: o.Generation,
			CreationTimestamp: o.CreationTimestamp, DeletionTimestamp: o.DeletionTimestamp,
		},
		Spec:   o.Spec,
		Status: o.Status,
	}
	return counts[sail.Istio]{value: kept, kept: true, problem: o.Spec.Values.Problem()}
}

func (w *watched) revisionOf(o *sail.IstioRevision) counts[revision] {
	r := revision{Revision: o.Revision()}
	if w.forwarding != nil {
		r.reach = o.Reach()
	}
	return counts[revision]{value: r, kept: true, problem: o.Spec.Values.Problem()}
}

func tagOf(o *sail.IstioRevisionTag) counts[routing.Tag] {
	return counts[routing.Tag]{value: o.Tag(), kept: true, problem: o.Problem()}
}

func (w *watched) namespaceOf(o *metav1.PartialObjectMetadata) counts[routing.Namespace] {
	ns := routing.NamespaceOf(o.Name, o.Labels)
	if w.forwarding != nil {
		ns.PodFirst = w.precedence.Load().PodFirst(o.Labels)
	}
	return counts[routing.Namespace]{value: ns, kept: true}
}

func (w *watched) configurationOf(o *admissionregistrationv1.MutatingWebhookConfiguration) counts[configuration] {
	var c configuration
	c.injector, c.plain = sail.FromWebhookConfiguration(o)
	if w.forwarding != nil {
		c.webhooks = sail.Webhooks(o)
	}
	return counts[configuration]{value: c, kept: c.plain || len(c.webhooks) > 0}
}

func injectorOf(o *admissionregistrationv1.MutatingWebhookConfiguration) counts[sail.Injector] {
	in, ok := sail.FromWebhookConfiguration(o)
	return counts[sail.Injector]{value: in, kept: ok}
}

func istiodOf(o *metav1.PartialObjectMetadata) counts[sail.Istiod] {
	return counts[sail.Istiod]{value: sail.IstiodOf(o.Namespace, o.Labels), kept: true}
}

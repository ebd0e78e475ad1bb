package mesh

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// selectRunning leaves out the pods that have ended: the API server reports their end as their deletion.
const selectRunning = "status.phase!=Succeeded,status.phase!=Failed"

// inventoried holds what the skew rules need of all objects. The lock of the source guards it.
type inventoried struct {
	istios     *collection[skew.Istio]
	revisions  *collection[skew.Revision]
	tags       *collection[routing.Tag]
	cnis       *collection[skew.CNI]
	ztunnels   *collection[skew.ZTunnel]
	injectors  *collection[sail.Injector]
	namespaces *collection[skew.Namespace]
	// istiods, cniSets and ztunnelSets are the Deployments and DaemonSets with their status.
	istiods, cniSets, ztunnelSets *collection[inventory.Rollout]
	gateways                      *collection[skew.Gateway]
	classes                       *collection[skew.GatewayClass]
	// services, serviceEntries and workloadEntries are those that name a waypoint.
	services, serviceEntries, workloadEntries *collection[skew.Consumer]
	// routes and policies are those that are attached to what a waypoint serves.
	routes, policies *collection[skew.Attachment]
	pods             *pods

	// podKind is the kind of the pods, which tells whether they are followed.
	podKind *kind
}

func newInventoried() *inventoried {
	return &inventoried{
		istios:          newCollection(skewIstioOf),
		revisions:       newCollection(skewRevisionOf),
		tags:            newCollection(tagOf),
		cnis:            newCollection(cniOf),
		ztunnels:        newCollection(ztunnelOf),
		injectors:       newCollection(injectorOf),
		namespaces:      newCollection(skewNamespaceOf),
		istiods:         newCollection(deploymentOf),
		cniSets:         newCollection(daemonSetOf),
		ztunnelSets:     newCollection(daemonSetOf),
		gateways:        newCollection(gatewayOf),
		classes:         newCollection(gatewayClassOf),
		services:        newCollection(consumerOf(skew.KindService)),
		serviceEntries:  newCollection(consumerOf(skew.KindServiceEntry)),
		workloadEntries: newCollection(consumerOf(skew.KindWorkloadEntry)),
		routes:          newCollection(routeOf),
		policies:        newCollection(policyOf),
		pods:            newPods(),
	}
}

// table lists what is followed. A cluster without the CustomResourceDefinitions of the Gateway API or of Istio has
// no such objects.
//
// +kubebuilder:rbac:groups=sailoperator.io,resources=istios;istiorevisions;istiorevisiontags;istiocnis;ztunnels,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces;services;pods,verbs=list;watch
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,verbs=list;watch
// +kubebuilder:rbac:groups=apps,resources=deployments;daemonsets,verbs=list;watch
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways;gatewayclasses;httproutes,verbs=list;watch
// +kubebuilder:rbac:groups=networking.istio.io,resources=serviceentries;workloadentries,verbs=list;watch
// +kubebuilder:rbac:groups=security.istio.io,resources=authorizationpolicies,verbs=list;watch
func (w *inventoried) table(c clients) []*kind {
	ofSail := func(resource string, o objects) *kind {
		return &kind{
			resource: sail.GroupVersion().WithResource(resource), optional: true,
			client: wholeClient{c.sail, resource}, objects: o,
		}
	}
	ofGateways := func(resource string, o objects) *kind {
		return &kind{
			resource: inventory.GatewayGroupVersion().WithResource(resource), optional: true,
			client: wholeClient{c.gateways, resource}, objects: o,
		}
	}
	consumers := func(resource schema.GroupVersionResource, o objects) *kind {
		return &kind{
			resource: resource, optional: resource.Group != "", selector: skew.LabelUseWaypoint,
			client: metadataClient{c.metadata.Resource(resource)}, objects: o,
		}
	}
	w.podKind = &kind{
		resource: corev1.SchemeGroupVersion.WithResource("pods"), fields: selectRunning,
		client: pagedClient{wholeClient{c.pods, "pods"}, w.pods.read, podsPerPage}, objects: w.pods,
	}
	return slices.Concat([]*kind{
		ofSail("istios", w.istios),
		ofSail("istiorevisions", w.revisions),
		ofSail("istiorevisiontags", w.tags),
		ofSail("istiocnis", w.cnis),
		ofSail("ztunnels", w.ztunnels),
		{
			resource: admissionregistrationv1.SchemeGroupVersion.WithResource("mutatingwebhookconfigurations"),
			selector: selectInjectors,
			client:   wholeClient{c.admission, "mutatingwebhookconfigurations"}, objects: w.injectors,
		},
		{resource: namespaces(), client: metadataClient{c.metadata.Resource(namespaces())}, objects: w.namespaces},
	}, w.rollouts(c), []*kind{
		ofGateways("gateways", w.gateways),
		ofGateways("gatewayclasses", w.classes),
		consumers(corev1.SchemeGroupVersion.WithResource("services"), w.services),
		consumers(inventory.NetworkingGroupVersion().WithResource("serviceentries"), w.serviceEntries),
		consumers(inventory.NetworkingGroupVersion().WithResource("workloadentries"), w.workloadEntries),
		attached(inventory.GatewayGroupVersion().WithResource("httproutes"), c.gateways, w.routes),
		attached(inventory.SecurityGroupVersion().WithResource("authorizationpolicies"), c.security, w.policies),
		w.podKind,
	})
}

// attached is a kind of which a cluster may have thousands, most of them attached to nothing that matters here: they are
// listed page by page, and nothing is kept of those.
func attached(resource schema.GroupVersionResource, c rest.Interface, o *collection[skew.Attachment]) *kind {
	return &kind{
		resource: resource, optional: true, objects: o,
		client: pagedClient{wholeClient{c, resource.Resource}, o.read, podsPerPage},
	}
}

// rollouts lists what tells which versions run.
func (w *inventoried) rollouts(c clients) []*kind {
	daemonSets := func(variant, selector string, o objects) *kind {
		return &kind{
			resource: appsv1.SchemeGroupVersion.WithResource("daemonsets"), variant: variant, selector: selector,
			client: wholeClient{c.apps, "daemonsets"}, objects: o,
		}
	}
	return []*kind{
		{
			resource: deployments(), selector: inventory.SelectIstiod,
			client: wholeClient{c.apps, "deployments"}, objects: w.istiods,
		},
		daemonSets("IstioCNI", inventory.SelectCNI, w.cniSets),
		daemonSets("ZTunnel", inventory.SelectZTunnel, w.ztunnelSets),
	}
}

// copyKnown copies what is known, and returns what makes a snapshot of the copy. The caller holds the lock, but not
// for the rest.
func (w *inventoried) copyKnown() (build func() *snapshot) {
	parts := inventory.Parts{
		Istios:         valuesOf(w.istios),
		Revisions:      valuesOf(w.revisions),
		Tags:           valuesOf(w.tags),
		Injectors:      valuesOf(w.injectors),
		CNIs:           valuesOf(w.cnis),
		ZTunnels:       valuesOf(w.ztunnels),
		Rollouts:       slices.Concat(valuesOf(w.istiods), valuesOf(w.cniSets), valuesOf(w.ztunnelSets)),
		Running:        w.running(),
		Namespaces:     valuesOf(w.namespaces),
		Gateways:       valuesOf(w.gateways),
		GatewayClasses: valuesOf(w.classes),
		Consumers: slices.Concat(valuesOf(w.services), valuesOf(w.serviceEntries), valuesOf(w.workloadEntries),
			w.pods.consumers()),
		Workloads:   w.pods.workloads(),
		Attachments: slices.Concat(valuesOf(w.routes), valuesOf(w.policies)),
	}
	return func() *snapshot { return &snapshot{skew: parts.Mesh(), parts: parts} }
}

// running is what the pods of Istio's components run. Where pods cannot be followed at the moment, what they ran last
// would keep a rollout from ever ending; the status of Deployments and DaemonSets then has to do.
func (w *inventoried) running() []inventory.Running {
	if !w.podKind.current() {
		return nil
	}
	return w.pods.running()
}

func skewIstioOf(o *sail.Istio) counts[skew.Istio] {
	return counts[skew.Istio]{value: inventory.Istio(o), kept: true} // Source reports the problems of its values
}

func skewRevisionOf(o *sail.IstioRevision) counts[skew.Revision] {
	return counts[skew.Revision]{value: inventory.Revision(o), kept: true}
}

func cniOf(o *sail.IstioCNI) counts[skew.CNI] {
	return counts[skew.CNI]{value: inventory.CNI(o), kept: true, problem: o.Spec.Values.Problem()}
}

func ztunnelOf(o *sail.ZTunnel) counts[skew.ZTunnel] {
	return counts[skew.ZTunnel]{value: inventory.ZTunnel(o), kept: true, problem: o.Spec.Values.Problem()}
}

func skewNamespaceOf(o *metav1.PartialObjectMetadata) counts[skew.Namespace] {
	return counts[skew.Namespace]{value: inventory.Namespace(&o.ObjectMeta), kept: true}
}

func deploymentOf(o *appsv1.Deployment) counts[inventory.Rollout] {
	r, ok := inventory.DeploymentRollout(o)
	return counts[inventory.Rollout]{value: r, kept: ok}
}

func daemonSetOf(o *appsv1.DaemonSet) counts[inventory.Rollout] {
	r, ok := inventory.DaemonSetRollout(o)
	return counts[inventory.Rollout]{value: r, kept: ok}
}

func gatewayOf(o *inventory.Gateway) counts[skew.Gateway] {
	return counts[skew.Gateway]{value: o.Skew(), kept: true}
}

func routeOf(o *inventory.HTTPRoute) counts[skew.Attachment] { return attachmentOf(o.Skew()) }

func policyOf(o *inventory.AuthorizationPolicy) counts[skew.Attachment] {
	return attachmentOf(o.Skew())
}

func attachmentOf(a skew.Attachment) counts[skew.Attachment] {
	return counts[skew.Attachment]{value: a, kept: len(a.Targets) > 0}
}

func gatewayClassOf(o *inventory.GatewayClass) counts[skew.GatewayClass] {
	return counts[skew.GatewayClass]{value: o.Skew(), kept: true}
}

func consumerOf(kind skew.Kind) func(*metav1.PartialObjectMetadata) counts[skew.Consumer] {
	return func(o *metav1.PartialObjectMetadata) counts[skew.Consumer] {
		c := inventory.Consumer(kind, &o.ObjectMeta)
		return counts[skew.Consumer]{value: c, kept: c.UseWaypoint.Present}
	}
}

package inventory

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/internal/sail"
)

// GatewayGroupVersion is the version of the Gateway API that is followed. It is served since the API's release 1.0.
func GatewayGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "gateway.networking.k8s.io", Version: "v1"}
}

// NetworkingGroupVersion is the version of Istio's own kinds that is followed. It is served since Istio 1.22, and
// the Sail Operator installs none before 1.23.
func NetworkingGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "networking.istio.io", Version: "v1"}
}

// SecurityGroupVersion is the version of Istio's policies that is followed, served as long as [NetworkingGroupVersion].
func SecurityGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "security.istio.io", Version: "v1"}
}

func podGroupVersion() schema.GroupVersion { return schema.GroupVersion{Version: "v1"} }

// AddToScheme makes a client decode the kinds that this package has small types for straight into those.
func AddToScheme(s *runtime.Scheme) {
	for gvk, types := range map[schema.GroupVersionKind]struct{ object, list runtime.Object }{
		GatewayGroupVersion().WithKind("Gateway"):              {&Gateway{}, &sail.List[*Gateway]{}},
		GatewayGroupVersion().WithKind("GatewayClass"):         {&GatewayClass{}, &sail.List[*GatewayClass]{}},
		GatewayGroupVersion().WithKind("HTTPRoute"):            {&HTTPRoute{}, &sail.List[*HTTPRoute]{}},
		SecurityGroupVersion().WithKind("AuthorizationPolicy"): {&AuthorizationPolicy{}, &sail.List[*AuthorizationPolicy]{}},
		podGroupVersion().WithKind("Pod"):                      {&Pod{}, &PodList{}},
	} {
		s.AddKnownTypeWithName(gvk, types.object)
		s.AddKnownTypeWithName(gvk.GroupVersion().WithKind(gvk.Kind+"List"), types.list)
	}
	metav1.AddToGroupVersion(s, GatewayGroupVersion())
	metav1.AddToGroupVersion(s, SecurityGroupVersion())
	metav1.AddToGroupVersion(s, podGroupVersion())
}

// PodList is one page of a list of pods.
type PodList = sail.List[*Pod]

// DeepCopyObject implements runtime.Object.
func (o *Gateway) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Addresses = slices.Clone(o.Spec.Addresses)
	out.Spec.Listeners = slices.Clone(o.Spec.Listeners)
	for i := range out.Spec.Listeners {
		namespaces := &out.Spec.Listeners[i].AllowedRoutes.Namespaces
		namespaces.Selector = namespaces.Selector.DeepCopy()
	}
	return &out
}

// DeepCopyObject implements runtime.Object.
func (o *GatewayClass) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (p *Pod) DeepCopyObject() runtime.Object {
	out := *p
	p.DeepCopyInto(&out.ObjectMeta)
	out.Spec.InitContainers = slices.Clone(p.Spec.InitContainers)
	out.Spec.Containers = slices.Clone(p.Spec.Containers)
	out.Status.Conditions = slices.Clone(p.Status.Conditions)
	return &out
}

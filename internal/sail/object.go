package sail

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of the Sail Operator.
const Group = "sailoperator.io"

// GroupVersion is the version that is read: all kinds are served in it.
func GroupVersion() schema.GroupVersion { return schema.GroupVersion{Group: Group, Version: "v1"} }

// List is the list type of a kind, as the API server returns it.
type List[T runtime.Object] struct {
	metav1.TypeMeta
	metav1.ListMeta `json:"metadata"`

	Items []T `json:"items"`
}

// AddToScheme makes a client decode answers of the API server straight into the types of this package.
func AddToScheme(s *runtime.Scheme) {
	gv := GroupVersion()
	for kind, types := range map[string]struct{ object, list runtime.Object }{
		"Istio":            {&Istio{}, &List[*Istio]{}},
		"IstioRevision":    {&IstioRevision{}, &List[*IstioRevision]{}},
		"IstioRevisionTag": {&IstioRevisionTag{}, &List[*IstioRevisionTag]{}},
		"IstioCNI":         {&IstioCNI{}, &List[*IstioCNI]{}},
		"ZTunnel":          {&ZTunnel{}, &List[*ZTunnel]{}},
	} {
		s.AddKnownTypeWithName(gv.WithKind(kind), types.object)
		s.AddKnownTypeWithName(gv.WithKind(kind+"List"), types.list)
	}
	metav1.AddToGroupVersion(s, gv)
}

// DeepCopyObject implements runtime.Object.
func (l *List[T]) DeepCopyObject() runtime.Object {
	out := *l
	l.DeepCopyInto(&out.ListMeta)
	out.Items = make([]T, len(l.Items))
	for i, item := range l.Items {
		out.Items[i], _ = item.DeepCopyObject().(T) // a copy is of the type of its original
	}
	return &out
}

// DeepCopyObject implements runtime.Object.
func (o *Istio) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Values = o.Spec.Values.clone()
	out.Status.Conditions = slices.Clone(o.Status.Conditions)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (o *IstioRevision) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Spec.Values = o.Spec.Values.clone()
	out.Status.Conditions = slices.Clone(o.Status.Conditions)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (o *IstioRevisionTag) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = slices.Clone(o.Status.Conditions)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (o *IstioCNI) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = slices.Clone(o.Status.Conditions)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (o *ZTunnel) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Status.Conditions = slices.Clone(o.Status.Conditions)
	return &out
}

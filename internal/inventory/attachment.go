package inventory

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revision-router/revision-router/routing/skew"
)

// Reference is a parentRef of a route or a targetRef of a policy: both have these fields.
type Reference struct {
	Group     *string `json:"group"`
	Kind      *string `json:"kind"`
	Namespace *string `json:"namespace"`
	Name      string  `json:"name"`
}

// HTTPRoute holds the fields of an HTTPRoute that are read.
type HTTPRoute struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		ParentRefs []Reference `json:"parentRefs"`
	} `json:"spec"`
}

// AuthorizationPolicy holds the fields of an AuthorizationPolicy that are read: not what it allows, but who has to enforce it.
type AuthorizationPolicy struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec AuthorizationPolicySpec `json:"spec"`
}

// AuthorizationPolicySpec is the part of an AuthorizationPolicy's spec that says what it is attached to.
type AuthorizationPolicySpec struct {
	// TargetRef is the field of Istio 1.21; istiod reads it where there are no targetRefs.
	TargetRef  *Reference  `json:"targetRef"`
	TargetRefs []Reference `json:"targetRefs"`
}

// Skew is what the route means to the rules: its parents that are Services. One that is attached to a Gateway is carried
// out there, and one for a Service of another namespace is for the clients in its own (GAMMA's consumer routes).
func (o *HTTPRoute) Skew() skew.Attachment {
	a := attachment(skew.KindHTTPRoute, &o.ObjectMeta)
	for _, r := range o.Spec.ParentRefs {
		// Without a group and kind a parent is a Gateway (Gateway API, ParentReference).
		kind := r.targetKind(GatewayGroupVersion().Group, "Gateway")
		if r.within(o.Namespace) && (kind == skew.KindService || kind == skew.KindServiceEntry) {
			a.add(kind, r.Name)
		}
	}
	return a.Attachment
}

// Skew is what the policy means to the rules. It has no targets where it selects pods by their labels: sidecars and
// ZTunnel see to those.
func (o *AuthorizationPolicy) Skew() skew.Attachment {
	a := attachment(skew.KindAuthorizationPolicy, &o.ObjectMeta)
	references := o.Spec.TargetRefs
	if len(references) == 0 && o.Spec.TargetRef != nil {
		references = []Reference{*o.Spec.TargetRef}
	}
	for _, r := range references {
		if kind := r.targetKind("", ""); kind != "" && r.within(o.Namespace) {
			a.add(kind, r.Name)
		}
	}
	return a.Attachment
}

// attached collects targets.
type attached struct{ skew.Attachment }

func attachment(kind skew.Kind, o *metav1.ObjectMeta) attached {
	return attached{skew.Attachment{Kind: kind, Namespace: o.Namespace, Name: o.Name, Deleting: o.DeletionTimestamp != nil}}
}

func (a *attached) add(kind skew.Kind, name string) {
	target := skew.Ref{Kind: kind, Namespace: a.Namespace, Name: name}
	if kind == skew.KindGatewayClass {
		target.Namespace = ""
	}
	if !slices.Contains(a.Targets, target) { // several ports of one Service
		a.Targets = append(a.Targets, target)
	}
}

// targetKind is the kind that the reference names, empty for one that no rule knows. The defaults are for what it leaves
// out; "core" is as good as the empty group (istio, pkg/config, CanonicalGroup).
func (r *Reference) targetKind(group, kind string) skew.Kind {
	if r.Group != nil {
		group = *r.Group
	}
	if r.Kind != nil {
		kind = *r.Kind
	}
	named := skew.Kind(kind)
	switch {
	case (group == "" || group == "core") && named == skew.KindService,
		group == NetworkingGroupVersion().Group && named == skew.KindServiceEntry,
		group == GatewayGroupVersion().Group && (named == skew.KindGateway || named == skew.KindGatewayClass):
		return named
	}
	return ""
}

// within: a policy for another namespace never matches anything, and Istio refuses it.
func (r *Reference) within(namespace string) bool {
	return r.Namespace == nil || *r.Namespace == "" || *r.Namespace == namespace
}

// DeepCopyObject implements runtime.Object. The references are not copied: nothing writes to them.
func (o *HTTPRoute) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Spec.ParentRefs = slices.Clone(o.Spec.ParentRefs)
	return &out
}

// DeepCopyObject implements runtime.Object. The references are not copied: nothing writes to them.
func (o *AuthorizationPolicy) DeepCopyObject() runtime.Object {
	out := *o
	o.DeepCopyInto(&out.ObjectMeta)
	out.Spec.TargetRefs = slices.Clone(o.Spec.TargetRefs)
	return &out
}

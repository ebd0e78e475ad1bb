package sail

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/routing"
)

// profileRemote is the profile of a revision whose control plane runs in another cluster.
const profileRemote = "remote"

// Revision is what the IstioRevision means for routing.
func (o *IstioRevision) Revision() routing.Revision {
	values := &o.Spec.Values
	return routing.Revision{
		Name:      o.Name,
		Version:   o.Spec.Version,
		Namespace: o.Spec.Namespace,
		Istio:     controllingIstio(o.OwnerReferences),
		Origin:    routing.Sail,
		Created:   o.CreationTimestamp.UTC(),
		UID:       string(o.UID),
		Deleting:  o.DeletionTimestamp != nil,
		Remote:    values.Profile == profileRemote,
		Injection: routing.Injection{
			EnableNamespacesByDefault: values.EnableNamespacesByDefault,
			AutoInject:                values.AutoInject,
			NeverInject:               values.NeverInject,
			AlwaysInject:              values.AlwaysInject,
		},
	}
}

// Tag is what the IstioRevisionTag means for routing: it leads to where its webhook points today, which after a
// change of spec.targetRef, or after an error, is not yet what the spec asks for.
//
// A rollout that cannot be read moves nobody: see [IstioRevisionTag.Problem].
func (o *IstioRevisionTag) Tag() routing.Tag {
	rollout, err := o.rollout()
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	return routing.Tag{
		Rollout: rollout, RolloutProblem: problem,
		Name:       o.Name,
		Revision:   o.Status.IstioRevision,
		TargetKind: o.Spec.TargetRef.Kind,
		TargetName: o.Spec.TargetRef.Name,
		Origin:     routing.Sail,
		Created:    o.CreationTimestamp.UTC(),
		UID:        string(o.UID),
		Deleting:   o.DeletionTimestamp != nil,
	}
}

// Problem tells that the annotation of a rollout cannot be read, and is nil where it can or is not there.
func (o *IstioRevisionTag) Problem() error {
	_, err := o.rollout()
	return err
}

func (o *IstioRevisionTag) rollout() (routing.Rollout, error) {
	value, ok := o.Annotations[routing.AnnotationRollout]
	if !ok {
		return routing.Rollout{}, nil
	}
	return routing.ParseRollout(value)
}

// controllingIstio returns the name of the Istio that made the object, empty where a user did.
func controllingIstio(owners []metav1.OwnerReference) string {
	for _, o := range owners {
		if o.Controller != nil && *o.Controller && o.Kind == "Istio" && ofSail(o) {
			return o.Name
		}
	}
	return ""
}

// ofSail reports whether the owner is an object of the Sail Operator, of whatever version of its API.
func ofSail(o metav1.OwnerReference) bool {
	gv, err := schema.ParseGroupVersion(o.APIVersion)
	return err == nil && gv.Group == Group
}

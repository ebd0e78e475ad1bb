package inventory

import (
	"cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// The API's defaults for spec.namespace. The API server fills them in; a file may leave them out.
const (
	namespaceIstio   = "istio-system"
	namespaceCNI     = "istio-cni"
	namespaceZTunnel = "ztunnel"
)

// Istio is what an Istio declares, and which revision is active.
func Istio(o *sail.Istio) skew.Istio {
	return skew.Istio{
		Name:      o.Name,
		Namespace: cmp.Or(o.Spec.Namespace, namespaceIstio),
		Version:   o.Spec.Version,
		Strategy:  skew.Strategy(o.Spec.UpdateStrategy.Type),
		Remote:    remote(o.Spec.Profile, &o.Spec.Values),
		Ambient:   skew.AmbientProfile(o.Spec.Profile) || ambient(&o.Spec.Values),
		Active:    o.Status.ActiveRevisionName,
		Observed:  o.Status.ObservedGeneration == o.Generation,
		Deleting:  o.DeletionTimestamp != nil,
	}
}

func remote(profile string, values *sail.Values) bool {
	return profile == "remote" || values.Profile == "remote"
}

// ambient reads the values of a revision, where the operator writes the profile of its Istio to.
func ambient(values *sail.Values) bool {
	return skew.AmbientProfile(values.Profile) || values.Ambient()
}

// Revision is what an IstioRevision declares. What runs of it is added from its istiod Deployment: see [Parts].
func Revision(o *sail.IstioRevision) skew.Revision {
	r := skew.Revision{
		Revision: o.Revision(),
		Ambient:  ambient(&o.Spec.Values),
		Ready:    readiness(o.Generation, o.Status.ObservedGeneration, o.Status.Conditions),
	}
	r.Namespace = cmp.Or(r.Namespace, namespaceIstio)
	return r
}

func readiness(generation, observed int64, conditions []sail.Condition) skew.Readiness {
	for _, c := range conditions {
		if c.Type != "Ready" {
			continue
		}
		if c.Status == string(metav1.ConditionTrue) && observed == generation {
			return skew.Ready
		}
		return skew.NotReady
	}
	return skew.NotObserved
}

// Tag is what an IstioRevisionTag asks for, and where it leads today.
func Tag(o *sail.IstioRevisionTag) skew.Tag {
	return skew.Tag{Tag: o.Tag(), Share: routing.LabelOf(o.Annotations, routing.AnnotationRollout)}
}

// CNI is what the IstioCNI declares.
func CNI(o *sail.IstioCNI) skew.CNI {
	return skew.CNI{
		Name:      o.Name,
		Namespace: cmp.Or(o.Spec.Namespace, namespaceCNI),
		Version:   o.Spec.Version,
		Ambient:   skew.AmbientProfile(o.Spec.Profile) || o.Spec.Values.Ambient,
		Deleting:  o.DeletionTimestamp != nil,
	}
}

// ZTunnel is what the ZTunnel declares.
func ZTunnel(o *sail.ZTunnel) skew.ZTunnel {
	return skew.ZTunnel{
		Name:         o.Name,
		Namespace:    cmp.Or(o.Spec.Namespace, namespaceZTunnel),
		Version:      o.Spec.Version,
		TargetKind:   o.Spec.TargetRef.Kind,
		TargetName:   o.Spec.TargetRef.Name,
		Revision:     o.Spec.Values.Revision,
		OnDelete:     o.Spec.Values.UpdateStrategy == "OnDelete",
		GraceSeconds: o.Spec.Values.TerminationGracePeriodSeconds,
		Deleting:     o.DeletionTimestamp != nil,
	}
}

// Namespace keeps all labels: listeners of a Gateway may select by any of them.
func Namespace(o *metav1.ObjectMeta) skew.Namespace {
	return skew.Namespace{Name: o.Name, Labels: o.Labels, Deleting: o.DeletionTimestamp != nil}
}

// Consumer is an object that may name a waypoint.
func Consumer(kind skew.Kind, o *metav1.ObjectMeta) skew.Consumer {
	return skew.Consumer{
		Kind: kind, Namespace: o.Namespace, Name: o.Name,
		UseWaypoint:          routing.LabelOf(o.Labels, skew.LabelUseWaypoint),
		UseWaypointNamespace: routing.LabelOf(o.Labels, skew.LabelUseWaypointNamespace),
	}
}

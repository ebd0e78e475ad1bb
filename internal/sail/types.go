package sail

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Istio asks for a control plane. Which revision it means at the moment is status.activeRevisionName; that is no
// statement about readiness.
type Istio struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec   IstioSpec   `json:"spec"`
	Status IstioStatus `json:"status"`
}

// IstioSpec is what the user wrote.
type IstioSpec struct {
	// Version may be an alias such as v1.30-latest, or master.
	Version        string         `json:"version"`
	Namespace      string         `json:"namespace"`
	Profile        string         `json:"profile"`
	UpdateStrategy UpdateStrategy `json:"updateStrategy"`
	Values         Values         `json:"values"`
}

// UpdateStrategy tells what a change of Istio's version does.
type UpdateStrategy struct {
	// Type is InPlace or RevisionBased. Empty means InPlace, the API's default.
	Type string `json:"type"`
}

// IstioStatus is trusted only where ObservedGeneration equals the object's generation.
type IstioStatus struct {
	ActiveRevisionName string      `json:"activeRevisionName"`
	ObservedGeneration int64       `json:"observedGeneration"`
	Conditions         []Condition `json:"conditions"`
}

// IstioRevision is one control plane. Its name is what istio.io/rev refers to.
type IstioRevision struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec   IstioRevisionSpec `json:"spec"`
	Status CommonStatus      `json:"status"`
}

// IstioRevisionSpec is written by the operator, unless a user made the IstioRevision.
type IstioRevisionSpec struct {
	// Version is always resolved: the API accepts no aliases here.
	Version   string `json:"version"`
	Namespace string `json:"namespace"`
	Values    Values `json:"values"`
}

// IstioRevisionTag is a movable name for a revision.
type IstioRevisionTag struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec   IstioRevisionTagSpec   `json:"spec"`
	Status IstioRevisionTagStatus `json:"status"`
}

// IstioRevisionTagSpec says where the tag shall point.
type IstioRevisionTagSpec struct {
	TargetRef TargetRef `json:"targetRef"`
}

// TargetRef names an Istio or an IstioRevision.
type TargetRef struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// IstioRevisionTagStatus says where the tag points today. The operator writes it only after a successful
// reconciliation, so that after an error it holds the last good target, which is where the webhook points, too.
type IstioRevisionTagStatus struct {
	IstioRevision      string      `json:"istioRevision"`
	IstiodNamespace    string      `json:"istiodNamespace"`
	ObservedGeneration int64       `json:"observedGeneration"`
	Conditions         []Condition `json:"conditions"`
}

// IstioCNI is the CNI plugin of the cluster; there is only one, named default.
type IstioCNI struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec   IstioCNISpec `json:"spec"`
	Status CommonStatus `json:"status"`
}

// IstioCNISpec is what the user wrote. No field of the status resolves an alias in Version.
type IstioCNISpec struct {
	Version   string    `json:"version"`
	Namespace string    `json:"namespace"`
	Profile   string    `json:"profile"`
	Values    CNIValues `json:"values"`
}

// ZTunnel is the node proxy of ambient mode; there is only one, named default.
type ZTunnel struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`

	Spec   ZTunnelSpec   `json:"spec"`
	Status ZTunnelStatus `json:"status"`
}

// ZTunnelSpec is what the user wrote. TargetRef lends configuration to ztunnel, never its version.
type ZTunnelSpec struct {
	Version   string        `json:"version"`
	Namespace string        `json:"namespace"`
	TargetRef TargetRef     `json:"targetRef"`
	Values    ZTunnelValues `json:"values"`
}

// ZTunnelStatus loses IstioRevision on an error, unlike the status of a tag.
type ZTunnelStatus struct {
	IstioRevision      string      `json:"istioRevision"`
	ObservedGeneration int64       `json:"observedGeneration"`
	Conditions         []Condition `json:"conditions"`
}

// CommonStatus is the part of a status that all kinds have.
type CommonStatus struct {
	ObservedGeneration int64       `json:"observedGeneration"`
	Conditions         []Condition `json:"conditions"`
}

// Condition is one observation of the operator's.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

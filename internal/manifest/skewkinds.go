package manifest

import (
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing/skew"
)

// Groups of Istio's own kinds.
const (
	groupNetworking = "networking.istio.io"
	groupSecurity   = "security.istio.io"
)

// skewKind is one kind that is read [ForSkew], and which of its objects have to be listed in a cluster.
type skewKind struct {
	kind
	// selectors are label selectors, one list each; none means everything.
	selectors []string
	// fields is a field selector.
	fields string
}

// skewKinds is everything that the skew rules look at. What is listed with selectors is what internal/mesh follows.
func skewKinds() []skewKind {
	consumers := []string{skew.LabelUseWaypoint}
	return []skewKind{
		{kind: kind{"", "Namespace", clusterWide, "v1", "namespaces", decodeWholeNamespace}},
		{
			kind: kind{"", "Pod", namespaced, "v1", "pods", typed[inventory.Pod]},
			// Pods that have ended use nothing.
			fields: "status.phase!=Succeeded,status.phase!=Failed",
		},
		{kind: kind{"", "Service", namespaced, "v1", "services", typed[metav1.PartialObjectMetadata]}, selectors: consumers},
		{
			kind:      kind{groupNetworking, "ServiceEntry", namespaced, "v1", "serviceentries", typed[metav1.PartialObjectMetadata]},
			selectors: consumers,
		},
		{
			kind:      kind{groupNetworking, "WorkloadEntry", namespaced, "v1", "workloadentries", typed[metav1.PartialObjectMetadata]},
			selectors: consumers,
		},
		{
			kind:      kind{groupApps, "Deployment", namespaced, "v1", "deployments", decodeDeployment},
			selectors: []string{inventory.SelectIstiod},
		},
		{
			kind:      kind{groupApps, "DaemonSet", namespaced, "v1", "daemonsets", decodeDaemonSet},
			selectors: []string{inventory.SelectCNI, inventory.SelectZTunnel},
		},
		{kind: kind{groupGateway, "Gateway", namespaced, "v1", "gateways", typed[inventory.Gateway]}},
		{kind: kind{groupGateway, "GatewayClass", clusterWide, "v1", "gatewayclasses", typed[inventory.GatewayClass]}},
		{kind: kind{groupGateway, "HTTPRoute", namespaced, "v1", "httproutes", typed[inventory.HTTPRoute]}},
		{kind: kind{groupSecurity, "AuthorizationPolicy", namespaced, "v1", "authorizationpolicies", typed[inventory.AuthorizationPolicy]}},
		{kind: kind{groupAdmission, "MutatingWebhookConfiguration", clusterWide, "v1", "mutatingwebhookconfigurations", typed[admissionregistrationv1.MutatingWebhookConfiguration]}},
		{kind: kind{sail.Group, "Istio", clusterWide, "v1", "istios", typed[sail.Istio]}},
		{kind: kind{sail.Group, "IstioRevision", clusterWide, "v1", "istiorevisions", typed[sail.IstioRevision]}},
		{kind: kind{sail.Group, "IstioRevisionTag", clusterWide, "v1", "istiorevisiontags", typed[sail.IstioRevisionTag]}},
		{kind: kind{sail.Group, "IstioCNI", clusterWide, "v1", "istiocnis", typed[sail.IstioCNI]}},
		{kind: kind{sail.Group, "ZTunnel", clusterWide, "v1", "ztunnels", typed[sail.ZTunnel]}},
	}
}

// decodeWholeNamespace adds the label that the API server gives every namespace: listeners select by it.
func decodeWholeNamespace(d *decoder, raw []byte) (identity, any, error) {
	id, value, err := typed[metav1.PartialObjectMetadata](d, raw)
	if ns, ok := value.(*metav1.PartialObjectMetadata); ok && id.name != "" {
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		ns.Labels[corev1.LabelMetadataName] = id.name
	}
	return id, value, err
}

// rolledOut is a Deployment or DaemonSet without its pod template: that runs nothing yet.
type rolledOut[S any] struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Status   S                 `json:"status"`
}

// in returns what the object calls itself, and its metadata with the namespace it is in.
func (r *rolledOut[S]) in(d *decoder) (identity, metav1.ObjectMeta) {
	id := identity{name: r.Metadata.Name, generateName: r.Metadata.GenerateName, namespace: r.Metadata.Namespace}
	r.Metadata.Namespace = d.namespaceOf(id)
	return id, r.Metadata
}

func decodeDeployment(d *decoder, raw []byte) (identity, any, error) {
	var in rolledOut[appsv1.DeploymentStatus]
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	id, meta := in.in(d)
	if rollout, ok := inventory.DeploymentRollout(&appsv1.Deployment{ObjectMeta: meta, Status: in.Status}); ok {
		return id, rollout, nil
	}
	return id, nil, nil
}

func decodeDaemonSet(d *decoder, raw []byte) (identity, any, error) {
	var in rolledOut[appsv1.DaemonSetStatus]
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	id, meta := in.in(d)
	if rollout, ok := inventory.DaemonSetRollout(&appsv1.DaemonSet{ObjectMeta: meta, Status: in.Status}); ok {
		return id, rollout, nil
	}
	return id, nil, nil
}

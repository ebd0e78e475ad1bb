package manifest

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// Groups of the kinds that are read.
const (
	groupApps      = "apps"
	groupBatch     = "batch"
	groupGateway   = "gateway.networking.k8s.io"
	groupAdmission = "admissionregistration.k8s.io"
	groupDiscovery = "discovery.k8s.io"
)

// scope tells whether the objects of a kind live in namespaces.
type scope byte

const (
	namespaced scope = iota
	clusterWide
	// unknownScope: only a namespace that is written is known.
	unknownScope
)

// kind is one kind that is read. To read another, add a line to kinds and the type that it decodes into; its
// objects are then found with [All].
type kind struct {
	group, name string
	scope       scope
	// version and plural are where an API server lists the kind.
	version, plural string
	decode          func(*decoder, []byte) (identity, any, error)
}

// identity is what an object calls itself.
type identity struct{ name, generateName, namespace string }

// kinds is everything that is read [ForRouting]; other kinds are passed over. For the other purpose see skewKinds.
func kinds() []kind {
	return []kind{
		{"", "Namespace", clusterWide, "v1", "namespaces", decodeNamespace},
		{"", "Pod", namespaced, "v1", "pods", decodePod},
		{"", "ReplicationController", namespaced, "v1", "replicationcontrollers", decodeTemplate},
		{groupApps, "DaemonSet", namespaced, "v1", "daemonsets", decodeTemplate},
		{groupApps, "Deployment", namespaced, "v1", "deployments", decodeTemplate},
		{groupApps, "ReplicaSet", namespaced, "v1", "replicasets", decodeTemplate},
		{groupApps, "StatefulSet", namespaced, "v1", "statefulsets", decodeTemplate},
		{groupBatch, "CronJob", namespaced, "v1", "cronjobs", decodeCronJob},
		{groupBatch, "Job", namespaced, "v1", "jobs", decodeTemplate},
		{groupGateway, "Gateway", namespaced, "v1", "gateways", decodeGateway},
		{groupGateway, "GatewayClass", clusterWide, "v1", "gatewayclasses", decodeGatewayClass},
		{groupAdmission, "MutatingWebhookConfiguration", clusterWide, "v1", "mutatingwebhookconfigurations", typed[admissionregistrationv1.MutatingWebhookConfiguration]},
		{sail.Group, "Istio", clusterWide, "v1", "istios", typed[sail.Istio]},
		{sail.Group, "IstioRevision", clusterWide, "v1", "istiorevisions", typed[sail.IstioRevision]},
		{sail.Group, "IstioRevisionTag", clusterWide, "v1", "istiorevisiontags", typed[sail.IstioRevisionTag]},
		{sail.Group, "IstioCNI", clusterWide, "v1", "istiocnis", typed[sail.IstioCNI]},
		{sail.Group, "ZTunnel", clusterWide, "v1", "ztunnels", typed[sail.ZTunnel]},
	}
}

// Purpose is what objects are read for. It decides which kinds are read, and how much of each.
type Purpose byte

// The purposes.
const (
	// ForRouting reads what decides about pods and pod templates: see [Set.Mesh].
	ForRouting Purpose = iota
	// ForSkew reads what the skew rules look at: see [Set.SkewMesh].
	ForSkew
	// ForForwarding reads what [ForRouting] does, and whether injectors can be called: the mesh is in routing.Forward.
	ForForwarding
)

// Resource is a kind as an API server lists it.
type Resource struct {
	Group, Version, Plural, Kind string
	Namespaced                   bool
	// Selectors are label selectors, each of which has to be listed; none means all objects. Fields is a field
	// selector, empty for none. Nothing is needed of the objects that they leave out.
	Selectors []string
	Fields    string
}

// Resources are all kinds that are read for the purpose, for a caller that lists them from a cluster.
func Resources(p Purpose) []Resource {
	all := kindsFor(p)
	out := make([]Resource, len(all))
	for i, k := range all {
		out[i] = Resource{
			Group: k.group, Version: k.version, Plural: k.plural, Kind: k.name, Namespaced: k.scope == namespaced,
			Selectors: k.selectors, Fields: k.fields,
		}
	}
	return out
}

func kindsFor(p Purpose) []skewKind {
	if p == ForSkew {
		return skewKinds()
	}
	var out []skewKind
	for _, k := range kinds() {
		out = append(out, skewKind{kind: k})
	}
	if p == ForForwarding {
		out = append(out, skewKind{kind: kind{
			groupDiscovery, "EndpointSlice", namespaced, "v1", "endpointslices", typed[discoveryv1.EndpointSlice],
		}})
	}
	return out
}

// Path is where the API server lists the resource, in one namespace or, where namespace is empty, in all.
func (r Resource) Path(namespace string) string {
	path := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		path = "/api/" + r.Version
	}
	if r.Namespaced && namespace != "" {
		path += "/namespaces/" + namespace
	}
	return path + "/" + r.Plural
}

type groupKind struct{ group, kind string }

func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}

func decodeNamespace(d *decoder, raw []byte) (identity, any, error) {
	var in struct {
		Metadata metadata `json:"metadata"`
	}
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	ns := routing.NamespaceOf(in.Metadata.Name, in.Metadata.Labels)
	ns.PodFirst = d.precedence.PodFirst(in.Metadata.Labels)
	return in.Metadata.identity(), ns, nil
}

// decodeName reads what an object of any kind calls itself, and no more.
func decodeName(_ *decoder, raw []byte) (identity, any, error) {
	var in struct {
		Metadata metadata `json:"metadata"`
	}
	err := unmarshal(raw, &in)
	return in.Metadata.identity(), nil, err
}

// typed decodes a kind whose objects carry the metadata of metav1.
func typed[T any, P interface {
	*T
	metav1.Object
}](_ *decoder, raw []byte) (identity, any, error) {
	in := P(new(T))
	err := unmarshal(raw, in)
	return identity{name: in.GetName(), generateName: in.GetGenerateName(), namespace: in.GetNamespace()}, in, err
}

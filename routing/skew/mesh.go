package skew

import (
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// Mesh is what a cluster holds, as far as the rules look at it: plain values, in any order. [Check] changes
// neither the slices nor what they hold.
type Mesh struct {
	Istios []Istio
	// Revisions holds the IstioRevisions, and the revisions of plain Istio (routing.Webhook): those give names a
	// meaning, but no version rule looks at them, because Sail's IstioCNI and ZTunnel are not theirs.
	Revisions []Revision
	Tags      []routing.Tag
	// Namespaces holds all namespaces, or at least those with a label of Istio's.
	Namespaces []Namespace
	// CNI and ZTunnel are nil where the cluster has none. Both are singletons by their CRDs.
	CNI            *CNI
	ZTunnel        *ZTunnel
	Gateways       []Gateway
	GatewayClasses []GatewayClass
	// Consumers holds the objects other than namespaces that name a waypoint.
	Consumers []Consumer
	Workloads []Workload
	// Attachments are the AuthorizationPolicies and HTTPRoutes that a waypoint has to carry out.
	Attachments []Attachment
}

// Strategy is spec.updateStrategy.type of an Istio; empty means InPlace, as in the CRD.
type Strategy string

// The strategies.
const (
	InPlace       Strategy = "InPlace"
	RevisionBased Strategy = "RevisionBased"
)

// Istio is one Istio of the Sail Operator.
type Istio struct {
	Name string
	// Namespace is spec.namespace: where its control plane runs.
	Namespace string
	// Version is spec.version as it is written; it may be an alias.
	Version  string
	Strategy Strategy
	// Remote: the profile is remote, the control plane runs in another cluster.
	Remote bool
	// Ambient: the profile is an ambient one (see [AmbientProfile]), or the values say the same.
	Ambient bool
	// Active is status.activeRevisionName.
	Active string
	// Observed: status.observedGeneration is metadata.generation, so that Active belongs to this Version.
	Observed bool
	Deleting bool
}

// Revision is one IstioRevision with what is known of its istiod.
type Revision struct {
	routing.Revision
	// Ambient: the profile is an ambient one, or the values say the same.
	Ambient bool
	// Istiod is the rollout of its istiod Deployment.
	Istiod Rollout
	// Ready is the condition Ready. It is used only where no Deployment is found: right after a change of the
	// version it still describes the old pods (Sail Operator, istiorevision_controller.go).
	Ready Readiness
}

// Readiness is the condition Ready of an object.
type Readiness string

// The states of readiness.
const (
	// NotObserved: there is no such condition.
	NotObserved Readiness = ""
	// Ready: the condition is True and status.observedGeneration is metadata.generation.
	Ready Readiness = "Ready"
	// NotReady: anything else.
	NotReady Readiness = "NotReady"
)

// Rollout is what a Deployment or DaemonSet tells about the versions that run. The zero value stands for one that
// was not found.
type Rollout struct {
	// Found: the Deployment or DaemonSet exists.
	Found bool
	// Version is its label app.kubernetes.io/version: what its pods run once the rollout is done.
	Version string
	// Observed: status.observedGeneration is metadata.generation.
	Observed bool
	// Pods counts all its pods (status.replicas, currentNumberScheduled), Updated those of the newest template
	// (updatedReplicas, updatedNumberScheduled), Ready those that serve.
	Pods, Updated, Ready int
	// PodVersions holds the label app.kubernetes.io/version of the pods that serve, where pods are known. It
	// beats everything else. Without it, an unfinished rollout is taken to run the minor before as well.
	PodVersions []string
}

// CNI is the IstioCNI. Its own status tells no version.
type CNI struct {
	Name, Namespace, Version string
	// Ambient: the profile is an ambient one, or values.cni.ambient.enabled is set.
	Ambient   bool
	DaemonSet Rollout
	Deleting  bool
}

// ZTunnel is the ZTunnel.
type ZTunnel struct {
	Name, Namespace, Version string
	// TargetKind (Istio or IstioRevision) and TargetName are spec.targetRef. It decides which istiod ZTunnel
	// connects to, not its version (sail#1225).
	TargetKind, TargetName string
	// Revision is values.ztunnel.revision, for a ZTunnel without targetRef; empty means the default revision.
	Revision string
	// OnDelete: the update strategy of the DaemonSet is OnDelete.
	OnDelete bool
	// GraceSeconds is terminationGracePeriodSeconds; 0 where it is not set, which means 30.
	GraceSeconds int64
	DaemonSet    Rollout
	Deleting     bool
}

// Gateway is a Gateway of gateway.networking.k8s.io.
type Gateway struct {
	Namespace, Name string
	// Class is spec.gatewayClassName.
	Class string
	// Revision is the label istio.io/rev.
	Revision routing.Label
	// WaypointFor is the label istio.io/waypoint-for; empty where it is absent.
	WaypointFor string
	Listeners   []Listener
	// InboundBinding: the annotation ambient.istio.io/waypoint-inbound-binding is present, so that a Gateway of
	// another implementation can be a waypoint.
	InboundBinding bool
	// ProxyImage is the image that sidecar.istio.io/proxyImage, or the ConfigMap of
	// spec.infrastructure.parametersRef or of the class, pins. Empty where istiod chooses, which is its own version.
	ProxyImage string
	// Unmanaged: spec.addresses holds a Hostname, and istiod deploys nothing for it.
	Unmanaged bool
	Deleting  bool
}

// Listener is one listener of a Gateway.
type Listener struct {
	Protocol string
	Port     int32
	// From is allowedRoutes.namespaces.from: All, Same, Selector or None; empty means Same.
	From string
	// Selector is allowedRoutes.namespaces.selector where From is Selector. One without requirements admits all.
	Selector routing.Selector
}

// GatewayClass is a GatewayClass. The classes that Istio creates need not be listed.
type GatewayClass struct {
	Name, Controller string
	// WaypointFor is its label istio.io/waypoint-for, the default for its Gateways.
	WaypointFor string
}

// Namespace is a Namespace with all its labels: listeners may select by any of them.
type Namespace struct {
	Name     string
	Labels   map[string]string
	Deleting bool
}

// Consumer is a Service, ServiceEntry, WorkloadEntry or Pod with a label istio.io/use-waypoint. Each names its
// waypoint alone: its namespace's labels are not mixed in (istio ambient/waypoints.go, getUseWaypoint).
type Consumer struct {
	Kind                 Kind
	Namespace, Name      string
	UseWaypoint          routing.Label
	UseWaypointNamespace routing.Label
}

// Role is what the proxies of a workload are.
type Role string

// The roles. The pods of ZTunnel and IstioCNI are no workloads here.
const (
	Sidecar       Role = "Sidecar"
	GatewayProxy  Role = "Gateway"
	WaypointProxy Role = "Waypoint"
	// Ambient pods have no proxy of their own: ZTunnel takes their traffic because of their own label
	// istio.io/dataplane-mode=ambient. Those that are ambient through their namespace need not be listed.
	Ambient Role = "Ambient"
)

// Workload counts pods of one owner with one proxy version. A Deployment half restarted is two of them.
type Workload struct {
	Namespace string
	// Kind and Name are those of the owner that a user restarts: Deployment, StatefulSet, DaemonSet, Job, Pod.
	Kind, Name string
	Role       Role
	// Revision is the revision that injected or deployed the pods, from their annotation istio.io/rev.
	Revision string
	// Label is istio.io/rev on the pods as written, a revision or a tag; "default" for pods that opt in with
	// sidecar.istio.io/inject=true and name no revision; empty otherwise. It counts only where the namespace
	// has no injection label.
	Label string
	// Version of the proxy; empty where it is not known, as with images by digest.
	Version string
	Pods    int
}

// AmbientProfile reports whether a profile of the Sail Operator installs ambient mode.
func AmbientProfile(profile string) bool {
	return profile == "ambient" || profile == "openshift-ambient"
}

// Labels and annotations that the rules read besides those of package routing.
const (
	LabelDataplaneMode        = "istio.io/dataplane-mode"
	LabelUseWaypoint          = "istio.io/use-waypoint"
	LabelUseWaypointNamespace = "istio.io/use-waypoint-namespace"
	LabelWaypointFor          = "istio.io/waypoint-for"
	// AnnotationInboundBinding on a Gateway makes it a waypoint of another implementation.
	AnnotationInboundBinding = "ambient.istio.io/waypoint-inbound-binding"
	// AnnotationProxyImage on a Gateway or pod pins the proxy's image.
	AnnotationProxyImage = "sidecar.istio.io/proxyImage"
	// AnnotationOverride on the object that is written turns its denials into warnings. Its value is the reason,
	// and must not be empty.
	AnnotationOverride = "revision-router.io/override"
)

func (n Namespace) routing() routing.Namespace { return routing.NamespaceOf(n.Name, n.Labels) }

func (n Namespace) ambient() bool { return n.Labels[LabelDataplaneMode] == "ambient" }

// waypoint is what the namespace's own labels name, as a consumer.
func (n Namespace) waypoint() Consumer {
	return Consumer{
		Kind: KindNamespace, Namespace: n.Name, Name: n.Name,
		UseWaypoint:          routing.LabelOf(n.Labels, LabelUseWaypoint),
		UseWaypointNamespace: routing.LabelOf(n.Labels, LabelUseWaypointNamespace),
	}
}

// ImageVersion reads the version from an image reference such as registry/proxyv2:1.29.6-distroless. It is unknown
// for digests, and for references without a tag.
func ImageVersion(image string) Version {
	if i := strings.LastIndexByte(image, '@'); i >= 0 {
		// A tag beside a digest is not what runs.
		return Version{text: image[i+1:]}
	}
	colon, slash := strings.LastIndexByte(image, ':'), strings.LastIndexByte(image, '/')
	if colon <= slash {
		return Version{}
	}
	return Parse(image[colon+1:])
}

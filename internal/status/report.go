package status

import "github.com/revision-router/revision-router/routing"

// APIVersion and Kind name the form of the JSON. A field may be added at any time; one that changes its meaning or
// goes away gets another APIVersion.
const (
	APIVersion = "revision-router.io/v1alpha1"
	Kind       = "MeshStatus"
)

// Report is a mesh as it is. Its JSON is documented in docs/spec.md. Lists are never nil, and in a fixed order.
type Report struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	Mode       routing.Mode `json:"mode"`
	Summary    Summary      `json:"summary"`
	// Problems are what is wrong, the worst first.
	Problems      []Problem      `json:"problems"`
	ControlPlanes []ControlPlane `json:"controlPlanes"`
	Tags          []Tag          `json:"tags"`
	// Components are IstioCNI and ZTunnel.
	Components []Component `json:"components"`
	Gateways   []Gateway   `json:"gateways"`
	// Workloads counts those of each revision and version.
	Workloads []Count `json:"workloads"`
	// Restarts are the workloads whose pods would come out differently if they were created now.
	Restarts []Restart `json:"restarts"`
	// RestartCommands do those that can be done now, and touch nothing else.
	RestartCommands []string `json:"restartCommands"`
	// WithoutSidecar are those that ask for a sidecar and have none, Unresolvable those that ask for a revision that
	// nobody can find, with a sidecar or without.
	WithoutSidecar []Asking `json:"withoutSidecar"`
	Unresolvable   []Asking `json:"unresolvable"`
}

// Summary is the report in numbers.
type Summary struct {
	// Healthy: there is no Problem of severity Error.
	Healthy bool `json:"healthy"`
	// Upgrading: something is under way, a rollout or workloads that wait for their restart.
	Upgrading     bool `json:"upgrading"`
	Errors        int  `json:"errors"`
	Warnings      int  `json:"warnings"`
	ControlPlanes int  `json:"controlPlanes"`
	// Workloads and Pods are those of the data plane; Restarts counts the workloads that wait for theirs.
	Workloads int `json:"workloads"`
	Pods      int `json:"pods"`
	Restarts  int `json:"restarts"`
}

// Severity is how bad a problem is.
type Severity string

// The severities.
const (
	// Error: versions are further apart than the policy allows, a reference leads nowhere, a pod that asks for a
	// sidecar has none, or two injectors would call on one pod.
	Error Severity = "Error"
	// Warning: a risk, or something that cannot be judged.
	Warning Severity = "Warning"
)

// Problem is one thing that is wrong, with what to do about it.
type Problem struct {
	Severity Severity `json:"severity"`
	// Name is the rule of package skew, the reason of package routing, [NoSidecar], [NoControlPlane] or [InjectorOverlap].
	Name string `json:"name"`
	// Message says what is wrong in whole sentences; Advice introduces Next, the commands, and may stand alone.
	Message string   `json:"message"`
	Advice  string   `json:"advice"`
	Next    []string `json:"next"`
	Objects []string `json:"objects"`

	// namespaces are those that it is about; none means all of them.
	namespaces []string
}

// Names of problems that are neither rules nor reasons.
const (
	// NoSidecar: pods ask for a sidecar and have none.
	NoSidecar = "NoSidecar"
	// NoControlPlane: proxies run with a revision that is gone.
	NoControlPlane = "NoControlPlane"
	// InjectorOverlap: a webhook of Istio's injects pods that the router injects as well.
	InjectorOverlap = "InjectorOverlap"
)

// State is how far a control plane, IstioCNI or ZTunnel is.
type State string

// The states.
const (
	// Running: all its pods run what is declared.
	Running State = "Running"
	// RollingOut: some do, or a rollout is under way.
	RollingOut State = "RollingOut"
	// NotRunning: none of its pods serves.
	NotRunning State = "NotRunning"
	// Declared: nothing tells whether it runs, as in files without a status.
	Declared State = "Declared"
	// Pending: an Istio asks for it, and the operator has yet to create it.
	Pending State = "Pending"
	// Remote: it runs in another cluster.
	Remote State = "Remote"
	// Deleting: a deletion timestamp is set.
	Deleting State = "Deleting"
)

// Usage is why a control plane may not go.
type Usage string

// The usages.
const (
	// Active: it is the active revision of its Istio.
	Active Usage = "Active"
	// Used: something leads to it.
	Used Usage = "Used"
	// Unused: nothing does.
	Unused Usage = "Unused"
)

// ControlPlane is one revision.
type ControlPlane struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	// Istio owns the revision; empty for one of plain Istio, and for an IstioRevision without owner.
	Istio    string         `json:"istio"`
	Strategy string         `json:"strategy"`
	Origin   routing.Origin `json:"origin"`
	// Declared is what its object asks for, Running what its pods run.
	Declared string   `json:"declared"`
	Running  []string `json:"running"`
	Rollout  Rollout  `json:"rollout"`
	State    State    `json:"state"`
	Usage    Usage    `json:"usage"`
	// Unroutable is why the router can send no pods there; only where it injects.
	Unroutable routing.Unroutable `json:"unroutable"`
	// Workloads and Pods have its proxies.
	Workloads int `json:"workloads"`
	Pods      int `json:"pods"`
	// UsedBy is who leads to it.
	UsedBy UsedBy `json:"usedBy"`
}

// Rollout is how far the pods of a Deployment or DaemonSet are.
type Rollout struct {
	Pods    int `json:"pods"`
	Updated int `json:"updated"`
	Ready   int `json:"ready"`
}

// UsedBy names the users of a control plane other than pods.
type UsedBy struct {
	Namespaces []string `json:"namespaces"`
	Tags       []string `json:"tags"`
	Gateways   []string `json:"gateways"`
	ZTunnel    bool     `json:"ztunnel"`
	// ByDefault: every namespace without labels leads there.
	ByDefault bool `json:"byDefault"`
}

// TagState is what has become of a tag.
type TagState string

// The states of tags.
const (
	// Following: it leads to the revision that its target means.
	Following TagState = "Following"
	// Lagging: it leads to another one, until the operator, or in forward mode the target, is ready.
	Lagging TagState = "Lagging"
	// Dangling: it leads nowhere.
	Dangling TagState = "Dangling"
	// Shadowed: a revision of its name is older, so that the name leads there.
	Shadowed TagState = "Shadowed"
)

// Tag is one revision tag.
type Tag struct {
	Name   string         `json:"name"`
	Origin routing.Origin `json:"origin"`
	// Target is what its spec asks for, such as Istio/default, and Wants the revision that this means now.
	Target string `json:"target"`
	Wants  string `json:"wants"`
	// Revision is where it leads, Version that revision's.
	Revision string   `json:"revision"`
	Version  string   `json:"version"`
	State    TagState `json:"state"`
	// Followed is what led elsewhere than the target, Why says it in a sentence. Both are empty otherwise.
	Followed routing.Followed `json:"followed"`
	Why      string           `json:"why"`
	Share    Share            `json:"share"`
	// Namespaces lead through it.
	Namespaces []string `json:"namespaces"`
}

// Share is how many of a tag's workloads are where it sends them.
type Share struct {
	// Revision and Percent are what the tag's rollout asks for; empty where there is none.
	Revision string `json:"revision"`
	Percent  int    `json:"percent"`
	// Workloads ask for the tag; of these, Moved run the revision of the rollout, and Reached run where the tag sends
	// each of them.
	Workloads int `json:"workloads"`
	Moved     int `json:"moved"`
	Reached   int `json:"reached"`
}

// Component is IstioCNI or ZTunnel.
type Component struct {
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	Namespace string   `json:"namespace"`
	Declared  string   `json:"declared"`
	Running   []string `json:"running"`
	Rollout   Rollout  `json:"rollout"`
	State     State    `json:"state"`
	// Rules are those that it violates.
	Rules []string `json:"rules"`
}

// GatewayState is how far the proxies of a Gateway are.
type GatewayState string

// The states of Gateways.
const (
	// Current: its pods run the version of the revision that owns it.
	Current GatewayState = "Current"
	// Outdated: some pods run another version.
	Outdated GatewayState = "Outdated"
	// NoPods: there are none.
	NoPods GatewayState = "NoPods"
	// NoOwner: no revision deploys it.
	NoOwner GatewayState = "NoOwner"
	// Unjudged: a version is not known.
	Unjudged GatewayState = "Unjudged"
)

// Gateway is a Gateway, waypoints included, whose proxies a revision deploys.
type Gateway struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Class     string `json:"class"`
	Waypoint  bool   `json:"waypoint"`
	// Revision owns it, through Tag where one was followed; Version is the revision's.
	Revision string       `json:"revision"`
	Tag      string       `json:"tag"`
	Version  string       `json:"version"`
	Running  []string     `json:"running"`
	Pods     int          `json:"pods"`
	State    GatewayState `json:"state"`
	// Consumers counts the namespaces and objects that name it as their waypoint.
	Consumers int `json:"consumers"`
}

// Count is how many workloads run one version of one revision's proxy. A workload in the middle of a restart counts
// for each version that it runs.
type Count struct {
	Revision  string `json:"revision"`
	Version   string `json:"version"`
	Role      string `json:"role"`
	Workloads int    `json:"workloads"`
	Pods      int    `json:"pods"`
}

package routing

// Action is what a decision means for the pod.
type Action string

// The actions.
const (
	// Inject: the pod gets a sidecar from Decision.Revision.
	Inject Action = "Inject"
	// Skip: by Istio's rules the pod gets no sidecar, and asked for none that it could have.
	Skip Action = "Skip"
	// Unresolvable: the pod asks for a sidecar, and no revision of the mesh can be meant.
	Unresolvable Action = "Unresolvable"
)

// Reason is why a decision came out as it did. The set is closed: the same word is the metric label, the log
// field, the audit annotation, the column of the command line and part of the message to the user.
type Reason string

// Reasons of [Inject].
const (
	// NamespaceInjection: the namespace has istio-injection=enabled.
	NamespaceInjection Reason = "NamespaceInjection"
	// NamespaceRevision: the namespace has istio.io/rev. For a Gateway: the Gateway itself has none.
	NamespaceRevision Reason = "NamespaceRevision"
	// PodRevision: the pod has istio.io/rev and its namespace has no injection label.
	PodRevision Reason = "PodRevision"
	// PodInjection: the pod has sidecar.istio.io/inject=true and nothing names a revision.
	PodInjection Reason = "PodInjection"
	// NamespacesByDefault: nothing is labelled and the default revision has enableNamespacesByDefault.
	NamespacesByDefault Reason = "NamespacesByDefault"
	// GatewayRevision: the Gateway has istio.io/rev. Gateways only.
	GatewayRevision Reason = "GatewayRevision"
	// DefaultOwner: nothing is labelled, the default revision owns the Gateway. Gateways only.
	DefaultOwner Reason = "DefaultOwner"
)

// Reasons of [Skip].
const (
	// PodOptOut: the pod has the label sidecar.istio.io/inject=false.
	PodOptOut Reason = "PodOptOut"
	// NamespaceDisabled: the namespace has istio-injection with any value but "enabled".
	NamespaceDisabled Reason = "NamespaceDisabled"
	// NotSelected: no label of pod or namespace asks for a sidecar.
	NotSelected Reason = "NotSelected"
	// HostNetwork: istiod never injects a pod on the host's network.
	HostNetwork Reason = "HostNetwork"
	// IgnoredNamespace: istiod never injects in its four system namespaces.
	IgnoredNamespace Reason = "IgnoredNamespace"
	// AnnotationOptOut: the annotation sidecar.istio.io/inject=false, on a pod without the label.
	AnnotationOptOut Reason = "AnnotationOptOut"
	// NeverInjectSelector: a neverInjectSelector of the revision matches the pod.
	NeverInjectSelector Reason = "NeverInjectSelector"
	// AutoInjectDisabled: the revision injects only pods that ask explicitly (global.proxy.autoInject: disabled).
	AutoInjectDisabled Reason = "AutoInjectDisabled"
	// AutoInjectInvalid: global.proxy.autoInject is neither enabled nor disabled, and istiod injects nothing.
	AutoInjectInvalid Reason = "AutoInjectInvalid"
	// MirrorPod: the API object of a static pod; changing or refusing it would have no effect.
	MirrorPod Reason = "MirrorPod"
)

// Reasons of [Unresolvable].
const (
	// EmptyRevision: istio.io/rev is there and empty, which no webhook of Istio's matches.
	EmptyRevision Reason = "EmptyRevision"
	// UnknownRevision: no revision and no tag has the name that is asked for.
	UnknownRevision Reason = "UnknownRevision"
	// NoDefaultRevision: the default revision is asked for, and neither a revision nor a tag is named default.
	NoDefaultRevision Reason = "NoDefaultRevision"
	// DanglingTag: the tag that is asked for points at no revision that exists.
	DanglingTag Reason = "DanglingTag"
	// NotRoutable: the revision that is asked for takes no pods, and no earlier one of the tag does. Only in [Forward].
	NotRoutable Reason = "NotRoutable"
	// NoMesh: the cluster holds no revision of any kind.
	NoMesh Reason = "NoMesh"
)

// Reasons lists every reason with the action that it belongs to, for metrics that start at zero and for tests
// of completeness. The order is that of docs/spec.md.
func Reasons() []struct {
	Reason Reason
	Action Action
} {
	type row = struct {
		Reason Reason
		Action Action
	}
	return []row{
		{NamespaceInjection, Inject},
		{NamespaceRevision, Inject},
		{PodRevision, Inject},
		{PodInjection, Inject},
		{NamespacesByDefault, Inject},
		{GatewayRevision, Inject},
		{DefaultOwner, Inject},
		{PodOptOut, Skip},
		{NamespaceDisabled, Skip},
		{NotSelected, Skip},
		{HostNetwork, Skip},
		{IgnoredNamespace, Skip},
		{AnnotationOptOut, Skip},
		{NeverInjectSelector, Skip},
		{AutoInjectDisabled, Skip},
		{AutoInjectInvalid, Skip},
		{MirrorPod, Skip},
		{EmptyRevision, Unresolvable},
		{UnknownRevision, Unresolvable},
		{NoDefaultRevision, Unresolvable},
		{DanglingTag, Unresolvable},
		{NotRoutable, Unresolvable},
		{NoMesh, Unresolvable},
	}
}

// Warning names something that is probably not what the user meant, although the decision stands.
type Warning string

// The warnings.
const (
	// PodRevisionOverruled: the pod's istio.io/rev has no effect, because the namespace's labels decide.
	PodRevisionOverruled Warning = "PodRevisionOverruled"
	// PodOptInIgnored: the pod's sidecar.istio.io/inject=true has no effect in a namespace with injection off.
	PodOptInIgnored Warning = "PodOptInIgnored"
	// InjectionValue: istio-injection has a value other than enabled and disabled, and switches injection off.
	InjectionValue Warning = "InjectionValue"
	// BothNamespaceLabels: the namespace has istio-injection and istio.io/rev; the latter has no effect.
	BothNamespaceLabels Warning = "BothNamespaceLabels"
	// InjectLabelValue: the label sidecar.istio.io/inject is neither true nor false, and does not count.
	InjectLabelValue Warning = "InjectLabelValue"
	// InjectNotRedirected: istiod injects despite a label or annotation such as "False", but the CNI plugin reads it as
	// false and sends no traffic through the sidecar (cni/pkg/plugin, strconv.ParseBool).
	InjectNotRedirected Warning = "InjectNotRedirected"
	// AnnotationIgnored: the annotation sidecar.istio.io/inject contradicts the label of the same key, which wins.
	AnnotationIgnored Warning = "AnnotationIgnored"
	// AnnotationOptInIgnored: the annotation sidecar.istio.io/inject=true alone selects no pod.
	AnnotationOptInIgnored Warning = "AnnotationOptInIgnored"
	// LabelsTooLong: revision or version cannot be written as a label value, so the pod does not carry it.
	LabelsTooLong Warning = "LabelsTooLong"
)

// WarningSet is a set of warnings that needs no allocation.
type WarningSet uint16

// warningBits fixes each warning's bit and the order in which they are listed.
func warningBits() [9]Warning {
	return [...]Warning{
		PodRevisionOverruled, PodOptInIgnored, InjectionValue, BothNamespaceLabels, InjectLabelValue,
		InjectNotRedirected, AnnotationIgnored, AnnotationOptInIgnored, LabelsTooLong,
	}
}

// With returns the set with w added.
func (s WarningSet) With(w Warning) WarningSet {
	for i, known := range warningBits() {
		if known == w {
			return s | 1<<i
		}
	}
	return s
}

// Has reports whether w is in the set.
func (s WarningSet) Has(w Warning) bool { return s&WarningSet(0).With(w) != 0 }

// List returns the warnings in a fixed order, nil when there are none.
func (s WarningSet) List() []Warning {
	if s == 0 {
		return nil
	}
	var list []Warning
	for i, w := range warningBits() {
		if s&(1<<i) != 0 {
			list = append(list, w)
		}
	}
	return list
}

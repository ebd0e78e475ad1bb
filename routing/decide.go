package routing

// Input is all that a decision about one pod depends on.
type Input struct {
	Mesh      *Mesh
	Namespace Namespace
	Pod       Pod
}

// Pod holds the parts of a pod that Istio's injection looks at.
type Pod struct {
	// Inject is the label sidecar.istio.io/inject, Revision the label istio.io/rev.
	Inject, Revision Label
	// InjectAnnotation is the annotation sidecar.istio.io/inject.
	InjectAnnotation Label
	HostNetwork      bool
	// Mirror: the annotation kubernetes.io/config.mirror is present.
	Mirror bool
	// ImageAuto: a container's image is "auto", a placeholder that only injection replaces.
	ImageAuto bool
	// Labels are all labels of the pod. They are read only where Mesh.UsesPodLabels, and may be nil elsewhere.
	Labels []Pair
	// Workload is what owns the pod. It is read only where Mesh.UsesWorkloads, and may be empty elsewhere.
	Workload Workload
}

// Decision is what becomes of a pod, and why.
type Decision struct {
	Action Action
	Reason Reason
	// Rule is the selection rule that asked for a sidecar, one of the reasons of Inject. It equals Reason where
	// Action is Inject, tells who asked where it is Unresolvable, and is empty where nothing asked.
	Rule Reason
	// Wanted is the name that the rule asked for: a revision, a tag, or "default".
	Wanted string
	// Revision is the concrete revision. Set where Action is Inject.
	Revision string
	// Tag is the tag that was followed, or that leads nowhere.
	Tag string
	// Followed is what led to another revision than the tag's target. Only in [Forward].
	Followed Followed
	// Forward: the router itself has the pod injected, by the injector of Revision. Where it is false and Action is
	// Inject, a webhook of Istio's does it: always in [Guard], and in [Forward] for what plain Istio serves.
	Forward bool
	// Version of the revision as it is declared; empty when unknown.
	Version  string
	Warnings WarningSet
}

// Decide picks the revision for one pod. It never fails: input that makes no sense ends in a Decision whose
// Reason says so. It is deterministic, allocates nothing, and returns only revisions that the mesh holds.
//
// The order is that of Istio's webhook selectors (what asks for a sidecar, and by which name), then of istiod's
// injector (what it skips after a match), then the name. The injector's checks come before the name is looked
// up, apart from those that need the revision's own values: a pod that istiod would never inject must not be
// refused over a label that has no effect on it.
func Decide(in Input) Decision {
	if in.Pod.Inject.Is("false") {
		return Decision{Action: Skip, Reason: PodOptOut}
	}
	want := selectRevision(in)
	d := Decision{Rule: want.rule, Wanted: want.name, Warnings: warnings(in, want)}
	if want.skip != "" {
		d.Action, d.Reason = Skip, want.skip
		return d
	}
	if skip := skipBeforeName(in); skip != "" {
		return d.skipped(skip)
	}
	found, reason := lookUp(in.Mesh, want, in.Mesh.ResolveFor(want.name, in.Namespace.Name, in.Pod.Workload))
	if skip := found.skip(in.Pod); skip != "" {
		return d.skipped(skip)
	}
	if found.Tag != nil {
		d.Tag = found.Tag.Name
	}
	if found.Revision == nil {
		d.Action, d.Reason = Unresolvable, reason
		return d
	}
	d.Action, d.Reason = Inject, want.rule
	d.Revision, d.Version = found.Revision.Name, found.Revision.Version
	d.Followed = found.Followed
	d.Forward = in.Mesh.mode == Forward && found.forwarded()
	if !ValidLabelValue(d.Revision) || !ValidLabelValue(d.Version) {
		d.Warnings = d.Warnings.With(LabelsTooLong)
	}
	if misreadByCNI(in.Pod.inject()) {
		d.Warnings = d.Warnings.With(InjectNotRedirected)
	}
	return d
}

func (d Decision) skipped(reason Reason) Decision {
	d.Action, d.Reason = Skip, reason
	return d
}

// wish is what the labels ask for: either skip is set, or rule and name are.
type wish struct {
	rule Reason
	name string
	skip Reason
}

// selectRevision states the webhooks' selectors (istio-discovery templates/mutatingwebhook.yaml and
// revision-tags-mwc.yaml). A key that is present takes part even where its value is empty.
func selectRevision(in Input) wish {
	ns, pod := in.Namespace, in.Pod
	switch {
	case ns.Injection.Is("enabled"):
		return wish{rule: NamespaceInjection, name: DefaultRevision}
	case ns.Injection.Present:
		return wish{skip: NamespaceDisabled}
	case in.podFirst():
		return wish{rule: PodRevision, name: pod.Revision.Value}
	case ns.Revision.Present:
		return wish{rule: NamespaceRevision, name: ns.Revision.Value}
	case pod.Revision.Present:
		return wish{rule: PodRevision, name: pod.Revision.Value}
	case pod.Inject.Is("true"):
		return wish{rule: PodInjection, name: DefaultRevision}
	case in.Mesh.autoDefault && !pod.Inject.Present && !SystemNamespace(ns.Name):
		return wish{rule: NamespacesByDefault, name: DefaultRevision}
	}
	return wish{skip: NotSelected}
}

// podFirst reports whether the pod's istio.io/rev beats that of the namespace. No webhook of Istio's can do so, which
// is why it takes the router to inject.
func (in Input) podFirst() bool {
	return in.Namespace.PodFirst && in.Mesh.mode == Forward && in.Namespace.Revision.Present && in.Pod.Revision.named()
}

// skipBeforeName states the checks of istiod's injectRequired that need no values of the revision, in its order
// (pkg/kube/inject/inject.go), then mirror pods. Empty means that none applies.
func skipBeforeName(in Input) Reason {
	switch {
	case in.Pod.HostNetwork:
		return HostNetwork
	case SystemNamespace(in.Namespace.Name):
		return IgnoredNamespace
	case !in.Pod.Inject.Present && in.Pod.InjectAnnotation.Is("false"):
		// A label of any value, the empty one included, masks the annotation.
		return AnnotationOptOut
	case in.Pod.Mirror:
		return MirrorPod
	}
	return ""
}

// skipByValues states the rest of injectRequired: selectors count only where neither label nor annotation is
// explicit, and neverInjectSelector comes before alwaysInjectSelector and the policy.
func skipByValues(pod Pod, values *Injection) Reason {
	switch values.AutoInject {
	case "", "enabled", "disabled":
	default:
		return AutoInjectInvalid
	}
	switch {
	case pod.inject().Is("true"):
		return ""
	case matchesAny(values.NeverInject, pod.Labels):
		return NeverInjectSelector
	case matchesAny(values.AlwaysInject, pod.Labels):
		return ""
	case values.AutoInject == "disabled":
		return AutoInjectDisabled
	}
	return ""
}

// skip applies the values of the revision that was found, or that would have been but takes no pods.
func (r Resolution) skip(pod Pod) Reason {
	switch {
	case r.Revision != nil:
		return skipByValues(pod, &r.Revision.Injection)
	case r.Meant != nil:
		return skipByValues(pod, &r.Meant.Injection)
	}
	return ""
}

// forwarded reports whether the name is one of the Sail Operator's, down to the revision. A tag of istioctl's has a
// webhook of its own, even where it leads to a revision of Sail's.
func (r Resolution) forwarded() bool {
	return r.Revision.Origin == Sail && (r.Tag == nil || r.Tag.Origin == Sail)
}

// lookUp completes what the wish's name was found to mean. The reason is set where there is no revision.
func lookUp(m *Mesh, want wish, found Resolution) (Resolution, Reason) {
	if m.Empty() {
		return Resolution{}, NoMesh
	}
	if want.name == "" {
		return Resolution{}, EmptyRevision
	}
	if found.Reason == UnknownRevision && want.name == DefaultRevision {
		return found, NoDefaultRevision
	}
	return found, found.Reason
}

func warnings(in Input, want wish) WarningSet {
	ns, pod := in.Namespace, in.Pod
	var set WarningSet
	if ns.Injection.Present {
		if ns.Revision.Present {
			set = set.With(BothNamespaceLabels)
		}
		if !ns.Injection.Is("enabled") && !ns.Injection.Is("disabled") {
			set = set.With(InjectionValue)
		}
		if want.skip != "" && pod.Inject.Is("true") {
			set = set.With(PodOptInIgnored)
		}
	}
	if pod.Revision.named() && want.rule != PodRevision && pod.Revision.Value != want.name {
		set = set.With(PodRevisionOverruled)
	}
	if pod.Inject.Present && !pod.Inject.Is("true") {
		set = set.With(InjectLabelValue)
	}
	if a := pod.InjectAnnotation; a.Present {
		if pod.Inject.Present && a.Value != pod.Inject.Value {
			set = set.With(AnnotationIgnored)
		}
		if want.skip == NotSelected && a.Value == "true" {
			set = set.With(AnnotationOptInIgnored)
		}
	}
	return set
}

// inject is what the pod itself says about injection: by the label, which masks the annotation even where it is
// empty. istiod and the CNI plugin read the two in the same order.
func (p Pod) inject() Label {
	if p.Inject.Present {
		return p.Inject
	}
	return p.InjectAnnotation
}

// misreadByCNI reports a value that istiod takes for "use the default" and the CNI plugin for "false".
func misreadByCNI(inject Label) bool {
	if !inject.Present {
		return false
	}
	// The values that strconv.ParseBool takes for false, apart from "false" itself, which opts out.
	switch inject.Value {
	case "0", "f", "F", "False", "FALSE":
		return true
	}
	return false
}

// SystemNamespace reports whether istiod never injects in the namespace (inject.IgnoredNamespaces); it is also
// the list that the webhook for enableNamespacesByDefault leaves out.
func SystemNamespace(name string) bool {
	switch name {
	case "kube-system", "kube-public", "kube-node-lease", "local-path-storage":
		return true
	}
	return false
}

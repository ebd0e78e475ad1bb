package routing

// Level is what happens to a pod that no revision can be found for.
type Level string

// The levels.
const (
	// Deny refuses the pod. It is what an empty Level means: fail closed.
	Deny Level = "Deny"
	// Warn admits the pod without a sidecar and warns.
	Warn Level = "Warn"
)

// Policy says which decisions refuse a pod. The zero value denies everything that can be denied; use
// [DefaultPolicy] for what the router ships.
type Policy struct {
	// Unresolved applies to Unresolvable decisions other than NoMesh.
	Unresolved Level
	// NoMesh applies where the cluster holds no revision at all.
	NoMesh Level
}

// DefaultPolicy refuses what cannot be resolved, and only warns in a cluster without any revision, so that
// installing the router before Istio blocks nobody.
func DefaultPolicy() Policy { return Policy{Unresolved: Deny, NoMesh: Warn} }

// Verdict is what the policy makes of a decision.
type Verdict string

// The verdicts.
const (
	// Admitted: nothing stands against the pod.
	Admitted Verdict = "Admitted"
	// AdmittedUnresolved: the pod should have been refused, but the policy says Warn.
	AdmittedUnresolved Verdict = "AdmittedUnresolved"
	// Refused: the policy refuses what could not be resolved.
	Refused Verdict = "Refused"
	// RefusedImageAuto: a container's image is "auto" and nothing will replace it, so that the pod could only
	// end in ImagePullBackOff. No policy admits it.
	RefusedImageAuto Verdict = "RefusedImageAuto"
)

// Judge applies the policy to the decision about a pod.
func (p Policy) Judge(d Decision, pod Pod) Verdict {
	if d.Reason == MirrorPod {
		// The kubelet runs the static pod whatever becomes of its API object.
		return Admitted
	}
	if pod.ImageAuto && d.Action != Inject {
		return RefusedImageAuto
	}
	if d.Action != Unresolvable {
		return Admitted
	}
	level := p.Unresolved
	if d.Reason == NoMesh {
		level = p.NoMesh
	}
	if level == Warn {
		return AdmittedUnresolved
	}
	return Refused // fail closed: Deny, and whatever is not Warn
}

// Allowed reports whether the pod is admitted.
func (v Verdict) Allowed() bool { return v == Admitted || v == AdmittedUnresolved }

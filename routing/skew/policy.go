package skew

import (
	"fmt"
	"maps"
	"slices"
)

// VersionSource says which version of a control plane its data plane has to fit.
type VersionSource string

// The sources.
const (
	// Running: what really runs and what is declared both count, so that a component follows a control plane
	// only once the new version runs. It is what an empty VersionSource means.
	Running VersionSource = "Running"
	// Declared: only what the objects declare counts. For deployments that write everything at once and do not
	// retry, and for manifests without status.
	Declared VersionSource = "Declared"
)

// Policy adjusts the rules. The zero value is usable: every rule has its default level, and it is as strict as
// [DefaultPolicy] except that it knows no operator.
type Policy struct {
	// Levels holds the rules whose level differs from the default.
	Levels map[Rule]Level
	// CNIMaxAhead is how many minor versions IstioCNI may be ahead of a control plane where nothing is ambient
	// (policy file: cni.maxAhead): 0, or 1 for istio.io's rule for sidecars.
	CNIMaxAhead int
	// ControlPlaneVersion is Running or Declared.
	ControlPlaneVersion VersionSource
	// OperatorServiceAccounts are the user names of the operators that reconcile Istio. They are warned, never
	// denied: a denial would wedge the reconcile loop, and an alias moves without a write that could be
	// refused.
	OperatorServiceAccounts []string
	// DrainSeconds is the terminationGracePeriodSeconds from which ZTunnelDrain is silent; 0 means
	// [DefaultDrainSeconds].
	DrainSeconds int64
}

// DefaultDrainSeconds is the grace period that the update guide gives as an example of a high one (3.7.1).
const DefaultDrainSeconds = 300

// DefaultPolicy is what the router ships: every rule at its default level, IstioCNI never ahead, running versions
// count, and the service accounts under which the Sail Operator and OpenShift Service Mesh 3 are installed.
func DefaultPolicy() Policy {
	return Policy{
		ControlPlaneVersion: Running,
		DrainSeconds:        DefaultDrainSeconds,
		OperatorServiceAccounts: []string{
			"system:serviceaccount:sail-operator:sail-operator",
			"system:serviceaccount:openshift-operators:servicemesh-operator3",
		},
	}
}

// Validate reports what makes no sense in a policy. [Check] works with any policy, and takes what it does not
// understand for the strictest meaning.
func (p Policy) Validate() error {
	for _, rule := range slices.Sorted(maps.Keys(p.Levels)) {
		level := p.Levels[rule]
		if _, order := rule.info(); order < 0 {
			return fmt.Errorf("levels: there is no rule %q", rule)
		}
		if level != Deny && level != Warn && level != Off {
			return fmt.Errorf("levels: %s is %q, must be Deny, Warn or Off", rule, level)
		}
		if rule == UnknownVersion && level == Deny {
			return fmt.Errorf("levels: %s cannot be Deny: what cannot be read must not refuse a write", rule)
		}
	}
	if p.CNIMaxAhead < 0 || p.CNIMaxAhead > 1 {
		return fmt.Errorf("cni.maxAhead is %d, must be 0 or 1", p.CNIMaxAhead)
	}
	switch p.ControlPlaneVersion {
	case "", Running, Declared:
	default:
		return fmt.Errorf("controlPlaneVersion is %q, must be Running or Declared", p.ControlPlaneVersion)
	}
	if p.DrainSeconds < 0 {
		return fmt.Errorf("drain seconds are %d, must not be negative", p.DrainSeconds)
	}
	return nil
}

// Level returns what a violation of the rule does under this policy.
func (p Policy) Level(rule Rule) Level {
	info, _ := rule.info()
	level, ok := p.Levels[rule]
	switch {
	case !ok:
		level = info.Default
	case level != Warn && level != Off:
		level = Deny // fail closed: a level that is not understood denies
	}
	if rule == UnknownVersion && level == Deny {
		return Warn // fail open, always: an unreadable version is no reason to refuse
	}
	return level
}

// cniAhead is how far IstioCNI may be ahead. The ambient rule has no such room (istio.io ambient/upgrade/helm), and more
// than one minor is not supported by anybody.
func (p Policy) cniAhead(ambient bool) int {
	if ambient {
		return 0
	}
	return min(max(p.CNIMaxAhead, 0), 1)
}

func (p Policy) drainSeconds() int64 {
	if p.DrainSeconds <= 0 {
		return DefaultDrainSeconds
	}
	return p.DrainSeconds
}

// Excuses reports whether the user is warned only: an operator, or a controller of Kubernetes that finishes a
// deletion which was admitted before it: denying the garbage collector or the namespace controller would leave
// owned objects and terminating namespaces behind for ever. Where controllers have no service accounts of their own
// (kube-controller-manager without --use-service-account-credentials), all of them are one user.
func (p Policy) Excuses(user string) bool {
	switch user {
	case "system:serviceaccount:kube-system:generic-garbage-collector",
		"system:serviceaccount:kube-system:namespace-controller",
		"system:kube-controller-manager":
		return true
	}
	return slices.Contains(p.OperatorServiceAccounts, user)
}

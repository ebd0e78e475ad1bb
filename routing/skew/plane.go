package skew

import (
	"slices"
	"strings"
)

// plane is one control plane of Sail: an IstioRevision, or the one that an Istio asks for and that the operator
// has yet to create.
type plane struct {
	name string
	// istio is the Istio that owns it; empty for an IstioRevision that a user made.
	istio     string
	namespace string
	// pending: there is no IstioRevision yet.
	pending bool
	remote  bool
	// active: it is, or is about to become, the active revision of an Istio.
	active bool
	claims []claim
	users  users
}

// claim is one version that a control plane may have at some moment between a write and the end of its rollout.
type claim struct {
	source  source
	version Version
	// superseded: an Istio that the operator has yet to reconcile asks for another version.
	superseded bool
}

// source is where a claim comes from.
type source string

const (
	// byIstio is spec.version of an Istio that has the plane updated in place, or is about to.
	byIstio source = "Istio"
	// byRevision is spec.version of the IstioRevision: never an alias.
	byRevision source = "IstioRevision"
	// byPods is what its istiod runs.
	byPods source = "pods"
	// assumedPods is the minor before, which the pods that an unfinished rollout has not replaced may run.
	assumedPods source = "assumed pods"
	// noPods is the minor before, in place of what does not run yet: nothing can follow it.
	noPods source = "no pods"
)

// declared reports whether the claim is what an object asks for.
func (c claim) declared() bool { return c.source == byIstio || c.source == byRevision }

// live: the data plane has to fit it. It exists and is an Istio's active one, or something uses it; the condition
// InUse alone is not enough (see users).
func (p *plane) live() bool { return p.active || p.users.any() }

// claimed returns the version of one source.
func (p *plane) claimed(s source) (Version, bool) {
	for _, c := range p.claims {
		if c.source == s {
			return c.version, true
		}
	}
	return Version{}, false
}

// version is what the plane declares, for messages and for what it is about to become.
func (p *plane) version() Version {
	if v, ok := p.claimed(byIstio); ok && v.Known() {
		return v
	}
	v, _ := p.claimed(byRevision)
	return v
}

// lowest is the lowest known version among the claims that keep, and whether there is one.
func (p *plane) lowest(keep func(claim) bool) (low Version, ok bool) {
	for _, c := range p.claims {
		if keep(c) && c.version.Known() && (!ok || c.version.MinorsAhead(low) < 0) {
			low, ok = c.version, true
		}
	}
	return low, ok
}

// deployment is the name of its istiod (chart istio-discovery: the revision "default" has no suffix).
func (p *plane) deployment() string {
	if p.name == "default" {
		return "istiod"
	}
	return "istiod-" + p.name
}

// ref names the plane for a finding.
func (p *plane) ref() Ref {
	return Ref{Kind: KindRevision, Name: p.name, Version: p.version().String()}
}

// String is how messages write it, such as "revision default-v1-29-6 (v1.29.6)".
func (p *plane) String() string {
	return "revision " + p.name + " (" + show(p.version()) + ")"
}

// target is the revision that the Istio's spec asks for (Sail Operator, getActiveRevisionName). The name is made
// of the version as it is written, an alias included; nothing is ever read from it.
func (o Istio) target() string {
	if o.strategy() == RevisionBased {
		return o.Name + "-" + strings.ReplaceAll(o.Version, ".", "-")
	}
	return o.Name
}

// claims of a rollout: what its pods run. None where it was not found.
func (r Rollout) claims() []claim {
	if !r.Found {
		return nil
	}
	var list []claim
	for _, text := range r.PodVersions {
		list = appendClaim(list, claim{source: byPods, version: Parse(text)})
	}
	if len(list) > 0 {
		return list
	}
	v := Parse(r.Version)
	list = []claim{{source: byPods, version: v}}
	// The old pods have gone once every pod is of the newest template; how many of them are ready does not
	// matter for the version: a scale-up makes the condition Ready False.
	if done := r.Observed && r.Updated >= r.Pods; !done && v.Known() {
		list = append(list, claim{source: assumedPods, version: v.next(-1)})
	}
	return list
}

func appendClaim(list []claim, c claim) []claim {
	if slices.Contains(list, c) {
		return list
	}
	return append(list, c)
}

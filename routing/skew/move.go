package skew

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// bring lists what brings a control plane and all that uses it to a version: in place, or where the Istio is RevisionBased as a
// new revision. That gets no alias, which would name a revision that is later updated in place.
func (v *view) bring(p *plane, version Version) []string {
	o, ok := v.revisionBased(p)
	if !ok {
		return []string{p.raise(version), p.wait()}
	}
	o.Version = version.String()
	if version.Alias() {
		o.Version = version.Minor() + ".<patch>"
	}
	next := plane{name: o.target(), istio: o.Name, namespace: p.namespace, pending: true}
	return slices.Concat([]string{patchVersion(KindIstio, o.Name, o.Version), next.wait()}, v.moves(p, &next))
}

// towards is the version to raise a control plane to on the way to another one: neither it nor what stands beside it may skip a
// minor.
func (p *plane) towards(version Version) Version {
	if version.MinorsAhead(p.version()) > 1 {
		return p.version().next(1).alias()
	}
	return version
}

// andMove is what follows "Raise the control plane" before the commands of bring.
func (v *view) andMove(p *plane) string {
	if _, ok := v.revisionBased(p); ok {
		return ", as a new revision, and move to it what uses the old one"
	}
	return " and wait for it"
}

// revisionBased is the Istio of a control plane, ok where another version of it is another revision.
func (v *view) revisionBased(p *plane) (o Istio, ok bool) {
	o, ok = v.mesh.find(Ref{Kind: KindIstio, Name: p.istio}).(Istio)
	return o, ok && o.strategy() == RevisionBased
}

// leave lists what moves the users of a control plane to another one.
func (v *view) leave(p *plane, to string) []string {
	if next := v.plane(to); next != nil {
		return v.moves(p, next)
	}
	return v.moves(p, &plane{name: to}) // for the user to choose
}

// moves lists what moves the users of a control plane to another one: first what decides where new pods go, then the
// restarts, each once there is an istiod for the new pods. What follows the Istio of the other one moves by itself.
func (v *view) moves(p, next *plane) []string {
	commands, workloads := v.redirects(p, next), p.users.sorted().workloads
	var waits []string
	if len(commands) > 0 && v.rollsOut(next) {
		waits = append(waits, next.wait())
	}
	for _, w := range workloads {
		if other := v.restartsInto(w, p); other != nil && v.rollsOut(other) {
			waits = append(waits, other.wait())
		}
	}
	return unique(slices.Concat(waits, commands, restart(workloads)))
}

// redirects lists what makes new pods of the users of a control plane go to another one.
func (v *view) redirects(p, next *plane) []string {
	u, to := p.users.sorted(), next.name
	target := Ref{Kind: KindRevision, Name: to}
	var commands []string
	for _, t := range v.pointing(p, next) {
		commands = append(commands, point(Ref{Kind: KindTag, Name: t}, target))
	}
	for _, t := range v.mesh.Tags {
		if !t.Deleting && p.shares(t) {
			commands = append(commands, on("annotate", Ref{Kind: KindTag, Name: t.Name})+" "+routing.AnnotationRollout+"-")
		}
	}
	for _, name := range u.namespaces {
		ns, _ := v.routing.Namespace(name)
		switch {
		case ns.Injection.Present && !slices.Contains(u.tags, "default"):
			commands = append(commands, "kubectl label namespace "+name+" istio-injection- istio.io/rev="+to+" --overwrite")
		case !ns.Injection.Present && !slices.Contains(u.tags, ns.Revision.Value):
			commands = append(commands, "kubectl label namespace "+name+" istio.io/rev="+to+" --overwrite")
		}
	}
	for _, g := range v.mesh.Gateways {
		if slices.Contains(u.gateways, g.Ref()) && g.Revision.Value == p.name {
			commands = append(commands, "kubectl label gateway "+g.Name+" -n "+g.Namespace+" istio.io/rev="+to+" --overwrite")
		}
	}
	if u.ztunnel && v.created != KindZTunnel && !next.brings(v.mesh.ZTunnel.TargetKind, v.mesh.ZTunnel.TargetName) {
		commands = append(commands, point(Ref{Kind: KindZTunnel, Name: "default"}, target))
	}
	return commands
}

// brings reports whether a targetRef leads to the control plane as soon as its Istio asks for it.
func (p *plane) brings(kind, name string) bool {
	return p.pending && kind == string(KindIstio) && name == p.istio
}

// restartsInto is the control plane, other than its own, that new pods of a workload get a sidecar from; nil if there is none.
func (v *view) restartsInto(w Workload, own *plane) *plane {
	name := w.Label
	if i := slices.IndexFunc(v.mesh.Namespaces, func(n Namespace) bool { return n.Name == w.Namespace }); i >= 0 {
		if ns := v.mesh.Namespaces[i].routing(); ns.Injection.Present || ns.Revision.Present {
			name = v.mesh.Namespaces[i].wants()
		}
	}
	for _, target := range v.targets(name) {
		if other := v.plane(target); other != nil && other != own {
			return other
		}
	}
	return nil
}

// pointing are the tags whose spec leads to the control plane, and will not lead to the other one once its Istio asks for
// that; a tag that has only to catch up needs no step.
func (v *view) pointing(p, next *plane) []string {
	var names []string
	for _, t := range v.mesh.Tags {
		if next.brings(t.TargetKind, t.TargetName) {
			continue
		}
		follows := t.TargetName == "" || slices.Contains(v.refTargets(t.TargetKind, t.TargetName), p.name)
		if follows && slices.Contains(p.users.tags, t.Name) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return names
}

package skew

import (
	"slices"
	"strconv"

	"github.com/revision-router/revision-router/routing"
)

// inUse finds the deletion of something that is still used.
//
// Source: Sail Operator, pkg/revision/references.go and prune.go (nothing blocks a deletion, and InUse is wrong in
// both directions, sail#2100), istio#35590 (webhooks that outlive their revision). What was admitted is not judged
// again: the deletion of a revision whose Istio is gone or going is the garbage collector's work.
func inUse(k *check) []violation {
	if k.change.Operation != Delete {
		return nil
	}
	switch o := k.change.Old.(type) {
	case Istio:
		return k.istioInUse(o)
	case Revision:
		owner, ok := k.before.mesh.find(Ref{Kind: KindIstio, Name: o.Istio}).(Istio)
		p := k.before.plane(o.Name)
		if p == nil || o.Istio != "" && (!ok || owner.Deleting) {
			return nil
		}
		return k.usedBy(p.users, k.before.letGo(p, p.itself))
	case Tag:
		if found := k.before.routing.Resolve(o.Name); found.Tag == nil || k.before.wanted[o.Name] == nil {
			return nil
		}
		return k.tagInUse(o)
	case CNI, ZTunnel:
		return k.singletonInUse()
	}
	return nil
}

// istioInUse judges the deletion of an Istio: its revisions go with it.
func (k *check) istioInUse(o Istio) []violation {
	var all users
	var steps []string
	own := func(p *plane) bool { return p.istio == o.Name }
	for _, p := range k.before.planes {
		if p.istio != o.Name {
			continue
		}
		all.tags = append(all.tags, p.users.tags...)
		all.add(&p.users, "")
		all.ztunnel = all.ztunnel || p.users.ztunnel
		steps = append(steps, k.before.letGo(p, own)...)
	}
	for _, t := range k.before.mesh.Tags {
		if t.TargetKind == string(KindIstio) && t.TargetName == o.Name && !t.Deleting {
			all.tags = append(all.tags, t.Name)
			steps = append(steps, "kubectl delete istiorevisiontag "+t.Name)
		}
	}
	all.tags = unique(all.tags)
	return k.usedBy(all, unique(steps))
}

// tagInUse judges the deletion of a tag by who asks for its name.
func (k *check) tagInUse(t Tag) []violation {
	u := k.before.wanted[t.Name].sorted()
	to := k.before.newest(func(*plane) bool { return false })
	if targets := k.before.targets(t.Name); len(targets) > 0 {
		to = targets[len(targets)-1] // what its spec asks for comes last
	}
	if to == noRevision {
		return k.usedBy(u, k.before.forget(u))
	}
	var steps []string
	for _, n := range u.namespaces {
		steps = append(steps, "kubectl label namespace "+n+" istio-injection- istio.io/rev="+to+" --overwrite")
	}
	for _, g := range u.gateways {
		steps = append(steps, "kubectl label gateway "+g.Name+in(g.Namespace)+" istio.io/rev="+to+" --overwrite")
	}
	for _, w := range u.workloads {
		steps = append(steps, w.template(routing.LabelRevision, strconv.Quote(to)))
	}
	return k.usedBy(u, steps)
}

// usedBy is the finding where there are users. That every unlabelled namespace may use a revision is no reason: only
// its pods are.
func (k *check) usedBy(u users, steps []string) []violation {
	u.byDefault = false
	if !u.any() {
		return nil
	}
	return []violation{{
		rule: InUseDelete, what: k.change.Old.Ref().String() + " is still used by " + some(u.list()) + ".",
		todo: "Move or remove them first", steps: steps,
		objects: append([]Ref{k.change.Old.Ref()}, u.refs()...),
	}}
}

// singletonInUse judges the deletion of IstioCNI and ZTunnel. Every live revision may have pods whose traffic only
// the CNI redirects; ZTunnel is needed by what is ambient. That a revision has an ambient profile is no need:
// the revision could not be deleted before a ZTunnel that refers to it, and neither could go first.
func (k *check) singletonInUse() []violation {
	var names, steps []string
	objects := []Ref{k.change.Old.Ref()}
	for _, n := range k.before.mesh.Namespaces {
		if n.ambient() && !n.Deleting {
			names = append(names, "ambient namespace "+n.Name)
			objects = append(objects, n.Ref())
			steps = append(steps, on("label", n.Ref())+" "+LabelDataplaneMode+"-")
		}
	}
	for _, w := range k.before.mesh.Workloads {
		if w.Role == Ambient {
			names = append(names, "ambient "+w.String())
			objects = append(objects, w.ref())
			steps = append(steps, w.template(LabelDataplaneMode, "null"))
		}
	}
	slices.Sort(steps)
	if k.change.is(KindCNI) {
		for _, p := range k.before.live() {
			names = append(names, p.String()+p.because())
			objects = append(objects, p.ref())
			steps = append(steps, k.before.end(p)...)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return []violation{{
		rule: InUseDelete, what: k.change.Old.Ref().String() + " is still needed by " + some(names) + ".",
		todo: "Take them out of the mesh first", steps: unique(steps), objects: objects,
	}}
}

// letGo lists what frees a control plane: the moves to another one, or where there is none, out of the mesh.
func (v *view) letGo(p *plane, leaving func(*plane) bool) []string {
	if to := v.newest(leaving); to != noRevision {
		return v.leave(p, to)
	}
	return v.forget(p.users.sorted())
}

// forget lists what takes users out of the mesh.
func (v *view) forget(u users) []string {
	var commands []string
	for _, t := range u.tags {
		commands = append(commands, "kubectl delete istiorevisiontag "+t)
	}
	for _, n := range u.namespaces {
		commands = append(commands, "kubectl label namespace "+n+" "+routing.LabelInjection+"- "+routing.LabelRevision+"-")
	}
	for _, ref := range u.gateways {
		if g, ok := v.mesh.find(ref).(Gateway); ok {
			var consumers []Ref
			for _, c := range v.consumersOf(g) {
				consumers = append(consumers, c.Ref())
			}
			commands = append(commands, unlabel(consumers)...)
		}
		commands = append(commands, on("delete", ref))
	}
	if u.ztunnel {
		commands = append(commands, "kubectl delete ztunnel default")
	}
	return append(commands, restart(u.workloads)...)
}

// end lists what ends a control plane: its users leave the mesh, then its Istio goes.
func (v *view) end(p *plane) []string {
	steps := v.letGo(p, func(*plane) bool { return true })
	if p.active {
		steps = append(steps, on("delete", Ref{Kind: KindIstio, Name: p.istio}))
	}
	return steps
}

func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

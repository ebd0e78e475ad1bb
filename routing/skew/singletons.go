package skew

import "slices"

// singletons finds an IstioCNI or ZTunnel that does not fit every live control plane.
//
// Source: update guide 3.3 and 4.1 ("compatible with a control plane running the same minor version or one minor
// version higher"), istio.io ambient/upgrade/helm. Both are singletons: one version has to fit all
// live revisions, so with {n, n+1} they stay at n until revision n is unused. For sidecars only, cni.maxAhead: 1
// gives IstioCNI istio.io's room (setup/additional-setup/cni). They follow a control plane once it runs.
//
// A control plane that is lowered in place under them is DataPlaneAhead: the object to look at is the Istio.
func singletons(k *check) []violation {
	var found []violation
	for _, kind := range []Kind{KindCNI, KindZTunnel} {
		rule := CNISkew
		if kind == KindZTunnel {
			rule = ZTunnelSkew
		}
		squeezed := k.squeezes(kind) && severity(k.policy.Level(SingletonSqueeze)) >= severity(k.policy.Level(rule))
		for _, p := range k.after.planes {
			group := slices.DeleteFunc(slices.Clone(k.worsened), func(b breach) bool {
				return b.plane != p || b.component.ref.Kind != kind
			})
			if len(group) == 0 {
				continue
			}
			v := k.singleton(group)
			v.rule = rule
			if k.lowers(p) {
				v.rule = DataPlaneAhead
			} else if squeezed {
				continue // said once, with the version to go through
			}
			found = append(found, v)
		}
	}
	return found
}

func severity(l Level) int {
	return slices.Index([]Level{Off, Warn, Deny}, l)
}

// lowers reports whether the change lowers what a control plane declares.
func (k *check) lowers(p *plane) bool {
	old := k.before.plane(p.name)
	return old != nil && (k.change.is(KindIstio) || k.change.is(KindRevision)) &&
		p.version().Known() && old.version().Known() && p.version().MinorsAhead(old.version()) < 0
}

// singleton is the finding about a singleton and one control plane, from their violating pairs, the worst first.
func (k *check) singleton(group []breach) violation {
	b := group[0]
	if i := slices.IndexFunc(group, func(b breach) bool { return b.component.source == bySpec }); i >= 0 {
		b = group[i] // what it declares has to change first; only then is there a rollout to wait for
	}
	v := violation{objects: []Ref{k.change.object().Ref(), b.plane.ref()}}
	switch {
	case k.change.is(b.component.ref.Kind):
		k.follows(&v, group)
	case k.change.is(KindIstio) || k.change.is(KindRevision):
		v.objects = append(v.objects, b.component.ref)
		k.leavesBehind(&v, b)
	default:
		v.objects = append(v.objects, b.component.ref)
		what := " would bring " + b.plane.String() + " into use"
		if old := k.before.plane(b.plane.name); old != nil && old.live() {
			what = " would make the mesh ambient"
		}
		k.leavesBehind(&v, b)
		of := b.plane.String()
		between := k.between(b)
		switch {
		case !b.declared(group):
			of = b.plane.still(b.claim)
			v.todo, v.steps = "First wait for the control plane", []string{b.plane.wait()}
		case between != nil:
			k.uses(&v, between)
		}
		v.what = k.change.object().Ref().String() + what + ", and " + b.component.String() + " would be " + b.where(of) + "."
	}
	return v
}

// declared reports whether one of the group violates in the same direction against what a control plane is asked to be: else
// it is enough to wait.
func (b breach) declared(group []breach) bool {
	return slices.ContainsFunc(group, func(other breach) bool {
		return other.ahead == b.ahead && other.claim.declared() && !other.claim.superseded
	})
}

// still names a control plane by what it is not done with.
func (p *plane) still(c claim) string {
	return "revision " + p.name + ", which declares " + show(p.version()) + " but " + p.stillRuns(c)
}

// between is a control plane to use in place of one that a singleton is ahead of and cannot be lowered to, because another
// one is in use two minors above; nil where it can, or there is none.
func (k *check) between(b breach) *plane {
	if !b.ahead || b.component.source != bySpec || !k.before.above(b.plane.version()) {
		return nil
	}
	for _, p := range k.before.live() {
		if lead := p.version().MinorsAhead(b.component.version); p.name != b.plane.name && (lead == 0 || lead == 1) {
			return p
		}
	}
	return nil
}

// above reports whether a control plane is in use that nothing of this version fits.
func (v *view) above(version Version) bool {
	return slices.ContainsFunc(v.live(), func(p *plane) bool { return p.version().MinorsAhead(version) > 1 })
}

// follows words a change of the singleton itself.
func (k *check) follows(v *violation, group []breach) {
	b := group[0]
	p, x := b.plane, b.component.version
	subject := k.subject()
	switch {
	case !b.ahead && !b.declared(group):
		v.what = subject + " would be " + b.where(p.still(b.claim)+",") + "."
		v.todo, v.steps = "First wait for the control plane", []string{p.wait()}
	case !b.ahead:
		of := p.String() + p.because()
		if p.because() != "" {
			of += ","
		}
		v.what = subject + " would be " + b.where(of) + "."
		v.todo = "Choose a version from " + p.version().next(-1).Minor() + " to " + p.version().Minor()
		v.steps, v.instead = []string{k.patches(specVersion(k.after.fitting().String()))}, true
	case !b.declared(group):
		v.what = subject + " would run ahead of " + p.still(b.claim) + "."
		v.todo, v.steps = "First wait for the control plane", []string{p.wait()}
	default:
		v.what = subject + " would run ahead of " + p.String() + p.because() + "."
		if k.change.Operation == Update && k.change.Old.Ref().Version == k.change.New.Ref().Version {
			v.todo = "Lower " + b.component.ref.String() + " first" + k.after.andWait(b.component.ref.Kind)
			v.steps = k.after.bringSingleton(b.component.ref, p.version().String())
			return
		}
		to := k.after.newest(p.itself)
		v.todo, v.steps = "Move them first", k.after.leave(p, to)
		if p.active || to == noRevision || len(v.steps) == 0 {
			v.todo, v.steps = "Raise the control plane first"+k.after.andMove(p), k.after.bring(p, p.towards(x))
		}
	}
}

// stillRuns is what a control plane runs instead of what it declares.
func (p *plane) stillRuns(c claim) string {
	switch c.source {
	case noPods:
		return "does not run yet"
	case assumedPods:
		return "has not replaced all its pods yet"
	default:
		return "still runs " + show(c.version)
	}
}

// leavesBehind words a change of a control plane that a singleton does not fit.
func (k *check) leavesBehind(v *violation, b breach) {
	c, p := b.component, b.plane
	v.what = k.subject() + " would leave " + c.String() + " " + b.where(p.String()) + "."
	if c.source != bySpec {
		v.what = k.subject() + " would leave pods of " + c.ref.String() + " that run " + show(c.version) + " " +
			b.where(p.String()) + "."
		v.todo, v.steps = k.after.daemonSetFirst(c.ref.Kind), []string{k.after.waitForDaemonSet(c.ref.Kind)}
		return
	}
	name := "Raise"
	to := p.version().next(-1).alias()
	if b.ahead {
		name, to = "Lower", p.version()
		if c.maxAhead > 0 && k.before.above(to) {
			to = to.next(c.maxAhead).alias()
		}
	}
	v.todo = name + " " + c.ref.String() + " first" + k.after.andWait(c.ref.Kind)
	v.steps = k.after.bringSingleton(c.ref, to.String())
	if old := k.before.plane(p.name); b.ahead && old != nil && old.version().MinorsAhead(to) > 1 {
		// The singleton may not be so far below what is declared now.
		through := to.next(1)
		v.todo = "Go through " + through.Minor() + " first, and lower " + c.ref.String()
		v.steps = slices.Concat([]string{p.raise(through.alias()), p.wait()}, v.steps)
	}
}

// where says on which side of the control plane the component is.
func (b breach) where(plane string) string {
	if b.ahead {
		return "ahead of " + plane
	}
	return "behind " + plane + " by more than one minor version"
}

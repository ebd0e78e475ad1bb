package skew

// inPlaceStep finds a control plane that is raised in place by more than one minor version.
//
// Source: update guide 2.2 and 2.2.3 ("you can increment the version by only one minor release at a time"). Measured
// from what its istiod runs, or from what was declared where that is not known: declared versions that were never
// rolled out are no steps. Two revisions of a RevisionBased Istio are never compared (update guide 2.3: "upgrades
// across more than one minor version"), because each is a control plane of its own. Going down is judged by what
// would be ahead then.
func inPlaceStep(k *check) []violation {
	if k.change.Operation == Delete || !k.change.is(KindIstio) && !k.change.is(KindRevision) {
		return nil
	}
	var found []violation
	for _, p := range k.after.planes {
		old := k.before.plane(p.name)
		if old == nil {
			continue
		}
		to, from, ok := k.step(old, p)
		if !ok {
			continue
		}
		base, running := old.lowest(func(c claim) bool { return c.source == byPods || c.source == assumedPods })
		if !running {
			base = from
		}
		step := to.MinorsAhead(base)
		if step <= 1 || step <= from.MinorsAhead(base) {
			continue
		}
		found = append(found, k.tooFar(p, base, to))
	}
	return found
}

// step is the version that the change gives a control plane, and the one it had declared until then. ok is false
// where it gives it none, or where one of them is unknown.
func (k *check) step(old, p *plane) (to, from Version, ok bool) {
	changed := byRevision
	if k.change.is(KindIstio) {
		changed = byIstio
	}
	to, ok = p.claimed(changed)
	if !ok || !to.Known() {
		return to, from, false
	}
	if name := k.targetName(); name != p.name {
		return to, from, false
	}
	if from, ok = old.claimed(changed); !ok {
		from = old.version()
	}
	return to, from, from.Known()
}

// targetName is the revision whose version the change sets; empty where it sets none.
func (k *check) targetName() string {
	switch o := k.change.New.(type) {
	case Istio:
		return o.target()
	case Revision:
		return o.Name
	}
	return ""
}

func (k *check) tooFar(p *plane, base, to Version) violation {
	through := base.next(1)
	v := violation{
		rule: InPlaceStep,
		what: k.subject() + " would raise revision " + p.name + " in place from " + show(base) + " to " + show(to) +
			", by more than one minor version.",
		objects: []Ref{k.change.object().Ref(), k.before.plane(p.name).ref()},
	}
	was := k.before.plane(p.name)
	restarts := restart(was.users.sorted().workloads)
	if declared := was.version(); declared.MinorsAhead(base) > 0 {
		v.what = k.subject() + " would raise revision " + p.name + " in place to " + show(to) + " while it still runs " +
			show(base) + ", more than one minor version below."
		v.todo, v.steps = "First wait for "+show(declared)+" to run, and restart the workloads", append([]string{was.wait()}, restarts...)
		return v
	}
	v.todo = "Go through " + through.Minor() + " first"
	v.steps = append([]string{p.raise(through.alias()), p.wait()}, restarts...)
	return v
}

// alias is the version vX.Y-latest of the minor: it names a version that the operator knows, whichever patch that is.
func (v Version) alias() Version {
	v.patch, v.suffix = noPatch, "-latest"
	return v
}

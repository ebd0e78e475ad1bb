package skew

import (
	"cmp"
	"maps"
	"slices"
)

// versions finds the pairs that do not fit, one violation for each component kind, control plane and direction.
func (e *examiner) versions() {
	all := slices.SortedFunc(maps.Values(e.view.breaches(e.policy, "")), compareBreaches)
	for _, p := range e.view.planes {
		for _, ahead := range []bool{true, false} {
			for _, kind := range []Kind{KindCNI, KindZTunnel, ""} {
				group := slices.DeleteFunc(slices.Clone(all), func(b breach) bool {
					return b.plane != p || b.ahead != ahead || b.component.singleKind() != kind
				})
				switch {
				case len(group) == 0:
				case kind == "":
					e.add(e.proxies(p, ahead, group))
				default:
					e.add(e.singleton(p, group))
				}
			}
		}
	}
	for _, kind := range []Kind{KindCNI, KindZTunnel} {
		e.squeeze(kind)
	}
	e.pair()
}

// singleKind is IstioCNI or ZTunnel, and empty for a proxy.
func (c component) singleKind() Kind {
	if c.singleton() {
		return c.ref.Kind
	}
	return ""
}

// compareBreaches puts what an object declares before what its pods run: that has to change first.
func compareBreaches(a, b breach) int {
	return cmp.Or(
		cmp.Compare(a.plane.name, b.plane.name),
		compareRefs(a.component.ref, b.component.ref),
		-cmp.Compare(rank(a.component.source), rank(b.component.source)),
		-cmp.Compare(a.distance, b.distance),
		cmp.Compare(a.claim.source, b.claim.source),
		a.claim.version.Compare(b.claim.version),
		a.component.version.Compare(b.component.version),
	)
}

func rank(s source) int {
	if s == bySpec || s == byImage {
		return 1
	}
	return 0
}

// proxies is the finding about the data plane of one control plane.
func (e *examiner) proxies(p *plane, ahead bool, group []breach) violation {
	v := violation{rule: DataPlaneBehind, objects: []Ref{p.ref()}}
	if ahead {
		v.rule = DataPlaneAhead
	}
	var names, pinned []string
	var workloads []Workload
	for _, b := range group {
		if name := b.component.String(); !slices.Contains(names, name) {
			names = append(names, name)
			v.objects = append(v.objects, b.component.ref)
		}
		if w := b.component.workload; w != nil {
			if !slices.Contains(workloads, *w) {
				workloads = append(workloads, *w)
			}
		} else {
			pinned = append(pinned, unpin(b.component.ref))
		}
	}
	v.what = some(names) + is(len(names)) + group[0].where("revision "+p.name+" ("+show(group[0].claim.version)+")") + "."
	v.todo, v.steps = "Restart them", slices.Concat(unique(pinned), restart(workloads))
	switch {
	case len(workloads) == 0:
		v.todo = "Remove the pinned image, so that istiod deploys its own version"
	case ahead && p.version().MinorsAhead(group[0].component.version) >= 0:
		v.todo, v.steps = "Wait for the control plane", append(unique(pinned), p.wait())
	case e.view.rollsOut(p):
		v.todo, v.steps = "Wait for the control plane, then restart them", append([]string{p.wait()}, v.steps...)
	case ahead:
		v.todo = "A control plane injects its own version: restart them, or raise it"
	}
	return v
}

func is(n int) string {
	if n == 1 {
		return " is "
	}
	return " are "
}

// singleton is the finding about IstioCNI or ZTunnel and one control plane; of group, the first is what to act on.
func (e *examiner) singleton(p *plane, group []breach) violation {
	b := group[0]
	kind := b.component.ref.Kind
	v := violation{rule: CNISkew, objects: []Ref{b.component.ref, p.ref()}}
	if kind == KindZTunnel {
		v.rule = ZTunnelSkew
	}
	of := p.String() + p.because()
	if !b.ahead && !b.declared(group) {
		of = p.still(b.claim) + ","
	}
	v.what = b.component.String() + " is " + b.where(of) + "."
	if b.component.source != bySpec {
		v.what = "pods of " + b.component.ref.String() + " that run " + show(b.component.version) + " are " + b.where(of) + "."
	}
	declared, fits := b.component.version, e.view.fitting().String()
	switch {
	case b.component.source != bySpec:
		v.todo, v.steps = e.view.daemonSet(kind), []string{e.view.waitForDaemonSet(kind)}
	case !b.ahead && !b.declared(group):
		v.todo, v.steps = "Wait for the control plane", []string{p.wait()}
	case !b.ahead:
		v.todo = "Raise it"
		v.steps = e.view.bringSingleton(b.component.ref, fits)
	case p.version().MinorsAhead(declared) >= 0:
		v.todo, v.steps = "Wait for the control plane, which "+p.stillRuns(b.claim), []string{p.wait()}
	case p.active:
		v.todo, v.steps = "Raise the control plane"+e.view.andMove(p), e.view.bring(p, p.towards(declared))
	default:
		v.todo, v.steps = "Move what uses the revision to another one", e.view.leave(p, e.view.newest(p.itself))
	}
	return v
}

// squeeze finds live control planes that no version of a singleton fits.
func (e *examiner) squeeze(kind Kind) {
	low, high, distance := e.view.gap(kind, e.policy)
	if distance == 0 {
		return
	}
	v := violation{
		rule: SingletonSqueeze,
		what: "no version of " + string(kind) + " default fits both " + low.String() + low.because() + ", and " + high.String() +
			": it may be neither ahead of the one nor more than one minor version behind the other.",
		objects: []Ref{{Kind: kind, Name: "default"}, low.ref(), high.ref()},
	}
	if low.active {
		through := low.version().next(1)
		v.todo, v.steps = "Bring "+low.String()+" to "+through.Minor(), e.view.bring(low, through.alias())
	} else {
		v.todo, v.steps = "Move everything off revision "+low.name, e.view.leave(low, e.view.newest(low.itself))
	}
	e.add(v)
}

// pair finds an IstioCNI and a ZTunnel that are too far from each other. Where a control plane tells it already, twice
// would be once too often.
func (e *examiner) pair() {
	if slices.ContainsFunc(e.found, func(v violation) bool { return v.rule == CNISkew || v.rule == ZTunnelSkew }) {
		return
	}
	found := e.view.apart(KindCNI)
	if found.excess == 0 {
		return
	}
	behind, other := e.view.mesh.ZTunnel.Ref(), e.view.mesh.CNI.Ref()
	if found.turned {
		behind, other = other, behind
	}
	v := violation{
		rule: CNIZTunnelPair, objects: []Ref{e.view.mesh.CNI.Ref(), found.other.ref},
		what: describe(e.view.mesh.CNI.Ref()) + " is " + found.relation() + ".",
		todo: "Raise " + behind.String(),
		// What the other one has fits the control planes, or they would have been named instead of the pair.
		steps: e.view.bringSingleton(behind, other.Version),
	}
	if found.other.source != bySpec {
		kind := found.other.ref.Kind
		v.todo, v.steps = e.view.daemonSet(kind), []string{e.view.waitForDaemonSet(kind)}
	}
	e.add(v)
}

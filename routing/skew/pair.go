package skew

import "slices"

// cniAndZTunnel finds a ZTunnel that is ahead of IstioCNI, or more than one minor version behind it.
//
// Source: update guide 3.1 (control plane, then IstioCNI, then ZTunnel), istio.io#14562 ("the explicit upgrade skew
// concern is now between CNI agent and ztunnel"), istio#58523: the CNI agent hands ZTunnel the pods of its node, so it is
// the one that has to know the other's protocol. On the way down it is the other way round.
func cniAndZTunnel(k *check) []violation {
	if k.change.Operation == Delete || !k.change.is(KindCNI) && !k.change.is(KindZTunnel) {
		return nil
	}
	kind := k.change.object().Ref().Kind
	after, before := k.after.apart(kind), k.before.apart(kind)
	if after.excess == 0 || after.excess <= before.excess || after.turned && k.aheadOfPlane(KindZTunnel) {
		return nil
	}
	v := violation{
		rule: CNIZTunnelPair, what: k.subject() + " would be " + after.relation() + ".", instead: true,
		objects: []Ref{k.change.object().Ref(), after.other.ref},
	}
	switch {
	case after.other.source != bySpec:
		kind := after.other.ref.Kind
		v.todo, v.steps = k.after.daemonSetFirst(kind), []string{k.after.waitForDaemonSet(kind)}
		v.instead = false
	case k.change.Operation == Update:
		k.inTurn(&v)
	case k.newBreaches.of(after.other.ref.Kind):
		fits := k.after.fitting().String()
		v.todo, v.instead = "First bring "+after.other.ref.String()+" to "+fits, false
		v.steps = k.after.bringSingleton(after.other.ref, fits)
	default:
		v.todo = "Choose the same version"
		v.steps = []string{k.patches(specVersion(after.other.version.String()))}
	}
	return []violation{v}
}

// inTurn words the next step of both on the way to a version of one: IstioCNI first on the way up, ZTunnel first on the way down,
// each at most a minor version beyond the other.
func (k *check) inTurn(v *violation) {
	version := Parse(k.change.New.Ref().Version)
	leader, follower := k.before.mesh.CNI.Ref(), k.before.mesh.ZTunnel.Ref()
	direction := 1
	if version.MinorsAhead(Parse(k.change.Old.Ref().Version)) < 0 {
		leader, follower, direction = follower, leader, -1
	}
	beyond := func(a, b Version) int { return direction * a.MinorsAhead(b) }
	next := Parse(follower.Version).next(direction).alias()
	if beyond(version, next) <= 0 {
		next = version
	}
	how := map[int]string{1: "Raise ", -1: "Lower "}[direction]
	v.instead = false
	if beyond(Parse(leader.Version), Parse(follower.Version)) <= 0 {
		v.todo = how + string(leader.Kind) + " first" + k.after.andWait(leader.Kind)
		v.steps = k.after.bringSingleton(leader, next.String())
	}
	if beyond(version, next) > 0 {
		if v.todo = how + "the two in turn"; len(v.steps) == 0 {
			v.todo = how + string(follower.Kind) + " first" + k.after.andWait(follower.Kind)
		}
		v.steps = append(v.steps, k.after.bringSingleton(follower, next.String())...)
	}
}

// aheadOfPlane reports whether the change is refused already because the singleton runs ahead of a control plane. What
// that one says comes first, and it is the smaller step.
func (k *check) aheadOfPlane(kind Kind) bool {
	return k.policy.Level(ZTunnelSkew) == Deny && slices.ContainsFunc(k.worsened, func(b breach) bool {
		return b.ahead && b.component.ref.Kind == kind
	})
}

// distance is how far IstioCNI and ZTunnel are from each other, seen from one of them.
type distance struct {
	// excess is by how many minor versions more than allowed; 0 where they fit.
	excess int
	// other is what the other one declares or runs, the furthest of these; turned: ZTunnel is the newer of the two.
	other  component
	turned bool
	ahead  bool
}

// relation says how the one of them is to the other.
func (d distance) relation() string {
	to := d.other.String()
	if d.other.source != bySpec {
		to = "pods of " + d.other.ref.String() + " that run " + show(d.other.version)
	}
	switch {
	case !d.turned:
		return "more than one minor version apart from " + to
	case d.ahead:
		return "ahead of " + to
	}
	return "behind " + to
}

// apart compares what the singleton of a kind declares with what the other one declares or runs. Nothing is apart
// where one of them does not exist.
func (v *view) apart(kind Kind) distance {
	cni, ztunnel := v.mesh.CNI, v.mesh.ZTunnel
	if cni == nil || ztunnel == nil || cni.Deleting || ztunnel.Deleting {
		return distance{}
	}
	own, roomAhead, roomBehind := Parse(cni.Version), 1, 0
	other := component{ref: ztunnel.Ref()}.versions(ztunnel.Version, ztunnel.DaemonSet)
	if kind == KindZTunnel {
		own, roomAhead, roomBehind = Parse(ztunnel.Version), 0, 1
		other = component{ref: cni.Ref()}.versions(cni.Version, cni.DaemonSet)
	}
	var furthest distance
	for _, c := range other {
		if !own.Known() || !c.version.Known() {
			continue
		}
		ahead := own.MinorsAhead(c.version)
		if excess := max(ahead-roomAhead, -ahead-roomBehind); excess > furthest.excess {
			furthest = distance{excess: excess, other: c, ahead: ahead > 0, turned: (ahead > 0) == (kind == KindZTunnel)}
		}
	}
	return furthest
}

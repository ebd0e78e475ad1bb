package skew

// cniAndZTunnel finds an IstioCNI and a ZTunnel that are more than one minor version apart.
//
// Source: istio.io#14562 ("the explicit upgrade skew concern is now between CNI agent and ztunnel"), istio#58523.
// Where a control plane is live its own two rules say it already; this one is for when none is.
func cniAndZTunnel(k *check) []violation {
	if k.change.Operation == Delete || !k.change.is(KindCNI) && !k.change.is(KindZTunnel) {
		return nil
	}
	kind := k.change.object().Ref().Kind
	after, other := k.after.apart(kind)
	before, _ := k.before.apart(kind)
	if after <= 1 || after <= before {
		return nil
	}
	v := violation{
		rule: CNIZTunnelPair,
		what: k.subject() + " would be more than one minor version apart from " + other.String() + ".",
		todo: "Move the two in turn, IstioCNI first when raising, or choose a version from " +
			other.version.next(-1).Minor() + " to " + other.version.next(1).Minor(),
		steps: []string{k.patches(specVersion(other.version.String()))}, instead: true,
		objects: []Ref{k.change.object().Ref(), other.ref},
	}
	if other.source != bySpec {
		v.what = k.subject() + " would be more than one minor version apart from pods of " + other.ref.String() + " that run " +
			show(other.version) + "."
		v.todo, v.steps = "First wait for the DaemonSet", []string{k.after.waitForDaemonSet(other.ref.Kind)}
		v.instead = false
	}
	return []violation{v}
}

// apart is how many minor versions what the singleton of a kind declares is away from what the other one declares
// or runs, with the furthest of these. Zero where one of them does not exist.
func (v *view) apart(kind Kind) (distance int, furthest component) {
	cni, ztunnel := v.mesh.CNI, v.mesh.ZTunnel
	if cni == nil || ztunnel == nil || cni.Deleting || ztunnel.Deleting {
		return 0, component{}
	}
	own := Parse(cni.Version)
	other := component{ref: ztunnel.Ref()}.versions(ztunnel.Version, ztunnel.DaemonSet)
	if kind == KindZTunnel {
		own = Parse(ztunnel.Version)
		other = component{ref: cni.Ref()}.versions(cni.Version, cni.DaemonSet)
	}
	for _, c := range other {
		if !own.Known() || !c.version.Known() {
			continue
		}
		if d := max(own.MinorsAhead(c.version), c.version.MinorsAhead(own)); d > distance {
			distance, furthest = d, c
		}
	}
	return distance, furthest
}

package skew

import "github.com/revision-router/revision-router/routing"

// squeezed finds live control planes so far apart that no version of a singleton fits all of them.
//
// Source: it follows from singletons and update guide 2.3. A RevisionBased Istio may jump from n to n+2, and sidecars
// do not mind; but IstioCNI and ZTunnel may neither be ahead of n nor more than one behind n+2. It is refused when
// the second revision is written, because afterwards there is no way to repair it but to remove one of them.
func squeezed(k *check) []violation {
	var found []violation
	for _, kind := range []Kind{KindCNI, KindZTunnel} {
		if !k.squeezes(kind) {
			continue
		}
		low, high, _ := k.after.gap(kind, k.policy)
		found = append(found, k.squeeze(kind, low, high))
	}
	return found
}

// squeezes reports whether the change opens or widens a gap that the singleton cannot fill.
func (k *check) squeezes(kind Kind) bool {
	_, _, after := k.after.gap(kind, k.policy)
	_, _, before := k.before.gap(kind, k.policy)
	return after > before
}

// gap is by how many minor versions the two live control planes that are furthest apart are too far apart for the
// singleton; 0 where some version fits all, or where there is no such singleton. A control plane is never
// compared with itself: the versions of one rollout are inPlaceStep's.
func (v *view) gap(kind Kind, policy Policy) (low, high *plane, distance int) {
	room := 0
	switch {
	case kind == KindCNI && v.mesh.CNI != nil && !v.mesh.CNI.Deleting:
		room = policy.cniAhead(v.ambient)
	case kind == KindZTunnel && v.mesh.ZTunnel != nil && !v.mesh.ZTunnel.Deleting:
	default:
		return nil, nil, 0
	}
	live := v.live()
	for _, a := range live {
		for _, b := range live {
			if a == b {
				continue
			}
			if d := widest(a, b) - 1 - room; d > distance {
				low, high, distance = a, b, d
			}
		}
	}
	return low, high, distance
}

// widest is how far b may be ahead of a at any moment of their rollouts.
func widest(a, b *plane) int {
	distance := 0
	for _, x := range a.claims {
		for _, y := range b.claims {
			certain := x.certain() && y.certain()
			if certain && y.version.MinorsAhead(x.version) > distance {
				distance = y.version.MinorsAhead(x.version)
			}
		}
	}
	return distance
}

// certain reports whether the claim is known, and not merely assumed.
func (c claim) certain() bool {
	return c.version.Known() && c.source != assumedPods && c.source != noPods
}

func (k *check) squeeze(kind Kind, low, high *plane) violation {
	through, off := low.version().next(1), low
	if low.name == k.targetName() {
		through, off = high.version().next(-1), high // on the way down
	}
	name := string(kind) + " default"
	v := violation{
		rule: SingletonSqueeze,
		what: k.subject() + " would need " + name + " to fit both " + low.String() + low.because() + ", and " + high.String() +
			", and no version does: it may be neither ahead of the one nor more than one minor version behind the other.",
		objects: []Ref{k.change.object().Ref(), low.ref(), high.ref(), {Kind: kind, Name: "default"}},
	}
	switch {
	case !k.change.is(KindIstio) && !k.change.is(KindRevision):
		k.usesBoth(&v, low, high)
	case low.istio != high.istio:
		v.todo = "Go through " + through.Minor() + ": bring " + off.String() + " there first"
		v.steps = k.after.bring(off, through.alias())
	default:
		v.todo = "Go through " + through.Minor() + " first"
		v.steps = append(k.after.bring(off, through.alias()), patchVersion(kind, "default", through.alias().String()))
	}
	return v
}

// usesBoth words a squeeze that no control plane's version brings about: something comes to use a revision, or is new
// where two are used.
func (k *check) usesBoth(v *violation, low, high *plane) {
	used := func(p *plane) bool { old := k.before.plane(p.name); return old != nil && old.live() }
	to := high
	if !used(high) {
		to = low
	}
	switch through := low.version().next(1); {
	case used(low) && used(high) && !low.active:
		v.todo, v.steps = "Move everything off revision "+low.name+" first", k.after.leave(low, k.after.newest(low.itself))
	case used(low) && used(high):
		v.todo = "Go through " + through.Minor() + ": bring " + low.String() + " there first"
		v.steps = k.after.bring(low, through.alias())
	case k.sharesWith(low) || k.sharesWith(high):
		v.todo, v.instead = "Take its rollout away", true
		v.steps = []string{k.edits("annotate", routing.AnnotationRollout+"-")}
	default:
		k.uses(v, to)
	}
}

// uses names the control plane that the changed object should lead to instead.
func (k *check) uses(v *violation, to *plane) {
	v.todo, v.instead = "Use revision "+to.name, true
	v.steps = []string{k.asks(to.name)}
	if k.change.is(KindTag) || k.change.is(KindZTunnel) {
		v.todo, v.steps = "Point it at revision "+to.name, []string{k.patches(targetRef(Ref{Kind: KindRevision, Name: to.name}))}
	}
	if k.after.rollsOut(to) {
		v.steps = append([]string{to.wait()}, v.steps...)
	}
}

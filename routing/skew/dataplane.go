package skew

import "slices"

// dataPlane finds proxies that the change would leave behind or ahead of their own control plane: sidecars,
// gateways and waypoints by the versions of their pods, and Gateways by the image they pin.
//
// Source: istio.io supported-releases ("The Istio control plane can be one version ahead of the data plane.
// However, the data plane cannot be ahead of control plane"), update guide 3.3. A proxy counts
// against the revision that it connects to and no other, and never against another proxy.
func dataPlane(k *check) []violation {
	var found []violation
	for _, p := range k.after.planes {
		for _, ahead := range []bool{false, true} {
			var group []breach
			for _, b := range k.worsened {
				if b.plane == p && b.ahead == ahead && !b.component.singleton() {
					group = append(group, b)
				}
			}
			if len(group) > 0 {
				found = append(found, k.proxies(p, ahead, group))
			}
		}
	}
	return found
}

// proxies is the finding about the proxies of one control plane that violate in one direction.
func (k *check) proxies(p *plane, ahead bool, group []breach) violation {
	v := violation{rule: DataPlaneBehind, objects: []Ref{k.change.object().Ref(), p.ref()}}
	if ahead {
		v.rule = DataPlaneAhead
	}
	var workloads []Workload
	var names []string
	var pinned []string
	for _, b := range group {
		if b.component.workload != nil {
			workloads = append(workloads, *b.component.workload)
		}
		if name := b.component.String(); !slices.Contains(names, name) {
			names = append(names, name)
			v.objects = append(v.objects, b.component.ref)
		}
		if b.component.source == byImage && !slices.Contains(pinned, unpin(b.component.ref)) {
			pinned = append(pinned, unpin(b.component.ref))
		}
	}
	if k.change.is(KindGateway) && len(pinned) > 0 {
		at := group[0]
		v.what = k.change.object().Ref().String() + " pins its proxy to " + show(at.component.version) + ", " +
			at.where("revision "+p.name+" ("+show(at.claim.version)+")") + "."
		v.todo = "Remove the pinned image, so that istiod deploys its own version"
		v.steps, v.instead = []string{k.edits("annotate", AnnotationProxyImage+"-")}, true
		return v
	}
	v.what = k.subject() + " would leave " + some(names) + " " + group[0].where(p.String()) + "."
	switch {
	case ahead && len(workloads) > 0:
		v.todo = "A control plane injects no other version than its own, so these proxies cannot go down before it: keep it " +
			"where it is, or run the lower version as a second revision and move them there. To accept the risk"
		v.steps = slices.Concat(pinned, []string{k.edits("annotate", AnnotationOverride+"='<reason>'")})
		v.instead = k.change.Operation == Create
	case len(workloads) == 0:
		v.todo, v.steps = "Remove the pinned image first, so that istiod deploys its own version", pinned
	default:
		v.todo, v.steps = "Restart them first", slices.Concat(pinned, restart(workloads))
		if len(pinned) > 0 {
			v.todo = "Remove the pinned images and restart the rest first"
		}
		if old := k.before.plane(p.name); old != nil && k.before.rollsOut(old) {
			v.todo, v.steps = "First wait for "+show(old.version())+" to run, and restart them", append([]string{old.wait()}, v.steps...)
		}
	}
	return v
}

// String is how messages write a component, such as "Deployment bookinfo/reviews-v1 (2 pods, v1.24.3)".
func (c component) String() string {
	switch {
	case c.workload != nil:
		return c.workload.ref().String() + " (" + count(c.workload.Pods, "pod") + ", " + show(c.version) + ")"
	case c.source == byImage:
		return c.ref.String() + " (pinned to " + show(c.version) + ")"
	}
	return c.ref.String() + " " + show(c.version)
}

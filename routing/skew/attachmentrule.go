package skew

import "slices"

// attachments finds AuthorizationPolicies and HTTPRoutes that no waypoint would carry out: those that are written so, and
// those that another change takes the waypoint from.
//
// Source: update guide 3.4 and 3.5, istio.io#17520: traffic that no waypoint takes goes straight to its destination, and
// what is attached for a waypoint is then bypassed without a word.
func attachments(k *check) []violation {
	o := k.change.object()
	if a, ok := o.(Attachment); ok {
		if k.change.Operation == Delete {
			return nil
		}
		return k.attached(a)
	}
	switch o.(type) {
	case Namespace, Gateway:
	case Consumer:
		if k.change.Operation == Delete {
			return nil // nothing is left that traffic could go to
		}
	default:
		return nil
	}
	return k.detached()
}

// attached judges an attachment that is written. Each target is judged once, when it is named first.
func (k *check) attached(a Attachment) []violation {
	after, before := newCarriers(k.after), newCarriers(k.before)
	old, _ := k.change.Old.(Attachment)
	var found []violation
	for _, target := range a.Targets {
		b := after.bypass(a, target)
		if b.problem == "" || slices.Contains(old.Targets, target) && before.bypass(old, target).problem != "" {
			continue
		}
		found = append(found, b.violation(k.after))
	}
	return found
}

// detached judges a change of something else by the attachments that had a waypoint before it and have none after it.
func (k *check) detached() []violation {
	if len(k.after.mesh.Attachments) == 0 {
		return nil
	}
	after, before := newCarriers(k.after), newCarriers(k.before)
	var lost []bypass
	for _, a := range k.after.mesh.Attachments {
		if a.Deleting {
			continue
		}
		for _, target := range a.Targets {
			b := after.bypass(a, target)
			if b.problem == "" || before.bypass(a, target).problem != "" {
				continue
			}
			// What the target names is about to go or to be another: that one is not to be mended.
			if b.steps = nil; target.Kind == KindService || target.Kind == KindServiceEntry {
				after.bind(&b)
			}
			lost = append(lost, b)
		}
	}
	if len(lost) == 0 {
		return nil
	}
	slices.SortFunc(lost, compareBypasses)
	return []violation{k.lost(lost)}
}

func compareBypasses(a, b bypass) int {
	if order := compareRefs(a.attachment.Ref(), b.attachment.Ref()); order != 0 {
		return order
	}
	return compareRefs(a.target, b.target)
}

// violation is about one attachment as it is.
func (b bypass) violation(v *view) violation {
	return violation{
		rule: WaypointPolicy,
		what: "traffic bypasses " + b.attachment.Ref().String() + ": " + b.problem + ".",
		todo: b.todo, steps: b.steps, objects: []Ref{b.attachment.Ref(), b.target}, soft: v.routing.Empty(),
	}
}

// lost is about the attachments that a change of something else leaves without a waypoint.
func (k *check) lost(all []bypass) violation {
	v := violation{
		rule: WaypointPolicy, objects: []Ref{k.change.object().Ref()}, todo: "Give them another waypoint first",
		soft: k.after.routing.Empty(),
	}
	var names, problems []string
	for _, b := range all {
		if name := b.attachment.Ref().String(); !slices.Contains(names, name) {
			names, v.objects = append(names, name), append(v.objects, b.attachment.Ref())
		}
		if !slices.Contains(problems, b.problem) {
			problems = append(problems, b.problem)
		}
		for _, step := range b.steps {
			if !slices.Contains(v.steps, step) {
				v.steps = append(v.steps, step)
			}
		}
	}
	first := problems[0]
	if len(problems) > 1 {
		first = "among others, " + first
	}
	v.what = "traffic would bypass " + some(names) + ": " + first + "."
	if len(v.steps) == 0 {
		v.todo = "Attach them to something else first"
	}
	return v
}

// attachments finds those of the mesh as it is that no waypoint carries out.
func (e *examiner) attachments() {
	if len(e.view.mesh.Attachments) == 0 {
		return
	}
	c := newCarriers(e.view)
	for _, a := range e.view.mesh.Attachments {
		if a.Deleting || e.view.mesh.terminating(a.Namespace) {
			continue
		}
		for _, target := range a.Targets {
			if b := c.bypass(a, target); b.problem != "" {
				e.add(b.violation(e.view))
			}
		}
	}
}

package skew

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// revisionLabels finds an istio.io/rev that names nothing.
//
// Source: istio charts, mutatingwebhook.yaml and revision-tags-mwc.yaml, and pkg/revisions/tag_watcher.go: no webhook
// matches such a namespace, and no istiod adopts such a Gateway ("Waiting for controller"), without a word anywhere.
// A name that leads to a revision of plain Istio is as good as one of Sail's. Without any revision in the cluster it
// warns only: labels may come before the mesh.
func revisionLabels(k *check) []violation {
	if k.change.Operation == Delete {
		return nil
	}
	var old, label routing.Label
	switch o := k.change.New.(type) {
	case Namespace:
		label = o.routing().Revision
		if before, ok := k.change.Old.(Namespace); ok {
			old = before.routing().Revision
		}
	case Gateway:
		if before, ok := k.change.Old.(Gateway); ok && k.before.owned(before) {
			old = before.Revision
		}
		if k.after.owned(o) && o.Revision.Value != "" {
			label = o.Revision // an empty one falls through to the default revision, unlike a namespace's
		}
	}
	if !label.Present || label == old {
		return nil
	}
	problem, todo, steps := k.labelProblem(label.Value)
	if problem == "" {
		return nil
	}
	own := len(steps) == 1 && steps[0] == k.asks(k.after.known(label.Value)[0])
	return []violation{{
		rule: UnknownRevisionLabel,
		what: k.subject() + " has " + routing.LabelRevision + "=" + label.Value + ", which " + problem + ".",
		todo: todo, steps: steps, instead: own, objects: []Ref{k.change.New.Ref()},
		soft: k.after.routing.Empty(),
	}}
}

// labelProblem is what is wrong with a value of istio.io/rev, and what to do; empty where nothing is.
func (k *check) labelProblem(name string) (problem, todo string, steps []string) {
	v := k.after
	switch found := v.routing.Resolve(name); {
	case found.Revision != nil:
		return "", "", nil
	case v.waitsForTarget(name):
		problem = "is a revision tag without a revision"
		if steps = v.repoint(*found.Tag); len(steps) > 0 {
			return problem, "Point the tag at a revision that exists", steps
		}
		if !v.routing.Empty() {
			names := v.known(name)
			return problem, "Name one of " + some(names), []string{k.asks(names[0])}
		}
		return problem, "Install the control plane", nil
	case v.routing.Empty():
		return "names no revision: the cluster has none", "Install the control plane", nil
	}
	problem = "names neither a revision nor a revision tag"
	if name == "" {
		problem = "is empty and selects nothing"
	}
	names := v.known(name)
	return problem, "Name one of " + some(names), []string{k.asks(names[0])}
}

// waitsForTarget reports whether the name is that of a tag without a revision.
func (v *view) waitsForTarget(name string) bool {
	found := v.routing.Resolve(name)
	return found.Revision == nil && found.Tag != nil
}

// repoint is the command that makes a tag point at something that exists; none where nothing does.
func (v *view) repoint(t routing.Tag) []string {
	if t.Origin == routing.Webhook {
		return []string{"istioctl tag set " + t.Name + " --revision " + v.newest(func(*plane) bool { return false }) + " --overwrite"}
	}
	ref := Ref{Kind: KindTag, Name: t.Name}
	to, ok := v.pointable(t.Name, Ref{Kind: Kind(t.TargetKind), Name: t.TargetName})
	if !ok {
		return nil
	}
	return []string{point(ref, to)}
}

// known lists the names that istio.io/rev may have, the closest to the given one first.
func (v *view) known(to string) []string {
	var names []string
	for _, r := range v.routing.Revisions() {
		names = append(names, r.Name)
	}
	for _, t := range v.routing.Tags() {
		if !v.waitsForTarget(t.Name) {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return closest(slices.Compact(names), to)
}

// injectionLabels warns of labels on a Namespace that do not do what they seem to say.
//
// Source: istio charts, mutatingwebhook.yaml (istio-injection with any other value switches everything off; beside it,
// istio.io/rev counts for Gateways only), and istio#60313 (an ambient namespace with istio.io/rev is
// injected). Each is said once, by the change that brings it about.
func injectionLabels(k *check) []violation {
	ns, ok := k.change.New.(Namespace)
	if !ok || k.change.Operation == Delete {
		return nil
	}
	old, _ := k.change.Old.(Namespace)
	had := k.before.labelWarnings(k, old)
	var found []violation
	for _, w := range k.after.labelWarnings(k, ns) {
		if !slices.ContainsFunc(had, func(h violation) bool { return h.rule == w.rule && h.todo == w.todo }) {
			w.what = ns.Ref().String() + " " + w.what
			w.objects = []Ref{ns.Ref()}
			found = append(found, w)
		}
	}
	return found
}

func (v *view) labelWarnings(k *check, ns Namespace) []violation {
	labels := ns.routing()
	var found []violation
	warn := func(rule Rule, what, todo, labels string) {
		found = append(found, violation{rule: rule, what: what, todo: todo, steps: []string{k.edits("label", labels)}, instead: true})
	}
	if i := labels.Injection; i.Present && !i.Is("enabled") && !i.Is("disabled") {
		warn(InjectionLabels, "has istio-injection="+i.Value+", which switches injection off like every value but enabled.",
			"Use enabled or disabled", routing.LabelInjection+"=enabled --overwrite")
	}
	if labels.Injection.Present && labels.Revision.Present {
		warn(InjectionLabels, "has istio-injection and istio.io/rev: pods follow istio-injection alone.",
			"Remove one of the two labels", routing.LabelRevision+"-")
	}
	if labels.Injection.Is("enabled") && len(v.targets(routing.DefaultRevision)) == 0 && !v.routing.Empty() {
		warn(InjectionLabels, "has istio-injection=enabled, but no revision and no tag is named default: its pods are refused.",
			"Create an IstioRevisionTag default, or label the namespace with a revision",
			routing.LabelInjection+"- "+routing.LabelRevision+"="+v.known(v.newest(func(*plane) bool { return false }))[0])
	}
	if ns.ambient() && (labels.Injection.Is("enabled") || labels.Revision.Value != "" && !labels.Injection.Present) {
		warn(AmbientAndRevision, "is ambient and selects sidecar injection: its new pods get sidecars and leave ambient mode.",
			"Put istio.io/rev on the Gateways instead of the namespace", routing.LabelInjection+"- "+routing.LabelRevision+"-")
	}
	return found
}

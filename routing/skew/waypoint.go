package skew

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// waypoints finds references to a waypoint that do not work, and the deletion of a waypoint that is used.
//
// Source: istio ambient/waypoints.go and istio.io#17520, update guide 3.6: traffic for a waypoint that is
// missing, or that does not admit the namespace, goes straight to the destination, so that L7 policy fails open.
func waypoints(k *check) []violation {
	switch o := k.change.object().(type) {
	case Namespace:
		if k.change.Operation == Delete {
			return k.waypointsGone(func(g Gateway) bool { return g.Namespace == o.Name })
		}
		return k.consumers(o)
	case Consumer:
		if k.change.Operation == Delete {
			return nil
		}
		return k.binding(o, k.change.Old)
	case Gateway:
		if k.change.Operation == Delete {
			return k.waypointsGone(func(g Gateway) bool { return g.Namespace == o.Namespace && g.Name == o.Name })
		}
		return k.gatewayBreaks(o)
	}
	return nil
}

// consumers judges a Namespace: its own labels, and those of objects in it that a listener's selector lets in by the
// namespace's labels.
func (k *check) consumers(ns Namespace) []violation {
	old, existed := k.change.Old.(Namespace)
	var before Object
	if existed {
		before = old.waypoint()
	}
	found := k.binding(ns.waypoint(), before)
	for _, c := range k.after.mesh.Consumers {
		if c.Namespace == ns.Name {
			found = append(found, k.binding(c, c)...)
		}
	}
	return found
}

// binding judges one consumer as it is after the change, against what it was before.
func (k *check) binding(c Consumer, before Object) []violation {
	problem, help := k.after.bindingProblem(c)
	if problem == "" {
		return nil
	}
	if old, ok := before.(Consumer); ok {
		if was, _ := k.before.bindingProblem(old); was != "" && old.target() == c.target() {
			return nil
		}
	}
	g := c.target()
	// A Namespace and the Gateway in it cannot be created the other way round; and for the other kinds a label
	// without a waypoint is at most bypassed, which only the owner of the object can judge.
	soft := c.Kind != KindNamespace || k.change.Operation == Create && g.Namespace == c.Namespace || !c.UseWaypoint.Present
	v := violation{
		rule: WaypointMissing, what: c.Ref().String() + " " + problem + ".", objects: []Ref{c.Ref(), g}, soft: soft,
	}
	help.into(k, &v)
	return []violation{v}
}

// gatewayBreaks judges an update of a Gateway by those who use it.
func (k *check) gatewayBreaks(g Gateway) []violation {
	var broken []string
	objects := []Ref{g.Ref()}
	why := ""
	for _, c := range k.before.consumersOf(g) {
		if problem, _ := k.after.bindingProblem(c); problem != "" {
			broken, objects, why = append(broken, c.Ref().String()), append(objects, c.Ref()), problem
		}
	}
	if len(broken) == 0 {
		return nil
	}
	return []violation{{
		rule: WaypointMissing,
		what: g.Ref().String() + " would no longer serve " + some(broken) + ", which use" + third(len(broken)) +
			" it: the last one " + why + ".",
		todo: "Move them to another waypoint first", steps: unlabel(objects[1:]), objects: objects,
	}}
}

// waypointsGone judges the deletion of Gateways.
func (k *check) waypointsGone(gone func(Gateway) bool) []violation {
	var found []violation
	for _, g := range k.before.mesh.Gateways {
		if !gone(g) {
			continue
		}
		var names []string
		objects := []Ref{g.Ref()}
		for _, c := range k.before.consumersOf(g) {
			if k.change.is(KindNamespace) && c.Namespace == g.Namespace {
				continue // it goes too
			}
			names, objects = append(names, c.Ref().String()), append(objects, c.Ref())
		}
		if len(names) > 0 {
			found = append(found, violation{
				rule: WaypointInUseDelete,
				what: g.Ref().String() + " is still used by " + some(names) + ": without it their traffic bypasses its policies.",
				todo: "Move them to another waypoint first", steps: unlabel(objects[1:]), objects: objects,
			})
		}
	}
	return found
}

// unlabel lists the commands that take consumers off their waypoint.
func unlabel(consumers []Ref) []string {
	var commands []string
	for _, c := range consumers {
		commands = append(commands, on("label", c)+" "+LabelUseWaypoint+"- "+LabelUseWaypointNamespace+"-")
	}
	return commands
}

// consumersOf lists who uses the Gateway as a waypoint, and can: in order of namespace, kind and name.
func (v *view) consumersOf(g Gateway) []Consumer {
	var list []Consumer
	add := func(c Consumer) {
		if problem, _ := v.bindingProblem(c); c.UseWaypoint.Present && c.target() == g.Ref() && problem == "" {
			list = append(list, c)
		}
	}
	for _, n := range v.mesh.Namespaces {
		if !n.Deleting {
			add(n.waypoint())
		}
	}
	for _, c := range v.mesh.Consumers {
		if !v.mesh.terminating(c.Namespace) {
			add(c)
		}
	}
	slices.SortFunc(list, func(a, b Consumer) int { return compareRefs(a.Ref(), b.Ref()) })
	return list
}

// target is the Gateway that the consumer names: in its own namespace unless the same object says otherwise.
func (c Consumer) target() Ref {
	g := Ref{Kind: KindGateway, Namespace: c.Namespace, Name: c.UseWaypoint.Value}
	if c.UseWaypointNamespace.Present {
		g.Namespace = c.UseWaypointNamespace.Value
	}
	return g
}

// bypassing ends the sentence about a waypoint that does not exist.
const bypassing = ": traffic would bypass its policies"

// bindingProblem is why the consumer has no waypoint although it names one; empty where it has one, names none or
// opts out.
func (v *view) bindingProblem(c Consumer) (problem string, help cure) {
	if !c.UseWaypoint.Present {
		if c.UseWaypointNamespace.Present {
			return "has " + LabelUseWaypointNamespace + " without " + LabelUseWaypoint + ", which does nothing",
				cure{todo: "Put both labels on the same object"}
		}
		return "", cure{}
	}
	if c.UseWaypoint.Is("none") {
		return "", cure{}
	}
	if c.UseWaypoint.Value == "" {
		return "has an empty " + LabelUseWaypoint + ", which names no waypoint",
			cure{todo: "Name a waypoint, or remove the label", unlabel: true}
	}
	names := "names waypoint " + c.target().Namespace + "/" + c.target().Name
	g, ok := v.mesh.find(c.target()).(Gateway)
	switch {
	case !ok:
		return names + ", which does not exist" + bypassing,
			cure{todo: "Create it first", steps: v.apply(c.target(), c)}
	case g.Deleting:
		return names + ", which is being deleted", v.recreate(c)
	case !v.waypoint(g):
		return names + ", which is no waypoint but a Gateway of class " + g.Class, v.another(c)
	case !v.admits(g, c.Namespace):
		return names + ", which admits no routes from namespace " + c.Namespace,
			cure{todo: "Open it up first", steps: g.openUp()}
	case !v.serves(g, c.Kind):
		return names + ", which serves other traffic (" + LabelWaypointFor + "=" + v.trafficType(g) + ")",
			cure{todo: "Change that label first, or name another waypoint", steps: []string{
				on("label", g.Ref()) + " " + LabelWaypointFor + "=all --overwrite",
			}}
	}
	return "", cure{}
}

// Values of allowedRoutes.namespaces.from. All others, Same among them, mean the Gateway's own namespace.
const (
	fromAll      = "All"
	fromSelector = "Selector"
)

// admits evaluates allowedRoutes as istiod does: of the HBONE listener, Same by default.
func (v *view) admits(g Gateway, namespace string) bool {
	l, ok := g.hbone()
	if !ok && g.InboundBinding {
		// The listener that the binding names is not known here; let it pass rather than refuse a working one.
		return true
	}
	switch l.From {
	case fromAll:
		return true
	case fromSelector:
		ns, _ := v.mesh.find(Ref{Kind: KindNamespace, Name: namespace}).(Namespace)
		return len(l.Selector) == 0 || l.Selector.Matches(ns.pairs())
	}
	return g.Namespace == namespace
}

func (n Namespace) pairs() []routing.Pair {
	var pairs []routing.Pair
	for key, value := range n.Labels {
		pairs = append(pairs, routing.Pair{Key: key, Value: value})
	}
	return pairs
}

// trafficType is istio.io/waypoint-for: of the Gateway, else of its class, else service.
func (v *view) trafficType(g Gateway) string {
	if g.WaypointFor != "" {
		return g.WaypointFor
	}
	if class := v.class(g); class.WaypointFor != "" {
		return class.WaypointFor
	}
	return "service"
}

// serves reports whether the waypoint takes traffic for the kind. For a Namespace anything but none makes sense:
// its services and its pods each take what suits them.
func (v *view) serves(g Gateway, kind Kind) bool {
	switch traffic := v.trafficType(g); kind {
	case KindNamespace:
		return traffic != "none"
	case KindPod, KindWorkloadEntry:
		return traffic == "workload" || traffic == "all"
	default:
		return traffic == "service" || traffic == "all"
	}
}

package skew

import (
	"slices"
	"strconv"
	"strings"
)

// cure is what helps a consumer whose waypoint does not work.
type cure struct {
	todo  string
	steps []string
	// use is another waypoint that the consumer should name once the steps are done; unlabel: it should name none.
	use     Ref
	unlabel bool
}

// into completes the finding about the changed object.
func (c cure) into(k *check, v *violation) {
	v.todo, v.steps = c.todo, c.steps
	switch {
	case c.unlabel:
		v.steps, v.instead = append(v.steps, k.edits("label", LabelUseWaypoint+"- "+LabelUseWaypointNamespace+"-")), true
	case c.use.Name != "":
		v.instead = true
		v.steps = append(v.steps, k.edits("label",
			LabelUseWaypoint+"="+c.use.Name+" "+LabelUseWaypointNamespace+"="+c.use.Namespace+" --overwrite"))
	}
}

// another is the cure for a Gateway that cannot become a waypoint for the consumer: one that works, or a new one.
func (v *view) another(c Consumer) cure {
	target := c.target()
	var working []Ref
	for _, g := range v.mesh.Gateways {
		if v.waypoint(g) && !g.Deleting && v.admits(g, c.Namespace) && v.serves(g, c.Kind) {
			working = append(working, g.Ref())
		}
	}
	sortRefs(working)
	if len(working) > 0 {
		near := slices.IndexFunc(working, func(r Ref) bool { return r.Namespace == target.Namespace })
		return cure{todo: "Name one", use: working[max(near, 0)]}
	}
	for v.mesh.find(target) != nil {
		target.Name += "-waypoint"
	}
	return cure{todo: "Name one", steps: v.apply(target, c), use: target}
}

// apply lists the commands that create a waypoint for the consumer.
func (v *view) apply(waypoint Ref, c Consumer) []string {
	command := "istioctl waypoint apply" + in(waypoint.Namespace) + " --name " + waypoint.Name
	if c.Kind == KindPod || c.Kind == KindWorkloadEntry {
		command += " --for workload"
	}
	if v.orphan(Gateway{Namespace: waypoint.Namespace, Name: waypoint.Name, Class: "istio-waypoint"}) && !v.routing.Empty() {
		command += " --revision " + v.newest(func(*plane) bool { return false })
	}
	steps := []string{command}
	if waypoint.Namespace != c.Namespace {
		// istioctl leaves allowedRoutes to the default, which is Same.
		steps = append(steps, admitAll(waypoint, "0"))
	}
	return steps
}

// admitAll is the command that lets every namespace use the waypoint with the listener at the index.
func admitAll(waypoint Ref, index string) string {
	return on("patch", waypoint) + ` --type=json -p '[{"op":"add","path":"/spec/listeners/` + index +
		`/allowedRoutes","value":{"namespaces":{"from":"All"}}}]'`
}

// openUp lists the command that makes the waypoint admit every namespace.
func (g Gateway) openUp() []string {
	for i, l := range g.Listeners {
		if l.hbone() {
			return []string{admitAll(g.Ref(), strconv.Itoa(i))}
		}
	}
	return []string{on("patch", g.Ref()) + ` --type=json -p '[{"op":"add","path":"/spec/listeners/-","value":{"name":"mesh",` +
		`"port":15008,"protocol":"HBONE","allowedRoutes":{"namespaces":{"from":"All"}}}}]'`}
}

// recreate is the cure for a waypoint that is being deleted.
func (v *view) recreate(c Consumer) cure {
	g := c.target()
	gone := "kubectl wait --for=delete " + strings.ToLower(string(g.Kind)) + "/" + g.Name + in(g.Namespace) + " --timeout=5m"
	return cure{todo: "Create it again first, or name another", steps: append([]string{gone}, v.apply(g, c)...)}
}

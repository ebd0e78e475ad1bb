package status

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// gateways lists those that a revision deploys, with what their pods run.
func (b *builder) gateways() {
	type name struct{ namespace, name string }
	versions, pods := map[name][]string{}, map[name]int{}
	for i := range b.Pods {
		g := &b.Pods[i]
		if g.Gateway == "" || !g.proxied() {
			continue
		}
		at := name{g.Runs.Namespace, g.Gateway}
		pods[at] += g.Pods
		if v := skew.Parse(g.Runs.Version).String(); !slices.Contains(versions[at], v) {
			versions[at] = append(versions[at], v)
		}
	}
	for _, o := range b.state.Gateways {
		at := name{o.Ref.Namespace, o.Ref.Name}
		g := Gateway{
			Namespace: at.namespace, Name: at.name, Class: o.Class, Waypoint: o.Waypoint, Consumers: o.Consumers,
			Revision: o.Owner.Revision, Tag: o.Owner.Tag, Running: append([]string{}, versions[at]...), Pods: pods[at],
		}
		slices.SortFunc(g.Running, func(x, y string) int { return skew.Parse(x).Compare(skew.Parse(y)) })
		if g.Version = b.injects(g.Revision); o.Image.Known() {
			g.Version = o.Image.String()
		}
		g.State = gatewayState(g, o.Owner.Action)
		b.report.Gateways = append(b.report.Gateways, g)
	}
}

func gatewayState(g Gateway, action routing.Action) GatewayState {
	unknown := func(v string) bool { return !skew.Parse(v).Known() }
	switch {
	case action == routing.Unresolvable:
		return NoOwner
	case g.Pods == 0:
		return NoPods
	case unknown(g.Version) || slices.ContainsFunc(g.Running, unknown):
		return Unjudged
	case slices.ContainsFunc(g.Running, func(v string) bool { return !same(v, g.Version) }):
		return Outdated
	}
	return Current
}

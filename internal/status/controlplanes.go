package status

import (
	"cmp"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// controlPlanes lists those of Sail, and the revisions of plain Istio.
func (b *builder) controlPlanes() {
	for _, p := range b.state.ControlPlanes {
		b.report.ControlPlanes = append(b.report.ControlPlanes, b.controlPlane(p))
	}
	for i := range b.Mesh.Revisions() {
		r := &b.Mesh.Revisions()[i]
		if r.Origin == routing.Webhook {
			b.report.ControlPlanes = append(b.report.ControlPlanes, b.plain(r))
		}
	}
	slices.SortFunc(b.report.ControlPlanes, func(x, y ControlPlane) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), cmp.Compare(x.Origin, y.Origin))
	})
	for i := range b.report.ControlPlanes {
		c := &b.report.ControlPlanes[i]
		c.Workloads, c.Pods = b.proxiesOf(c.Name)
	}
}

func (b *builder) controlPlane(p skew.ControlPlane) ControlPlane {
	r := b.revisions[p.Name]
	c := ControlPlane{
		Name: p.Name, Namespace: p.Namespace, Istio: p.Istio, Strategy: b.strategy(p.Istio), Origin: routing.Sail,
		Declared: p.Declared.String(), Usage: usage(p), UsedBy: usedBy(p.Users),
	}
	c.Running, c.Rollout, c.State = running(c.Declared, r.Istiod)
	switch {
	case p.Pending:
		c.State = Pending
	case r.Deleting:
		c.State = Deleting
	case p.Remote:
		c.State = Remote
	case c.State == Declared && r.Ready == skew.NotReady:
		c.State = NotRunning
	}
	for i := range b.Mesh.Revisions() {
		if known := &b.Mesh.Revisions()[i]; known.Name == p.Name && known.Origin == routing.Sail {
			c.Unroutable = known.Unroutable
		}
	}
	return c
}

// plain is a revision without an object of the Sail Operator. Nothing declares its version.
func (b *builder) plain(r *routing.Revision) ControlPlane {
	c := ControlPlane{
		Name: r.Name, Namespace: r.Namespace, Origin: r.Origin, Usage: Unused,
		UsedBy: UsedBy{Namespaces: []string{}, Tags: []string{}, Gateways: []string{}},
	}
	c.Running, c.Rollout, c.State = running("", b.revisions[r.Name].Istiod)
	for _, n := range b.Skew.Namespaces {
		ns, _ := b.Mesh.Namespace(n.Name)
		if name := asked(ns); name != "" && b.leadsTo(name, r.Name) && !n.Deleting {
			c.UsedBy.Namespaces = append(c.UsedBy.Namespaces, n.Name)
		}
	}
	for _, t := range b.Mesh.Tags() {
		if t.Revision == r.Name {
			c.UsedBy.Tags = append(c.UsedBy.Tags, t.Name)
		}
	}
	slices.Sort(c.UsedBy.Namespaces)
	if workloads, _ := b.proxiesOf(r.Name); workloads+len(c.UsedBy.Namespaces)+len(c.UsedBy.Tags) > 0 {
		c.Usage = Used
	}
	return c
}

func (b *builder) leadsTo(name, revision string) bool {
	found := b.Mesh.Resolve(name).Revision
	return found != nil && found.Name == revision
}

// asked is the name that the labels of a namespace ask for; empty where they ask for none.
func asked(ns routing.Namespace) string {
	switch {
	case ns.Injection.Is("enabled"):
		return routing.DefaultRevision
	case ns.Injection.Present:
		return ""
	}
	return ns.Revision.Value
}

func (b *builder) strategy(istio string) string {
	for _, o := range b.Skew.Istios {
		if o.Name == istio {
			return string(cmp.Or(o.Strategy, skew.InPlace))
		}
	}
	return ""
}

func usage(p skew.ControlPlane) Usage {
	switch {
	case p.Active:
		return Active
	case p.Live:
		return Used
	}
	return Unused
}

func usedBy(u skew.Users) UsedBy {
	out := UsedBy{
		Namespaces: append([]string{}, u.Namespaces...), Tags: append([]string{}, u.Tags...), Gateways: []string{},
		ZTunnel: u.ZTunnel, ByDefault: u.ByDefault,
	}
	for _, g := range u.Gateways {
		out.Gateways = append(out.Gateways, g.Namespace+"/"+g.Name)
	}
	return out
}

// proxiesOf counts what runs with a revision.
func (b *builder) proxiesOf(revision string) (workloads, pods int) {
	seen := map[owner]bool{}
	for i := range b.Pods {
		if g := &b.Pods[i]; g.proxied() && g.Runs.Revision == revision {
			seen[g.owner()] = true
			pods += g.Pods
		}
	}
	return len(seen), pods
}

// components lists IstioCNI and ZTunnel.
func (b *builder) components() {
	add := func(ref skew.Ref, namespace string, r skew.Rollout, deleting bool) {
		c := Component{
			Kind: string(ref.Kind), Name: ref.Name, Namespace: namespace, Declared: skew.Parse(ref.Version).String(),
			Rules: []string{},
		}
		c.Running, c.Rollout, c.State = running(c.Declared, r)
		if deleting {
			c.State = Deleting
		}
		for _, o := range b.state.Observations {
			about := slices.ContainsFunc(o.Objects, func(r skew.Ref) bool { return r.Kind == ref.Kind })
			if rule := string(o.Rule); about && o.Level == skew.Deny && !slices.Contains(c.Rules, rule) {
				c.Rules = append(c.Rules, rule)
			}
		}
		b.report.Components = append(b.report.Components, c)
	}
	if c := b.Skew.CNI; c != nil {
		add(c.Ref(), c.Namespace, c.DaemonSet, c.Deleting)
	}
	if z := b.Skew.ZTunnel; z != nil {
		add(z.Ref(), z.Namespace, z.DaemonSet, z.Deleting)
	}
}

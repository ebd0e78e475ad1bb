package plan_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

// good is what was asked for.
func (b model) good(m *skew.Mesh) bool {
	o := m.Istios[0]
	if o.Version != b.to || (o.Strategy == skew.RevisionBased) != (b.strategy == skew.RevisionBased) || len(m.Revisions) != 1 {
		return false
	}
	if m.CNI != nil && m.CNI.Version != b.to {
		return false
	}
	if z := m.ZTunnel; z != nil && (z.Version != b.to || "v"+z.DaemonSet.Version != b.to) {
		return false
	}
	return b.tagged(m) && !slices.ContainsFunc(m.Workloads, func(w skew.Workload) bool { return w.Revision != o.Active || w.Version != b.to })
}

// tagged reports whether nothing names a revision where a tag was asked for, and whether that leads to the active one.
func (b model) tagged(m *skew.Mesh) bool {
	if b.tag == "" {
		return true
	}
	var named []string
	for _, n := range m.Namespaces {
		named = append(named, asked(m, n.Name))
	}
	for _, w := range m.Workloads {
		named = append(named, w.Label)
	}
	for _, g := range m.Gateways {
		named = append(named, g.Revision.Value)
	}
	if slices.ContainsFunc(m.Revisions, func(r skew.Revision) bool { return slices.Contains(named, r.Name) }) {
		return false
	}
	return slices.ContainsFunc(m.Tags, func(t routing.Tag) bool { return t.Name == b.tag && t.Revision == m.Istios[0].Active })
}

// configured reports whether ZTunnel may get another version: where a choice about connections was made, it comes first.
func (b model) configured(z *skew.ZTunnel) bool {
	switch b.drain {
	case plan.DrainOnDelete:
		return z.OnDelete
	case plan.DrainGrace:
		return !z.OnDelete && z.GraceSeconds >= skew.DefaultDrainSeconds
	}
	return true
}

// writes are all steps that anybody could think of. Namespaces with the same labels are labelled in one.
func (b model) writes(m *skew.Mesh) [][]skew.Object {
	list := b.versionsWritten(m)
	add := func(o ...skew.Object) { list = append(list, o) }
	names := []string{}
	for _, r := range m.Revisions {
		names = append(names, r.Name)
	}
	if b.tag != "" {
		names = append(names, b.tag)
		if !slices.ContainsFunc(m.Tags, func(t routing.Tag) bool { return t.Name == b.tag }) {
			add(skew.Tag{Tag: routing.Tag{Name: b.tag, TargetKind: "Istio", TargetName: "default", Origin: routing.Sail}})
		}
	}
	for _, name := range names {
		for _, t := range m.Tags {
			if t.TargetKind == "IstioRevision" && name != b.tag {
				t.TargetName = name
				add(skew.Tag{Tag: t})
			}
		}
		groups := map[string][]skew.Object{}
		for _, n := range m.Namespaces {
			if was := fmt.Sprint(n.Labels); asked(m, n.Name) != "" {
				n.Labels = map[string]string{"istio.io/rev": name}
				groups[was] = append(groups[was], n)
			}
		}
		for _, was := range slices.Sorted(maps.Keys(groups)) {
			add(groups[was]...)
		}
		for _, g := range m.Gateways {
			g.Revision = routing.Label{Value: name, Present: true}
			add(g)
		}
		if z := m.ZTunnel; z != nil && z.TargetKind != "Istio" && name != b.tag {
			next := *z
			if next.Revision = name; z.TargetKind != "" {
				next.Revision, next.TargetName = "", name
			}
			add(next)
		}
	}
	return list
}

// versionsWritten are new versions of what has one, and the choice about connections.
func (b model) versionsWritten(m *skew.Mesh) [][]skew.Object {
	var list [][]skew.Object
	add := func(o skew.Object) { list = append(list, []skew.Object{o}) }
	for _, v := range b.versions {
		o := m.Istios[0]
		o.Version, o.Strategy = v, b.strategy
		add(o)
		if m.CNI != nil {
			c := *m.CNI
			c.Version = v
			add(c)
		}
		if m.ZTunnel != nil && b.configured(m.ZTunnel) {
			z := *m.ZTunnel
			z.Version = v
			add(z)
		}
	}
	if m.ZTunnel != nil && !b.configured(m.ZTunnel) {
		z := *m.ZTunnel
		z.OnDelete = b.drain == plan.DrainOnDelete
		if b.drain == plan.DrainGrace {
			z.GraceSeconds = skew.DefaultDrainSeconds
		}
		add(z)
	}
	return list
}

// relabelled are the meshes with another label on the pods that ask on their own, which replaces them.
func (b model) relabelled(m *skew.Mesh) []*skew.Mesh {
	var list []*skew.Mesh
	labels := map[string]bool{}
	for _, w := range m.Workloads {
		if w.Label != "" && asked(m, w.Namespace) == "" {
			labels[w.Label] = true
		}
	}
	for _, from := range slices.Sorted(maps.Keys(labels)) {
		names := []string{b.tag}
		for _, r := range m.Revisions {
			names = append(names, r.Name)
		}
		for _, name := range names {
			after := copyOf(m)
			for i, w := range after.Workloads {
				if w.Label == from && asked(m, w.Namespace) == "" {
					after.Workloads[i].Label = name
				}
			}
			if leads(m, name) != "" {
				list = append(list, after)
			}
		}
	}
	return list
}

package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing/skew"
)

// shape tells states apart.
func shape(m *skew.Mesh) string {
	var b strings.Builder
	fmt.Fprint(&b, m.Istios, "|")
	for _, r := range m.Revisions {
		fmt.Fprint(&b, r.Name, r.Version, "|")
	}
	for _, t := range m.Tags {
		fmt.Fprint(&b, t.Name, t.TargetName, "|")
	}
	for _, n := range m.Namespaces {
		for _, k := range slices.Sorted(maps.Keys(n.Labels)) {
			fmt.Fprint(&b, k, n.Labels[k], "|")
		}
	}
	for _, g := range m.Gateways {
		fmt.Fprint(&b, g.Revision, "|")
	}
	for _, w := range m.Workloads {
		fmt.Fprint(&b, w.Label, w.Revision, w.Version, "|")
	}
	if m.CNI != nil {
		b.WriteString(m.CNI.Version + "|")
	}
	if z := m.ZTunnel; z != nil {
		fmt.Fprint(&b, z.Version, z.DaemonSet.Version, z.TargetName, z.Revision, z.OnDelete, z.GraceSeconds)
	}
	return b.String()
}

// admitted is the mesh after a step; nil where the rules refuse a part of it.
func (b model) admitted(m *skew.Mesh, step []skew.Object) *skew.Mesh {
	for _, o := range step {
		if skew.Denied(skew.Check(m, skew.Change{Operation: skew.Update, New: o}, b.policy)) {
			return nil
		}
		m = written(m, o)
	}
	return happens(m)
}

// replacedIn has the pods replaced whose label is another one than it was.
func replacedIn(m, was *skew.Mesh) *skew.Mesh {
	all := restartAll(m)
	for i := range m.Workloads {
		if m.Workloads[i].Label == was.Workloads[i].Label {
			all.Workloads[i] = m.Workloads[i]
		}
	}
	return all
}

// shorter looks for an admitted order of fewer steps than a limit, by trying all orders, and returns the length of the
// shortest; -1 where there is none.
func (b model) shorter(from *skew.Mesh, limit int) (steps, states int) {
	level, seen := []*skew.Mesh{happens(from)}, map[string]bool{}
	for steps = 0; len(level) > 0 && steps < limit; steps++ {
		var next []*skew.Mesh
		for _, m := range level {
			key := shape(m)
			if seen[key] {
				continue
			}
			seen[key] = true
			if b.good(m) {
				return steps, len(seen)
			}
			if steps+1 < limit {
				next = append(next, b.after(m)...)
			}
		}
		level = next
	}
	return -1, len(seen)
}

// after are the meshes that one step leads to.
func (b model) after(m *skew.Mesh) []*skew.Mesh {
	next := []*skew.Mesh{happens(restartAll(m))}
	if m.ZTunnel != nil && m.ZTunnel.OnDelete {
		next = append(next, happens(emptied(m)))
	}
	for _, after := range b.relabelled(m) {
		next = append(next, happens(replacedIn(after, m)))
	}
	for _, step := range b.writes(m) {
		if after := b.admitted(m, step); after != nil {
			next = append(next, after)
		}
	}
	return next
}

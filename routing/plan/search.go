package plan

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// MaxStates bounds a search. A mesh with ambient components, four minors and a dozen kinds of namespaces needs some
// hundred.
const MaxStates = 20_000

// node is a state of the search.
type node struct {
	mesh *skew.Mesh
	// done are the actions that led here.
	done []action
	// left is a lower bound for the steps from here; path orders nodes of equal promise.
	left int
	path string
}

func (n *node) promise() int { return len(n.done) + n.left }

// frontier is the queue of the nodes to look at, the most promising first.
type frontier []*node

func (f frontier) Len() int { return len(f) }
func (f frontier) Less(i, j int) bool {
	if a, b := f[i].promise(), f[j].promise(); a != b {
		return a < b
	}
	return f[i].path < f[j].path
}
func (f frontier) Swap(i, j int) { f[i], f[j] = f[j], f[i] }

// Push implements heap.Interface.
func (f *frontier) Push(x any) {
	if n, ok := x.(*node); ok {
		*f = append(*f, n)
	}
}

// Pop implements heap.Interface.
func (f *frontier) Pop() any {
	last := len(*f) - 1
	n := (*f)[last]
	*f = (*f)[:last]
	return n
}

// found is what a search ends with.
type found struct {
	// end is the node that is there; nil where none is.
	end *node
	// closest is the one that has the least left, and refused what was denied there.
	closest *node
	refused []skew.Finding
	// states is how many were looked at; all of them, unless gaveUp.
	states int
	gaveUp bool
}

// search looks for the shortest way from a settled mesh.
func (s *sim) search(from *skew.Mesh) found {
	first := &node{mesh: from, left: s.left(from)}
	queue, seen := &frontier{first}, map[string]bool{}
	var f found
	for queue.Len() > 0 {
		n, ok := heap.Pop(queue).(*node)
		if !ok {
			break
		}
		key := key(n.mesh)
		if seen[key] {
			continue
		}
		seen[key] = true
		if s.there(n.mesh) {
			f.end = n
			return f
		}
		if f.states++; f.states > MaxStates {
			f.gaveUp = true
			return f
		}
		refused := s.expand(n, queue)
		if f.closest == nil || s.closer(n, f.closest) || len(f.refused) == 0 && !s.closer(f.closest, n) {
			f.closest, f.refused = n, refused
		}
	}
	return f
}

// closer reports whether a state has less left than another, or as much with an Istio that is further on its way.
func (s *sim) closer(a, b *node) bool {
	if a.left != b.left {
		return a.left < b.left
	}
	return s.away(s.ours(a.mesh).Version) < s.away(s.ours(b.mesh).Version)
}

// away is how many minors a version is from the one that was asked for.
func (s *sim) away(version string) int {
	n := skew.Parse(s.to).MinorsAhead(skew.Parse(version))
	return max(n, -n)
}

// expand queues what can be done next, and returns what is denied.
func (s *sim) expand(n *node, queue *frontier) (refused []skew.Finding) {
	for _, together := range s.next(n.mesh) {
		mesh, done, path := n.mesh, slices.Clone(n.done), n.path
		for _, a := range together {
			after, _, findings := s.do(mesh, a)
			if after == nil {
				if s.forward(n.mesh, a) {
					refused = append(refused, denials(findings)...)
				}
				mesh = nil
				break
			}
			mesh, done, path = after, append(done, a), path+string(rune('a'+a.verb))
		}
		if mesh != nil {
			heap.Push(queue, &node{mesh: mesh, done: done, left: s.left(mesh), path: path})
		}
	}
	return refused
}

// forward reports whether an action brings a version closer to the one that was asked for: why another one is refused
// explains nothing.
func (s *sim) forward(m *skew.Mesh, a action) bool {
	var now string
	switch a.verb {
	case patchIstio:
		now = s.ours(m).Version
	case patchCNI:
		now = m.CNI.Version
	case patchZTunnel:
		now = m.ZTunnel.Version
	default:
		return true
	}
	return same(a.version, s.to) || s.away(a.version) < s.away(now)
}

func denials(findings []skew.Finding) []skew.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f skew.Finding) bool { return f.Level != skew.Deny })
}

// next lists what can be done in a state: runs of actions that are done together.
func (s *sim) next(m *skew.Mesh) [][]action {
	var list [][]action
	own := s.ours(m)
	for _, v := range s.candidates {
		if v != "" && (v != own.Version || !s.hasStrategy(own)) {
			list = append(list, []action{{verb: patchIstio, version: v}})
		}
	}
	if s.lacksTag(m) {
		list = append(list, []action{{verb: createTag, name: s.request.Tag}})
	}
	for _, r := range m.Revisions {
		if r.Istio == s.istio && r.Origin != routing.Webhook {
			list = append(list, s.redirect(m, r.Name))
		}
	}
	if len(s.stale(m)) > 0 {
		list = append(list, []action{{verb: restart}})
	}
	for i, g := range m.Gateways {
		if g.ProxyImage != "" {
			list = append(list, []action{{verb: unpinGateways, at: i}})
		}
	}
	list = append(list, s.singletons(m)...)
	return slices.DeleteFunc(list, func(together []action) bool { return len(together) == 0 })
}

// singletons lists what can be done with IstioCNI and ZTunnel.
func (s *sim) singletons(m *skew.Mesh) [][]action {
	var list [][]action
	for _, v := range s.candidates {
		if v == "" {
			continue
		}
		if m.CNI != nil && !m.CNI.Deleting && !same(v, m.CNI.Version) {
			list = append(list, []action{{verb: patchCNI, version: v}})
		}
		if z := m.ZTunnel; z != nil && !z.Deleting && !same(v, z.Version) && !s.lacksDrain(z) {
			list = append(list, []action{{verb: patchZTunnel, version: v}})
		}
	}
	if z := m.ZTunnel; z != nil && !z.Deleting {
		if s.lacksDrain(z) {
			list = append(list, []action{{verb: drainZTunnel}})
		}
		if !running(z) {
			list = append(list, []action{{verb: replaceZTunnel}})
		}
	}
	return list
}

// lacksDrain reports whether ZTunnel is not configured for the choice that was made.
func (s *sim) lacksDrain(z *skew.ZTunnel) bool {
	switch s.request.Drain {
	case DrainOnDelete:
		return !z.OnDelete
	case DrainGrace:
		return z.OnDelete || z.GraceSeconds < s.drainSeconds()
	}
	return false
}

func (s *sim) lacksTag(m *skew.Mesh) bool {
	return s.request.Tag != "" && !slices.ContainsFunc(m.Tags, func(t routing.Tag) bool { return t.Name == s.request.Tag && !t.Deleting })
}

// key tells states apart.
func key(m *skew.Mesh) string {
	var b strings.Builder
	for _, o := range m.Istios {
		fmt.Fprintf(&b, "%s=%s%s;", o.Name, o.Version, o.Strategy)
	}
	for _, r := range m.Revisions {
		b.WriteString(r.Name + "=" + r.Version + ";")
	}
	for _, t := range m.Tags {
		b.WriteString(t.Name + "=" + t.TargetName + ">" + t.Revision + "%" + t.Rollout.String() + ";")
	}
	if m.CNI != nil {
		b.WriteString("cni=" + m.CNI.Version + ";")
	}
	if z := m.ZTunnel; z != nil {
		fmt.Fprintf(&b, "z=%s,%s,%s,%s,%t,%d;", z.Version, z.DaemonSet.Version, z.TargetName, z.Revision, z.OnDelete, z.GraceSeconds)
	}
	for _, n := range m.Namespaces {
		b.WriteString(n.Labels[routing.LabelInjection] + "," + n.Labels[routing.LabelRevision] + ";")
	}
	for _, g := range m.Gateways {
		b.WriteString(g.Revision.Value + "," + g.ProxyImage + ";")
	}
	for _, w := range m.Workloads {
		b.WriteString(w.Label + "," + w.Revision + "," + w.Version + ";")
	}
	return b.String()
}

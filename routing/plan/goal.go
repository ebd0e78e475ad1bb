package plan

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// there reports whether the mesh is what was asked for: the Istio has the version and the strategy and runs it, no
// other revision of it is left, IstioCNI and ZTunnel have the version, and so has every proxy that a restart replaces.
func (s *sim) there(m *skew.Mesh) bool {
	return s.left(m) == 0 && len(s.stale(m)) == 0 && len(s.missing(m)) == 0
}

// left is a lower bound for the steps that it takes from here. It counts what is not as asked for and no two of which
// one step could mend.
func (s *sim) left(m *skew.Mesh) int {
	n := s.istioLeft(m)
	if c := m.CNI; c != nil && !c.Deleting && s.wants(m, c.Version) {
		n++
	}
	if z := m.ZTunnel; z != nil && !z.Deleting {
		switch {
		case s.wants(m, z.Version):
			n++
			if s.lacksDrain(z) {
				n++
			}
			if s.request.Drain == DrainOnDelete || z.OnDelete && s.request.Drain == "" {
				n++
			}
		case !running(z):
			n++
		}
	}
	if s.proxiesLeft(m) {
		n++
	}
	if s.lacksTag(m) {
		n++
	}
	return n
}

// istioLeft counts the writes of the Istio: one for every minor in place where the rules ask for that.
func (s *sim) istioLeft(m *skew.Mesh) int {
	own := s.ours(m)
	if same(own.Version, s.to) && s.hasStrategy(own) {
		return 0
	}
	minors := skew.Parse(s.to).MinorsAhead(skew.Parse(own.Version))
	if s.strategy == skew.InPlace && s.hasStrategy(own) && minors > 1 && s.request.Policy.Level(skew.InPlaceStep) == skew.Deny {
		return minors
	}
	return 1
}

// hasStrategy reports whether the Istio has the strategy that was asked for; none is InPlace.
func (s *sim) hasStrategy(o skew.Istio) bool {
	return (o.Strategy == skew.RevisionBased) == (s.strategy == skew.RevisionBased)
}

// wants reports whether IstioCNI or ZTunnel still has to get the version. With another Istio that is not as far, they
// have to stay behind with that one.
func (s *sim) wants(m *skew.Mesh, version string) bool { return !same(version, s.to) && !s.heldBack(m) }

// heldBack reports whether another Istio keeps IstioCNI and ZTunnel from having the version.
func (s *sim) heldBack(m *skew.Mesh) bool {
	return slices.ContainsFunc(m.Istios, func(o skew.Istio) bool {
		v := skew.Parse(o.Version)
		return o.Name != s.istio && !o.Deleting && v.Known() && skew.Parse(s.to).MinorsAhead(v) > 0
	})
}

// proxiesLeft reports whether some proxy that a restart replaces is not of the version. Which patch an alias means is
// not known.
func (s *sim) proxiesLeft(m *skew.Mesh) bool {
	to := skew.Parse(s.to)
	for i, w := range m.Workloads {
		if s.deployedFor[i] >= 0 || w.Role == skew.Ambient || !s.owns(m, w.Revision) {
			continue
		}
		if !same(w.Version, s.to) && !(to.Alias() && skew.Parse(w.Version).Known() && to.MinorsAhead(skew.Parse(w.Version)) == 0) {
			return true
		}
	}
	return false
}

// missing says in words what is not as asked for in a state from which nothing leads on.
func (s *sim) missing(m *skew.Mesh) []string {
	var list []string
	own := s.ours(m)
	for _, r := range m.Revisions {
		if r.Istio == s.istio && r.Name != own.Active && r.Origin != routing.Webhook {
			list = append(list, "revision "+r.Name+" is still used by "+s.users(m, r.Name))
		}
	}
	for _, i := range s.unselected(m) {
		w := m.Workloads[i]
		list = append(list, s.workloadsText(i)+" "+verbFor(len(s.workloads[i]), "has", "have")+" a sidecar of revision "+w.Revision+" "+
			shown(w.Version)+" that a restart would not give again ("+string(decide(routingMesh(m), w).Reason)+")")
	}
	if s.request.Tag != "" {
		list = append(list, s.untagged(m)...)
	}
	return list
}

// untagged is what names a revision of the Istio where a tag was asked for, and a tag that does not lead to the active one.
func (s *sim) untagged(m *skew.Mesh) []string {
	names, tag := routingMesh(m), s.request.Tag
	var list []string
	add := func(who string, n int, name string) {
		if name != "" && name != tag && s.owns(m, name) && names.Resolve(name).Tag == nil {
			list = append(list, who+" "+verbFor(n, "names", "name")+" revision "+name+" and not tag "+tag)
		}
	}
	for i, n := range m.Namespaces {
		if s.namespaces[i] != nil {
			add(s.namespacesText(i), len(s.namespaces[i]), wants(n))
		}
	}
	for i, g := range m.Gateways {
		add("Gateway "+s.gateways[i][0].Namespace+"/"+s.gateways[i][0].Name, 1, g.Revision.Value)
	}
	for i, w := range m.Workloads {
		if s.asksAlone(names, w, i) {
			add(s.workloadsText(i), len(s.workloads[i]), w.Label)
		}
	}
	if r := names.Resolve(tag); r.Revision == nil || r.Tag == nil || r.Revision.Name != s.ours(m).Active {
		list = append(list, "tag "+tag+" does not lead to revision "+s.ours(m).Active)
	}
	return list
}

// unselected are the workloads of the Istio that should be replaced, and would come back without a sidecar, or not at
// all: no step does that to them.
func (s *sim) unselected(m *skew.Mesh) (at []int) {
	names, active := routingMesh(m), s.ours(m).Active
	for i, w := range m.Workloads {
		if s.deployedFor[i] >= 0 || w.Role == skew.Ambient || !s.owns(m, w.Revision) || w.Revision == active && same(w.Version, s.to) {
			continue
		}
		if decide(names, w).Action != routing.Inject {
			at = append(at, i)
		}
	}
	return at
}

// users tells who uses a revision.
func (s *sim) users(m *skew.Mesh, name string) string {
	for _, p := range skew.Examine(m, s.request.Policy).ControlPlanes {
		if p.Name != name {
			continue
		}
		var list []string
		for _, n := range p.Users.Namespaces {
			list = append(list, "namespace "+n)
		}
		for _, t := range p.Users.Tags {
			list = append(list, "tag "+t)
		}
		for _, g := range p.Users.Gateways {
			list = append(list, g.String())
		}
		for i, w := range m.Workloads {
			if w.Revision == name {
				list = append(list, s.workloadsText(i))
			}
		}
		if p.Users.ZTunnel {
			list = append(list, "ZTunnel")
		}
		if p.Users.ByDefault {
			list = append(list, "every namespace without labels (enableNamespacesByDefault)")
		}
		return strings.Join(list, ", ")
	}
	return "nobody"
}

// wants is the name of the revision or tag that a namespace asks for; empty where it asks for none.
func wants(n skew.Namespace) string {
	l := labelsOf(n)
	switch {
	case l.injection.Is("enabled"):
		return routing.DefaultRevision
	case l.injection.Present:
		return ""
	}
	return l.revision.Value
}

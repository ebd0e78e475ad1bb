package plan

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// redirect is everything that moves what names a revision to the active one, or to the tag that was asked for. Nothing
// of that replaces a sidecar: the restart does.
func (s *sim) redirect(m *skew.Mesh, from string) []action {
	active := s.ours(m).Active
	names := routingMesh(m)
	to := active
	if r := names.Resolve(s.request.Tag); r.Tag != nil && r.Revision != nil && r.Revision.Name == active {
		to = s.request.Tag
	}
	if to == from {
		return nil
	}
	var list []action
	if from != active {
		list = s.redirectTags(m, from, active)
	}
	if r := names.Resolve(from); r.Tag == nil { // else the name leads through a tag
		list = append(list, s.redirectLabels(m, from, to)...)
	}
	if z := m.ZTunnel; z != nil && !z.Deleting && from != active && connects(z) == from {
		list = append(list, action{verb: connectZTunnel, from: from, to: active})
	}
	if slices.ContainsFunc(indexed(m.Workloads), func(i int) bool {
		return s.asksAlone(names, m.Workloads[i], i) && m.Workloads[i].Label == from
	}) && names.Resolve(from).Tag == nil {
		list = append(list, action{verb: relabelPods, from: from, to: to})
	}
	return list
}

func (s *sim) redirectTags(m *skew.Mesh, from, active string) []action {
	var list []action
	for _, t := range m.Tags {
		if t.Deleting || t.Origin == routing.Webhook {
			continue
		}
		if t.TargetKind == string(skew.KindRevision) && t.TargetName == from {
			list = append(list, action{verb: pointTag, name: t.Name, from: from, to: active})
		}
		if t.Rollout.Percent > 0 && t.Rollout.Revision == from {
			list = append(list, action{verb: unshareTag, name: t.Name, from: t.Rollout.String()})
		}
	}
	return list
}

// redirectLabels moves namespaces, a kind of them at a time, and Gateways.
func (s *sim) redirectLabels(m *skew.Mesh, from, to string) []action {
	var list []action
	for _, n := range m.Namespaces {
		a := action{verb: relabelNamespaces, in: labelsOf(n), from: from, to: to}
		if wants(n) == from && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	for i, g := range m.Gateways {
		if g.Revision.Present && g.Revision.Value == from {
			list = append(list, action{verb: relabelGateways, at: i, from: from, to: to})
		}
	}
	return list
}

// connects is the revision that ZTunnel connects to where it names one itself; without any name it is the default
// revision's Service (ztunnel chart, XDS_ADDRESS). One that follows an Istio names none.
func connects(z *skew.ZTunnel) string {
	switch {
	case z.TargetKind == string(skew.KindRevision):
		return z.TargetName
	case z.TargetName != "":
		return ""
	case z.Revision != "":
		return z.Revision
	}
	return routing.DefaultRevision
}

func indexed[T any](list []T) []int {
	out := make([]int, len(list))
	for i := range list {
		out[i] = i
	}
	return out
}

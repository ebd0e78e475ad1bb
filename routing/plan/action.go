package plan

import (
	"maps"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// verb is what a person does in a step. Among plans of equal length the one comes first whose steps are of earlier
// verbs, which is the order of the update guide.
type verb byte

const (
	patchIstio verb = iota
	createTag
	pointTag
	unshareTag
	relabelNamespaces
	relabelGateways
	connectZTunnel
	relabelPods
	restart
	unpinGateways
	patchCNI
	drainZTunnel
	patchZTunnel
	replaceZTunnel
)

// action is one step in the compact mesh.
type action struct {
	verb verb
	// version is what an Istio, IstioCNI or ZTunnel gets.
	version string
	// name is the tag, from what named the revision to leave, to what is named instead.
	name, from, to string
	// in are the labels of the namespaces to relabel.
	in labels
	// at is the index of a Gateway.
	at int
}

// writes are the objects that the action writes, in order. None for what only replaces pods.
func (s *sim) writes(m *skew.Mesh, a action) []skew.Object {
	switch a.verb {
	case patchIstio:
		o := s.ours(m)
		o.Version, o.Strategy = a.version, s.strategy
		return []skew.Object{o}
	case createTag:
		return []skew.Object{skew.Tag{Tag: routing.Tag{
			Name: a.name, TargetKind: string(skew.KindIstio), TargetName: s.istio, Origin: routing.Sail,
		}}}
	case pointTag, unshareTag:
		return []skew.Object{a.tag(m)}
	case relabelNamespaces:
		return a.namespaces(m)
	case relabelGateways:
		g := m.Gateways[a.at]
		g.Revision = routing.Label{Value: a.to, Present: true}
		return []skew.Object{g}
	case unpinGateways:
		g := m.Gateways[a.at]
		g.ProxyImage = ""
		return []skew.Object{g}
	case patchCNI:
		c := *m.CNI
		c.Version = a.version
		return []skew.Object{c}
	case connectZTunnel, drainZTunnel, patchZTunnel:
		return []skew.Object{s.ztunnel(*m.ZTunnel, a)}
	case relabelPods, restart, replaceZTunnel:
	}
	return nil
}

// tag is a tag that leads elsewhere, or keeps all its workloads.
func (a action) tag(m *skew.Mesh) skew.Tag {
	var t skew.Tag
	for _, one := range m.Tags {
		if one.Name == a.name {
			t.Tag = one
		}
	}
	if a.verb == pointTag {
		t.TargetName = a.to
		t.Share = routing.Label{Value: t.Rollout.String(), Present: t.Rollout.Set()}
	}
	return t
}

// namespaces of one kind get the label.
func (a action) namespaces(m *skew.Mesh) []skew.Object {
	var list []skew.Object
	for _, n := range m.Namespaces {
		if labelsOf(n) != a.in {
			continue
		}
		n.Labels = maps.Clone(n.Labels)
		delete(n.Labels, routing.LabelInjection)
		n.Labels[routing.LabelRevision] = a.to
		list = append(list, n)
	}
	return list
}

func (s *sim) ztunnel(z skew.ZTunnel, a action) skew.ZTunnel {
	switch {
	case a.verb == patchZTunnel:
		z.Version = a.version
	case a.verb == connectZTunnel && z.TargetName != "":
		z.TargetName = a.to
	case a.verb == connectZTunnel:
		z.Revision = a.to
	case s.request.Drain == DrainOnDelete:
		z.OnDelete = true
	default:
		z.OnDelete, z.GraceSeconds = false, s.drainSeconds()
	}
	return z
}

// drainSeconds is the grace period that the policy calls long enough.
func (s *sim) drainSeconds() int64 {
	if s.request.Policy.DrainSeconds > 0 {
		return s.request.Policy.DrainSeconds
	}
	return skew.DefaultDrainSeconds
}

// do carries an action out as the rules judge it: write by write. refused are the findings that deny one of them.
func (s *sim) do(m *skew.Mesh, a action) (after *skew.Mesh, changes []skew.Change, findings []skew.Finding) {
	for _, o := range s.writes(m, a) {
		c := skew.Change{Operation: skew.Update, New: o}
		if a.verb == createTag {
			c.Operation = skew.Create
		} else {
			c.Old = find(m, o)
		}
		found := skew.Check(m, c, s.request.Policy)
		findings, changes = append(findings, found...), append(changes, c)
		if skew.Denied(found) {
			return nil, changes, findings
		}
		m = put(m, o)
	}
	switch a.verb {
	case restart:
		m = s.restarted(m)
	case relabelPods:
		m = s.relabelled(m, a)
	case replaceZTunnel:
		next := *m
		next.ZTunnel = replaced(m.ZTunnel)
		m = &next
	default:
	}
	return s.settle(m), changes, findings
}

// find returns the object of the mesh that an object of an action has the name of.
func find(m *skew.Mesh, o skew.Object) skew.Object {
	switch ref := o.Ref(); ref.Kind {
	case skew.KindIstio:
		return m.Istios[slices.IndexFunc(m.Istios, func(o skew.Istio) bool { return o.Name == ref.Name })]
	case skew.KindTag:
		t := m.Tags[slices.IndexFunc(m.Tags, func(t routing.Tag) bool { return t.Name == ref.Name })]
		return skew.Tag{Tag: t, Share: routing.Label{Value: t.Rollout.String(), Present: t.Rollout.Set()}}
	case skew.KindCNI:
		return *m.CNI
	case skew.KindZTunnel:
		return *m.ZTunnel
	case skew.KindGateway:
		return m.Gateways[slices.IndexFunc(m.Gateways, func(g skew.Gateway) bool { return g.Namespace == ref.Namespace && g.Name == ref.Name })]
	default:
		return m.Namespaces[slices.IndexFunc(m.Namespaces, func(n skew.Namespace) bool { return n.Name == ref.Name })]
	}
}

// put is the mesh with the object in it, at the index that it had. What the object says of its status is that of the
// mesh: no action changes it.
func put(m *skew.Mesh, o skew.Object) *skew.Mesh {
	after := *m
	switch o := o.(type) {
	case skew.Istio:
		after.Istios = replace(m.Istios, o, func(x skew.Istio) bool { return x.Name == o.Name })
	case skew.Tag:
		t := o.Tag
		if !o.Share.Present {
			t.Rollout = routing.Rollout{}
		}
		after.Tags = replace(m.Tags, t, func(x routing.Tag) bool { return x.Name == t.Name })
	case skew.CNI:
		after.CNI = &o
	case skew.ZTunnel:
		after.ZTunnel = &o
	case skew.Gateway:
		after.Gateways = replace(m.Gateways, o, func(x skew.Gateway) bool { return x.Namespace == o.Namespace && x.Name == o.Name })
	case skew.Namespace:
		after.Namespaces = replace(m.Namespaces, o, func(x skew.Namespace) bool { return x.Name == o.Name })
	}
	return &after
}

func replace[T any](list []T, with T, is func(T) bool) []T {
	list = slices.Clone(list)
	if i := slices.IndexFunc(list, is); i >= 0 {
		list[i] = with
		return list
	}
	return append(list, with)
}

// restarted is the mesh after everything that would come out differently was restarted.
func (s *sim) restarted(m *skew.Mesh) *skew.Mesh {
	after := *m
	after.Workloads = slices.Clone(m.Workloads)
	for i, d := range s.stale(m) {
		after.Workloads[i].Revision, after.Workloads[i].Version = d.Revision, d.Version
	}
	return &after
}

// relabelled is the mesh after pods that ask for a revision on their own got another label, which replaces them.
func (s *sim) relabelled(m *skew.Mesh, a action) *skew.Mesh {
	after := *m
	after.Workloads = slices.Clone(m.Workloads)
	names := routingMesh(m)
	for i := range after.Workloads {
		w := &after.Workloads[i]
		if !s.asksAlone(names, *w, i) || w.Label != a.from {
			continue
		}
		w.Label = a.to
		if d := decide(names, *w); d.Action == routing.Inject && w.Role != skew.Ambient {
			w.Revision, w.Version = d.Revision, d.Version
		}
	}
	return &after
}

// asksAlone reports whether it is the label of the pods that chooses their revision.
func (s *sim) asksAlone(names *routing.Mesh, w skew.Workload, at int) bool {
	ns, _ := names.Namespace(w.Namespace)
	return w.Label != "" && s.deployedFor[at] < 0 && !ns.Injection.Present && !ns.Revision.Present
}

// decide tells which sidecar the pods of a workload would get now.
func decide(names *routing.Mesh, w skew.Workload) routing.Decision {
	ns, ok := names.Namespace(w.Namespace)
	if !ok {
		ns.Name = w.Namespace
	}
	pod := routing.Pod{Revision: routing.Label{Value: w.Label, Present: w.Label != ""}}
	return routing.Decide(routing.Input{Mesh: names, Namespace: ns, Pod: pod})
}

// stale are the workloads of the Istio, by their index, whose pods would come out differently now.
func (s *sim) stale(m *skew.Mesh) map[int]routing.Decision {
	names, list := routingMesh(m), map[int]routing.Decision{}
	for i, w := range m.Workloads {
		if s.deployedFor[i] >= 0 || w.Role == skew.Ambient {
			continue
		}
		d := decide(names, w)
		if d.Action == routing.Inject && (d.Revision != w.Revision || !same(d.Version, w.Version)) && (s.owns(m, d.Revision) || s.owns(m, w.Revision)) {
			list[i] = d
		}
	}
	return list
}

// owns reports whether a revision is one of the Istio's.
func (s *sim) owns(m *skew.Mesh, name string) bool {
	return slices.ContainsFunc(m.Revisions, func(r skew.Revision) bool { return r.Name == name && r.Istio == s.istio })
}

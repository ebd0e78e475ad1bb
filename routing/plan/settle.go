package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// settle returns the mesh after everything has happened that happens by itself. The receiver of a write is judged
// before that; the next one after it.
func (s *sim) settle(m *skew.Mesh) *skew.Mesh {
	after := *m
	after.Istios, after.Revisions = slices.Clone(m.Istios), slices.Clone(m.Revisions)
	after.Tags, after.Workloads = slices.Clone(m.Tags), slices.Clone(m.Workloads)
	reconcile(&after)
	rollOut(&after)
	moveTags(&after)
	s.deployGateways(&after)
	s.prune(&after)
	return &after
}

// TargetName is the revision that an Istio asks for: its own name, or with RevisionBased its name and the version as it
// is written (Sail Operator, getActiveRevisionName in controllers/istio/istio_controller.go).
func TargetName(o skew.Istio) string {
	if o.Strategy == skew.RevisionBased {
		return o.Name + "-" + strings.ReplaceAll(o.Version, ".", "-")
	}
	return o.Name
}

// reconcile makes or updates the revision of every Istio and makes it the active one. The operator does so as soon as
// the Istio is written, whether istiod is ready or not (istio_controller.go); a revision that another Istio or a tag has
// the name of is not touched.
func reconcile(m *skew.Mesh) {
	// One that is being deleted goes, and its name is free again.
	m.Revisions = slices.DeleteFunc(m.Revisions, func(r skew.Revision) bool { return r.Deleting && r.Origin != routing.Webhook })
	for i := range m.Istios {
		o := &m.Istios[i]
		if o.Deleting {
			continue
		}
		name := TargetName(*o)
		at := slices.IndexFunc(m.Revisions, func(r skew.Revision) bool { return r.Name == name && r.Origin != routing.Webhook })
		if at < 0 {
			m.Revisions = append(m.Revisions, skew.Revision{
				Revision: routing.Revision{
					Name: name, Version: o.Version, Istio: o.Name, Namespace: o.Namespace, Origin: routing.Sail, Remote: o.Remote,
					// The youngest of all, so that an older tag keeps the name (Sail Operator, pkg/validation).
					Created: time.Unix(1<<40, 0),
				},
				Ambient: o.Ambient, Ready: skew.Ready,
			})
		} else {
			r := &m.Revisions[at]
			if r.Istio == "" {
				r.Istio = o.Name // manifests without owner references
			}
			wanted, has := skew.Parse(o.Version), skew.Parse(r.Version)
			if !wanted.Alias() || !has.Known() || has.MinorsAhead(wanted) != 0 {
				r.Version = o.Version // an alias that is resolved already stays
			}
		}
		o.Active, o.Observed = name, true
	}
}

// rollOut lets every istiod and DaemonSet run what is declared, but for a ZTunnel whose pods a person has to delete.
func rollOut(m *skew.Mesh) {
	for i := range m.Revisions {
		if r := &m.Revisions[i]; r.Origin != routing.Webhook && !r.Remote {
			r.Istiod, r.Ready = ran(r.Version), skew.Ready
		}
	}
	if m.CNI != nil {
		c := *m.CNI
		c.DaemonSet = ran(c.Version)
		m.CNI = &c
	}
	if m.ZTunnel != nil && (!m.ZTunnel.OnDelete || !m.ZTunnel.DaemonSet.Found) {
		m.ZTunnel = replaced(m.ZTunnel)
	}
}

// replaced is a ZTunnel whose pods all run what it declares.
func replaced(from *skew.ZTunnel) *skew.ZTunnel {
	z := *from
	z.DaemonSet = ran(z.Version)
	return &z
}

// ran is a rollout that is done.
func ran(version string) skew.Rollout {
	return skew.Rollout{
		Found: true, Version: strings.TrimPrefix(version, "v"), Observed: true, Pods: 1, Updated: 1, Ready: 1,
		PodVersions: []string{version},
	}
}

// running reports whether all pods of a ZTunnel run what it declares.
func running(z *skew.ZTunnel) bool {
	if !z.DaemonSet.Found {
		return true
	}
	if len(z.DaemonSet.PodVersions) > 0 {
		return !slices.ContainsFunc(z.DaemonSet.PodVersions, func(v string) bool { return !same(v, z.Version) })
	}
	return same(z.DaemonSet.Version, z.Version) && z.DaemonSet.Updated >= z.DaemonSet.Pods
}

// moveTags has every tag lead where its target is: for an Istio its active revision (Sail Operator,
// pkg/revision/references.go).
func moveTags(m *skew.Mesh) {
	for i := range m.Tags {
		t := &m.Tags[i]
		if t.Deleting || t.Origin == routing.Webhook {
			continue
		}
		switch t.TargetKind {
		case string(skew.KindIstio):
			for _, o := range m.Istios {
				if o.Name == t.TargetName && !o.Deleting {
					t.Revision = o.Active
				}
			}
		case string(skew.KindRevision):
			if slices.ContainsFunc(m.Revisions, func(r skew.Revision) bool { return r.Name == t.TargetName }) {
				t.Revision = t.TargetName
			}
		}
	}
}

// deployGateways has istiod replace the proxies of the Gateways that are its own, at once and in its own version unless
// the Gateway pins another (istio, gatewaycommon/deploymentcontroller.go, HandleTagChange).
func (s *sim) deployGateways(m *skew.Mesh) {
	if !slices.ContainsFunc(s.deployedFor, func(i int) bool { return i >= 0 }) {
		return
	}
	names := routingMesh(m)
	for i := range m.Workloads {
		if s.deployedFor[i] < 0 {
			continue
		}
		g := m.Gateways[s.deployedFor[i]]
		ns, ok := names.Namespace(g.Namespace)
		if !ok {
			ns.Name = g.Namespace
		}
		d := routing.DecideGateway(routing.GatewayInput{Mesh: names, Namespace: ns, Revision: g.Revision})
		if d.Action != routing.Inject || g.Unmanaged {
			continue // nobody's: it stays what it is
		}
		w := &m.Workloads[i]
		w.Revision, w.Version = d.Revision, d.Version
		if w.Label != "" {
			w.Label = g.Revision.Value // the pods get the labels of their Gateway
		}
		if v := skew.ImageVersion(g.ProxyImage); g.ProxyImage != "" && v.Known() {
			w.Version = v.String()
		}
	}
}

// prune deletes the revisions of an Istio that are neither active nor used (Sail Operator, pkg/revision/prune.go). Who
// uses one is asked of package skew, which also counts Gateways and ZTunnel: the operator might be quicker, and what
// still refers to the revision has to be moved anyway.
func (s *sim) prune(m *skew.Mesh) {
	inactive := func(r skew.Revision) bool {
		return r.Origin != routing.Webhook && r.Istio != "" && !slices.ContainsFunc(m.Istios, func(o skew.Istio) bool { return o.Active == r.Name })
	}
	if !slices.ContainsFunc(m.Revisions, inactive) {
		return
	}
	used := map[string]bool{}
	for _, p := range skew.Examine(m, s.request.Policy).ControlPlanes {
		used[p.Name] = p.Live
	}
	m.Revisions = slices.DeleteFunc(m.Revisions, func(r skew.Revision) bool { return inactive(r) && !used[r.Name] })
}

// routingMesh is what names lead to.
func routingMesh(m *skew.Mesh) *routing.Mesh {
	o := routing.Objects{Tags: slices.Clone(m.Tags)}
	for _, r := range m.Revisions {
		o.Revisions = append(o.Revisions, r.Revision)
	}
	for _, n := range m.Namespaces {
		o.Namespaces = append(o.Namespaces, routing.NamespaceOf(n.Name, n.Labels))
	}
	return routing.NewMesh(o)
}

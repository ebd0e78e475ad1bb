package plan_test

import (
	"slices"
	"strings"
	"time"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/plan"
	"github.com/revision-router/revision-router/routing/skew"
)

// The model says a second time what a cluster does by itself and what a plan has to reach, in the plainest way. Of the
// package under test it uses nothing.
type model struct {
	to       string
	strategy skew.Strategy
	// tag and drain are as in a plan.Request.
	tag      string
	drain    plan.Drain
	versions []string
	policy   skew.Policy
}

func copyOf(m *skew.Mesh) *skew.Mesh {
	c := *m
	c.Istios, c.Revisions, c.Tags = slices.Clone(m.Istios), slices.Clone(m.Revisions), slices.Clone(m.Tags)
	c.Namespaces, c.Workloads, c.Gateways = slices.Clone(m.Namespaces), slices.Clone(m.Workloads), slices.Clone(m.Gateways)
	return &c
}

// leads is the revision that a name in istio.io/rev leads to; a revision wins over a tag, because it is older in these
// meshes.
func leads(m *skew.Mesh, name string) string {
	for _, r := range m.Revisions {
		if r.Name == name {
			return name
		}
	}
	for _, t := range m.Tags {
		if t.Name == name {
			return t.Revision
		}
	}
	return ""
}

// labelOf is the label istio.io/rev of a namespace.
func labelOf(m *skew.Mesh, namespace string) string {
	for _, n := range m.Namespaces {
		if n.Name == namespace {
			return n.Labels["istio.io/rev"]
		}
	}
	return ""
}

// names is what the pods of a workload ask for: the namespace's word counts before their own.
func names(m *skew.Mesh, w skew.Workload) string {
	if name := asked(m, w.Namespace); name != "" {
		return name
	}
	return w.Label
}

// asked is the name that the labels of a namespace ask for.
func asked(m *skew.Mesh, namespace string) string {
	for _, n := range m.Namespaces {
		if n.Name == namespace {
			if n.Labels["istio-injection"] == "enabled" {
				return "default"
			}
			return n.Labels["istio.io/rev"]
		}
	}
	return ""
}

// happens is everything that happens by itself.
func happens(from *skew.Mesh) *skew.Mesh {
	m := copyOf(from)
	o := &m.Istios[0]
	name := o.Name
	if o.Strategy == skew.RevisionBased {
		name += "-" + strings.ReplaceAll(o.Version, ".", "-")
	}
	i := slices.IndexFunc(m.Revisions, func(r skew.Revision) bool { return r.Name == name })
	if i < 0 {
		i = len(m.Revisions)
		m.Revisions = append(m.Revisions, skew.Revision{Ready: skew.Ready, Revision: routing.Revision{
			Name: name, Istio: o.Name, Namespace: o.Namespace, Origin: routing.Sail, Created: time.Unix(1<<40, 0),
		}})
	}
	m.Revisions[i].Version, m.Revisions[i].Istiod = o.Version, runs(o.Version)
	o.Active, o.Observed = name, true
	for i, t := range m.Tags {
		m.Tags[i].Revision = t.TargetName
		if t.TargetKind == "Istio" {
			m.Tags[i].Revision = name
		}
	}
	if m.CNI != nil {
		c := *m.CNI
		c.DaemonSet = runs(c.Version)
		m.CNI = &c
	}
	if m.ZTunnel != nil && !m.ZTunnel.OnDelete {
		m = emptied(m)
	}
	follow(m)
	used := users(m)
	m.Revisions = slices.DeleteFunc(m.Revisions, func(r skew.Revision) bool { return r.Name != name && !used[r.Name] })
	return m
}

// emptied has all pods of ZTunnel replaced.
func emptied(from *skew.Mesh) *skew.Mesh {
	m, z := copyOf(from), *from.ZTunnel
	z.DaemonSet = runs(z.Version)
	m.ZTunnel = &z
	return m
}

// follow moves the proxies that istiod deploys.
func follow(m *skew.Mesh) {
	for i, w := range m.Workloads {
		if w.Role == skew.Sidecar {
			continue
		}
		for _, g := range m.Gateways {
			if g.Namespace != w.Namespace || g.Name != w.Name && g.Name+"-"+g.Class != w.Name {
				continue
			}
			name := g.Revision.Value
			if !g.Revision.Present {
				// Gateways do not read istio-injection.
				if name = labelOf(m, g.Namespace); name == "" {
					name = "default"
				}
			}
			for _, r := range m.Revisions {
				if r.Name == leads(m, name) {
					m.Workloads[i].Revision, m.Workloads[i].Version = r.Name, r.Version
				}
			}
		}
	}
}

func users(m *skew.Mesh) map[string]bool {
	used := map[string]bool{}
	for _, t := range m.Tags {
		used[t.Revision] = true
	}
	for _, n := range m.Namespaces {
		used[leads(m, asked(m, n.Name))] = true
	}
	for _, w := range m.Workloads {
		used[w.Revision] = true
		used[leads(m, names(m, w))] = true
	}
	for _, g := range m.Gateways {
		used[leads(m, g.Revision.Value)] = true
	}
	if z := m.ZTunnel; z != nil {
		switch {
		case z.TargetKind == "IstioRevision":
			used[z.TargetName] = true
		case z.TargetName == "" && z.Revision == "":
			used["default"] = true
		default:
			used[z.Revision] = true
		}
	}
	return used
}

// restartAll replaces every pod that is injected.
func restartAll(from *skew.Mesh) *skew.Mesh {
	m := copyOf(from)
	for i, w := range m.Workloads {
		for _, r := range m.Revisions {
			if w.Role == skew.Sidecar && r.Name == leads(m, names(m, w)) {
				m.Workloads[i].Revision, m.Workloads[i].Version = r.Name, r.Version
			}
		}
	}
	return m
}

// written is the mesh with an object in it.
func written(from *skew.Mesh, o skew.Object) *skew.Mesh {
	m := copyOf(from)
	switch o := o.(type) {
	case skew.Istio:
		m.Istios[0] = o
	case skew.Tag:
		i := slices.IndexFunc(m.Tags, func(t routing.Tag) bool { return t.Name == o.Name })
		if i < 0 {
			m.Tags = append(m.Tags, o.Tag)
		} else {
			m.Tags[i] = o.Tag
		}
	case skew.CNI:
		m.CNI = &o
	case skew.ZTunnel:
		m.ZTunnel = &o
	case skew.Gateway:
		m.Gateways[slices.IndexFunc(m.Gateways, func(g skew.Gateway) bool { return g.Ref() == o.Ref() })] = o
	case skew.Namespace:
		m.Namespaces[slices.IndexFunc(m.Namespaces, func(n skew.Namespace) bool { return n.Name == o.Name })] = o
	}
	return m
}

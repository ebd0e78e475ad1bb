package plan

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// sim simulates one Istio of a mesh.
type sim struct {
	request  Request
	istio    string
	strategy skew.Strategy
	from, to string
	// candidates are the versions to go through, aliases those of them that nobody said are offered.
	candidates, aliases []string

	// start is the mesh as it is, with one object for all that no rule can tell apart. What its slices hold keeps its
	// index for ever.
	start *skew.Mesh
	// namespaces, workloads and gateways are all objects that the one of the same index stands for. A second namespace
	// of a kind stands for none.
	namespaces [][]string
	workloads  [][]skew.Workload
	gateways   [][]skew.Gateway
	// deployedFor is the index of the Gateway for which istiod deployed a workload; -1 for what a person restarts.
	deployedFor []int
	// silent are the workloads, by their index, whose version nobody can read; unread counts their pods.
	silent map[int]bool
	unread int
	// declaredOnly: nothing tells what runs.
	declaredOnly bool
}

// labels are what of a namespace the rules read that a plan can bring into play. What names waypoints is left out, as
// are its consumers: a plan changes neither, and a Gateway only in who deploys it.
type labels struct{ injection, revision, dataplane routing.Label }

func labelsOf(n skew.Namespace) labels {
	return labels{
		injection: routing.LabelOf(n.Labels, routing.LabelInjection),
		revision:  routing.LabelOf(n.Labels, routing.LabelRevision),
		dataplane: routing.LabelOf(n.Labels, skew.LabelDataplaneMode),
	}
}

func (l labels) namespace(name string) skew.Namespace {
	n := skew.Namespace{Name: name, Labels: map[string]string{}}
	for key, label := range map[string]routing.Label{
		routing.LabelInjection: l.injection, routing.LabelRevision: l.revision, skew.LabelDataplaneMode: l.dataplane,
	} {
		if label.Present {
			n.Labels[key] = label.Value
		}
	}
	return n
}

// compacting builds the compact mesh.
type compacting struct {
	*sim
	from     *skew.Mesh
	labelsIn map[string]labels
	// kinds is the index of the namespace that stands for all with the labels, present that of each namespace.
	kinds   map[labels]int
	present map[string]int
}

// namespacesOfAKind is how many namespaces of a kind take part in the search: the rules tell none, the last one and
// one of several apart.
const namespacesOfAKind = 2

func (s *sim) compact() {
	m := *s.request.Mesh
	c := &compacting{sim: s, from: s.request.Mesh, labelsIn: map[string]labels{}, kinds: map[labels]int{}, present: map[string]int{}}
	s.start, s.silent = &m, map[int]bool{}
	m.Istios, m.Revisions, m.Tags = slices.Clone(m.Istios), slices.Clone(m.Revisions), slices.Clone(m.Tags)
	m.Namespaces, m.Workloads, m.Gateways, m.Consumers = nil, nil, nil, nil
	c.addNamespaces()
	deployed := c.addGateways()
	c.addWorkloads(deployed)
	s.declaredOnly = !slices.ContainsFunc(m.Revisions, func(r skew.Revision) bool {
		return r.Istiod.Found || r.Ready != skew.NotObserved
	})
}

func (c *compacting) addNamespaces() {
	all := slices.SortedFunc(slices.Values(c.from.Namespaces), func(a, b skew.Namespace) int { return compare(a.Name, b.Name) })
	copies := map[labels]int{}
	for _, n := range all {
		if n.Deleting {
			continue
		}
		l := labelsOf(n)
		c.labelsIn[n.Name] = l
		if i, ok := c.kinds[l]; ok {
			c.namespaces[i] = append(c.namespaces[i], n.Name)
			if copies[l]++; copies[l] < namespacesOfAKind {
				c.addNamespace(n.Name, nil)
			}
			continue
		}
		c.kinds[l] = c.addNamespace(n.Name, []string{n.Name})
	}
}

// addNamespace puts a namespace into the compact mesh.
func (c *compacting) addNamespace(name string, stands []string) int {
	i := len(c.start.Namespaces)
	c.start.Namespaces = append(c.start.Namespaces, c.labelsIn[name].namespace(name))
	c.namespaces = append(c.namespaces, stands)
	c.present[name] = i
	return i
}

// need has the namespace of an object that stands for others take part itself.
func (c *compacting) need(name string) {
	if _, ok := c.present[name]; !ok && c.labelsIn[name] != (labels{}) {
		c.addNamespace(name, nil)
	}
}

// gatewayKind is what rules can tell about a Gateway in a plan.
type gatewayKind struct {
	in           labels
	revision     routing.Label
	class, image string
	unmanaged    bool
}

// addGateways returns the index of the Gateway that stands for the one for which istiod makes a Deployment, by the
// namespace and name of that.
func (c *compacting) addGateways() map[[2]string]int {
	deployed, kinds := map[[2]string]int{}, map[gatewayKind]int{}
	all := slices.SortedFunc(slices.Values(c.from.Gateways), func(a, b skew.Gateway) int {
		return compareAll(a.Namespace, b.Namespace, a.Name, b.Name)
	})
	for _, g := range all {
		if g.Deleting {
			continue
		}
		kind := gatewayKind{c.labelsIn[g.Namespace], g.Revision, g.Class, g.ProxyImage, g.Unmanaged}
		i, ok := kinds[kind]
		if !ok {
			i = len(c.start.Gateways)
			kinds[kind] = i
			one := g
			one.Listeners, one.WaypointFor = nil, ""
			c.start.Gateways, c.gateways = append(c.start.Gateways, one), append(c.gateways, nil)
			c.need(g.Namespace)
		}
		c.gateways[i] = append(c.gateways[i], g)
		// Deployments are called as their Gateway, with the class behind it for all but waypoints (istio,
		// gatewaycommon/deploymentcontroller.go).
		deployed[[2]string{g.Namespace, g.Name}] = i
		deployed[[2]string{g.Namespace, g.Name + "-" + g.Class}] = i
	}
	return deployed
}

type workloadKind struct {
	in                       labels
	label, revision, version string
	role                     skew.Role
	gateway                  int
	silent                   bool
	// replaceable: it has no pods that would be lost.
	replaceable bool
}

func (c *compacting) addWorkloads(deployed map[[2]string]int) {
	kinds := map[workloadKind]int{}
	all := slices.SortedFunc(slices.Values(c.from.Workloads), func(a, b skew.Workload) int {
		return compareAll(a.Namespace, b.Namespace, a.Kind, b.Kind, a.Name, b.Name, a.Revision, b.Revision, a.Version, b.Version, a.Label, b.Label)
	})
	for _, w := range all {
		gateway := -1
		if i, ok := deployed[[2]string{w.Namespace, w.Name}]; ok && w.Kind == "Deployment" && (w.Role == skew.WaypointProxy || w.Role == skew.GatewayProxy) {
			gateway = i
		}
		silent := w.Role != skew.Ambient && !skew.Parse(w.Version).Known()
		if silent {
			c.unread += w.Pods
			w.Version = c.versionOfRevision(w.Revision)
		}
		kind := workloadKind{c.labelsIn[w.Namespace], w.Label, w.Revision, w.Version, w.Role, gateway, silent, w.Kind != "Pod"}
		i, ok := kinds[kind]
		if !ok {
			i = len(c.start.Workloads)
			kinds[kind] = i
			c.silent[i] = silent
			c.start.Workloads, c.workloads = append(c.start.Workloads, w), append(c.workloads, nil)
			c.deployedFor = append(c.deployedFor, gateway)
			c.need(w.Namespace)
		}
		c.workloads[i] = append(c.workloads[i], w)
	}
}

// versionOfRevision is taken for what its proxies run where they do not tell: that is what it would inject.
func (s *sim) versionOfRevision(name string) string {
	for _, r := range s.request.Mesh.Revisions {
		if r.Name == name {
			return r.Version
		}
	}
	return ""
}

// ours is the Istio that the plan is for.
func (s *sim) ours(m *skew.Mesh) skew.Istio {
	for _, o := range m.Istios {
		if o.Name == s.istio {
			return o
		}
	}
	return skew.Istio{} // cannot be: no step removes it
}

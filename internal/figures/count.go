package figures

import (
	"cmp"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// proxy is what a workload runs.
type proxy struct {
	revision, version string
	role              skew.Role
}

// asking is workloads of a tag that run one revision.
type asking struct{ tag, revision string }

// owner tells workloads apart.
type owner struct{ namespace, kind, name string }

// count adds up the workloads of a mesh.
type count struct {
	mesh *routing.Mesh
	// runs is what each revision injects now.
	runs map[string]string

	all, stale map[proxy]map[owner]bool
	seen       map[asking]map[owner]bool
	asks       map[asking]int
}

func (c *count) add(w skew.Workload) {
	p := proxy{w.Revision, skew.Parse(w.Version).String(), w.Role}
	o := owner{w.Namespace, w.Kind, w.Name}
	put(c.all, p, o)
	if w.Role != skew.Sidecar {
		return // istiod restarts the proxies that it deploys, and ambient pods have none
	}
	d := routing.Decide(c.input(w))
	if d.Action != routing.Inject {
		return
	}
	if c.differs(w, d.Revision) {
		put(c.stale, p, o)
	}
	if d.Tag != "" && put(c.seen, asking{d.Tag, w.Revision}, o) {
		c.asks[asking{d.Tag, w.Revision}]++
	}
}

// input is a pod of the workload, as far as its labels are kept: a pod that has a sidecar was selected, and what
// selected it is its namespace or the label that is kept.
func (c *count) input(w skew.Workload) routing.Input {
	ns, ok := c.mesh.Namespace(w.Namespace)
	if !ok {
		ns.Name = w.Namespace
	}
	pod := routing.Pod{Workload: routing.Workload{Kind: w.Kind, Name: w.Name}, Inject: routing.Label{Value: "true", Present: true}}
	if w.Label != "" {
		pod.Revision = routing.Label{Value: w.Label, Present: true}
	}
	return routing.Input{Mesh: c.mesh, Namespace: ns, Pod: pod}
}

// differs reports whether pods that were created now would have another proxy. A version that is not known never differs,
// nor does one that is an alias, such as v1.30-latest, from any of its minor.
func (c *count) differs(w skew.Workload, revision string) bool {
	if w.Revision != revision {
		return true
	}
	has, gets := skew.Parse(w.Version), skew.Parse(c.runs[revision])
	switch {
	case !has.Known() || !gets.Known():
		return false
	case has.Alias() || gets.Alias():
		return has.MinorsAhead(gets) != 0
	}
	return !has.SameRelease(gets)
}

func (c *count) workloads() []Workloads {
	var list []Workloads
	for p, owners := range c.all {
		list = append(list, Workloads{p.revision, p.version, p.role, len(owners)})
	}
	slices.SortFunc(list, func(a, b Workloads) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Role, b.Role))
	})
	return list
}

func (c *count) restarts() []Restarts {
	var list []Restarts
	// Those that run what is right count as well, with 0: else nobody could tell done from unknown.
	for p := range c.all {
		if p.role == skew.Sidecar {
			list = append(list, Restarts{p.revision, p.version, len(c.stale[p])})
		}
	}
	slices.SortFunc(list, func(a, b Restarts) int {
		return cmp.Or(cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Version, b.Version))
	})
	return list
}

// put adds an owner to a set, and reports whether it was not there.
func put[K comparable](sets map[K]map[owner]bool, key K, o owner) bool {
	if sets[key] == nil {
		sets[key] = map[owner]bool{}
	}
	added := !sets[key][o]
	sets[key][o] = true
	return added
}

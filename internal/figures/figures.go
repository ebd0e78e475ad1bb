// Package figures turns a mesh as it is into the few numbers that metrics show: how many workloads run what, how many
// sidecars would come out differently if their pods were created now, what the rules observe, and where tags lead. It
// is pure. [status] tells the same for a person, workload by workload, and from more of each pod.
package figures

import (
	"cmp"
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Figures are numbers about one mesh, each list in a fixed order.
type Figures struct {
	Workloads    []Workloads
	Restarts     []Restarts
	Observations []Observations
	Tags         []Tag
	Injectors    []Injector
}

// Workloads counts those that run one version of one revision's proxy. One in the middle of a restart counts for each.
type Workloads struct {
	Revision, Version string
	Role              skew.Role
	Count             int
}

// Restarts counts workloads whose sidecars would be of another revision or version now, by what they run.
type Restarts struct {
	Revision, Version string
	Count             int
}

// Observations counts what a rule finds wrong with the mesh as it is.
type Observations struct {
	Rule  skew.Rule
	Level skew.Level
	Count int
}

// Injector counts the ready pods of a revision's istiod.
type Injector struct {
	Revision string
	Ready    int
}

// Tag is where a tag leads.
type Tag struct {
	Name string
	// Rollout is the share of its workloads that goes elsewhere.
	Rollout routing.Rollout
	// Held: it leads to another revision than its target, because that takes no pods, or to none at all.
	Held bool
	// Workloads with a sidecar that ask for the tag, by the revision that they run.
	Workloads []Running
}

// Running counts workloads of one revision.
type Running struct {
	Revision string
	Count    int
}

// Of computes the figures. Neither mesh is changed; s is nil where what runs is not followed, and only tags are told then.
func Of(m *routing.Mesh, s *skew.Mesh, p skew.Policy) Figures {
	if m == nil {
		return Figures{}
	}
	if s == nil {
		return Figures{Tags: tags(m, nil)}
	}
	c := count{
		mesh: m, runs: injected(s), asks: map[asking]int{},
		all: map[proxy]map[owner]bool{}, stale: map[proxy]map[owner]bool{}, seen: map[asking]map[owner]bool{},
	}
	for _, w := range s.Workloads {
		c.add(w)
	}
	out := Figures{Workloads: c.workloads(), Restarts: c.restarts(), Tags: tags(m, c.asks), Injectors: injectors(s)}
	observed := map[Observations]int{}
	for _, o := range skew.Examine(s, p).Observations {
		observed[Observations{Rule: o.Rule, Level: o.Level}]++
	}
	for key, n := range observed {
		key.Count = n
		out.Observations = append(out.Observations, key)
	}
	slices.SortFunc(out.Observations, func(a, b Observations) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Level, b.Level))
	})
	return out
}

// injected is the version of the proxy that each revision's injector gives at the moment: what runs, or what is declared
// while that is more than one or not known.
func injected(s *skew.Mesh) map[string]string {
	versions := map[string]string{}
	for _, r := range s.Revisions {
		versions[r.Name] = r.Version
		switch running := r.Istiod.PodVersions; {
		case len(running) == 1:
			versions[r.Name] = running[0]
		case len(running) == 0 && r.Istiod.Found && r.Istiod.Version != "":
			versions[r.Name] = r.Istiod.Version
		}
	}
	return versions
}

// injectors lists the istiods that are found: of a remote one, or one under another name, nothing is known.
func injectors(s *skew.Mesh) []Injector {
	var list []Injector
	for _, r := range s.Revisions {
		if r.Istiod.Found {
			list = append(list, Injector{r.Name, r.Istiod.Ready})
		}
	}
	slices.SortFunc(list, func(a, b Injector) int { return cmp.Compare(a.Revision, b.Revision) })
	return list
}

func tags(m *routing.Mesh, asks map[asking]int) []Tag {
	var list []Tag
	for _, t := range m.Tags() {
		found := m.Resolve(t.Name)
		if found.Tag == nil {
			continue // a revision of its name comes first
		}
		tag := Tag{Name: t.Name, Rollout: t.Rollout, Held: found.Revision == nil || found.Followed == routing.FollowedLastGood}
		for a, n := range asks {
			if a.tag == t.Name {
				tag.Workloads = append(tag.Workloads, Running{a.revision, n})
			}
		}
		slices.SortFunc(tag.Workloads, func(a, b Running) int { return cmp.Compare(a.Revision, b.Revision) })
		list = append(list, tag)
	}
	slices.SortFunc(list, func(a, b Tag) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

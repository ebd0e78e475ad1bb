package status

import (
	"maps"
	"slices"
)

// withoutControlPlane tells of proxies whose revision is gone. They keep what they know, and get no change of the mesh
// and no new certificate, so that they fail when theirs ends (a day after it was issued, by default).
func (b *builder) withoutControlPlane() {
	known := map[string]bool{"": true} // an injection so old that it names no revision
	for i := range b.report.ControlPlanes {
		known[b.report.ControlPlanes[i].Name] = true
	}
	gone := map[string]map[owner]int{}
	for _, d := range b.decided {
		if !d.proxied() || known[d.Runs.Revision] || b.outside(d.Runs.Namespace) {
			continue
		}
		if gone[d.Runs.Revision] == nil {
			gone[d.Runs.Revision] = map[owner]int{}
		}
		gone[d.Runs.Revision][d.owner()] += d.Pods
	}
	for _, revision := range slices.Sorted(maps.Keys(gone)) {
		list := slices.SortedFunc(maps.Keys(gone[revision]), compareOwners)
		p := Problem{
			Severity: Error, Name: NoControlPlane, Objects: []string{"IstioRevision " + revision},
			Advice: "Restart them, after having seen that their labels lead to a revision that exists",
			Next:   restartCommands(list, b.kinds),
		}
		pods := 0
		for _, o := range list {
			pods += gone[revision][o]
			p.Objects = append(p.Objects, o.String())
		}
		p.Message = count(pods, "pod") + " of " + count(len(list), "workload") + plural(pods, " runs", " run") + " with revision " +
			revision + ", which does not exist any more: nothing configures their proxies, and their certificates end."
		b.report.Problems = append(b.report.Problems, p)
	}
}

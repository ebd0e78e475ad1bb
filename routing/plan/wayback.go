package plan

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// The lines above the commands of a way back say how far it leads.
const (
	wayBackText = "# Back to before the new version of the Istio, which is all that this step can be taken back to:"
	// overriddenText is for a control plane that is updated in place: nothing but the override lets it fall behind its
	// proxies.
	overriddenText  = "# The control plane goes back first, and is behind its proxies until they are restarted (DataPlaneAhead):"
	ztunnelBackText = "# Back to before the new version of ZTunnel:"
	nothingBack     = "# Nothing to take back to: the pods ran several versions before"
)

// lost reports whether a step cannot be taken back on its own, because the operator deletes what was left behind: the
// revision that the step led away from was used by nothing else.
func lost(m, after *skew.Mesh, a action) bool {
	has := func(in *skew.Mesh) bool {
		return slices.ContainsFunc(in.Revisions, func(r skew.Revision) bool { return r.Name == a.leaves(m) && r.Origin != routing.Webhook })
	}
	return has(m) && !has(after)
}

// leaves is the revision that a step leads away from; empty where it leads from none.
func (a action) leaves(m *skew.Mesh) string {
	switch a.verb {
	case pointTag, relabelNamespaces, relabelGateways, relabelPods, connectZTunnel:
		return a.from
	case unshareTag:
		for _, t := range m.Tags {
			if t.Name == a.name {
				return t.Rollout.Revision
			}
		}
	default:
	}
	return ""
}

// wayBack leads from the mesh after a step to the version and the strategy that the Istio had before. The pods have to be
// replaced once more, and a revision that is gone has to come back first: that is a plan of its own, by the same rules.
// was is the Istio before its last step; nil where the plan has none before this one, and begins in the middle of an update.
func (s *sim) wayBack(m, after *skew.Mesh, a action, was *skew.Istio) []string {
	if was == nil {
		was = s.ranBefore(m, a)
	}
	if was == nil {
		return []string{nothingBack}
	}
	back := *s
	back.to, back.strategy = was.Version, strategyOf(*was)
	back.request.Tag, back.request.Drain = "", ""
	back.candidates, back.aliases = nil, nil
	back.versions()
	found := back.search(after)
	if found.end == nil {
		return s.wayBackInPlace(m, after, *was)
	}
	lines, at := []string{wayBackText}, after
	for _, a := range found.end.done {
		next, _, _ := back.do(at, a)
		step := back.step(at, next, a)
		lines = append(lines, step.Commands...)
		lines = append(lines, back.allWaits(at, next, a)...)
		at = next
	}
	return lines
}

// ranBefore is the Istio as it was when what a step replaces or leaves behind was made; nil where that is several things.
func (s *sim) ranBefore(m *skew.Mesh, a action) *skew.Istio {
	left := map[[2]string]bool{}
	for i := range s.stale(m) {
		if w := m.Workloads[i]; a.verb == restart {
			left[[2]string{w.Revision, release(w.Version)}] = true
		}
	}
	for _, r := range m.Revisions {
		if a.verb != restart && r.Name == a.leaves(m) {
			left[[2]string{r.Name, r.Version}] = true
		}
	}
	own := s.ours(m)
	for one := range left {
		own.Version = one[1]
		for _, own.Strategy = range []skew.Strategy{skew.RevisionBased, skew.InPlace} {
			if len(left) == 1 && TargetName(own) == one[0] {
				return &own
			}
		}
	}
	return nil
}

// release is the version of a proxy without the variant of its image, as it is written in spec.version.
func release(version string) string {
	text := skew.Parse(version).String()
	if plain, _, _ := strings.Cut(text, "-"); same(plain, text) {
		return plain
	}
	return text
}

// wayBackInPlace is for proxies that would be ahead of their control plane on the way.
func (s *sim) wayBackInPlace(m, after *skew.Mesh, was skew.Istio) []string {
	undone := s.settle(put(after, was))
	lines := append([]string{overriddenText}, s.undoIstio(was, after)...)
	lines = append(lines, s.waits(after, undone)...)
	at, _, _ := s.restarts(m)
	lines = append(lines, restarts(s.members(at))...)
	return append(lines, rolledOut(s.members(at))...)
}

package plans

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing/skew"
)

// thereAndBack does a step, takes it back by what the plan says, and wants the mesh as it was. A step that is only taken
// back with those before it says so in a line for the reader: then what runs has to be as it was.
func (x *witness) thereAndBack(step printedStep) {
	w := x.w
	w.t.Helper()
	compared := func(string) bool { return true }
	if strings.HasPrefix(step.Undo, "#") {
		compared = func(line string) bool { return strings.HasPrefix(line, "runs ") }
	}
	before := w.settled(compared)
	w.bash(step.Command)
	w.bash(step.WaitFor)
	x.back.Store(true)
	defer x.back.Store(false)
	w.bash(step.Undo)
	w.eventually("undo of "+step.Object+" "+step.From+" -> "+step.To, func() string {
		return cmp.Diff(before, w.state(compared))
	})
}

// settled is the state once it has been the same for a second: snapshots are up to half of that behind.
func (w *world) settled(compared func(string) bool) []string {
	w.t.Helper()
	const looks = 10
	var before []string
	same := 0
	w.eventually("the mesh settles", func() string {
		now := w.state(compared)
		diff := cmp.Diff(before, now)
		if before = now; diff != "" {
			same = 0
			return diff
		}
		if same++; same < looks {
			return "not for long enough"
		}
		return ""
	})
	return before
}

// state is what the steps of a plan can change, in words.
func (w *world) state(compared func(string) bool) []string {
	m := w.seen.SkewMesh()
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, o := range m.Istios {
		add("Istio %s %s %s, active %s", o.Name, o.Version, o.Strategy, o.Active)
	}
	for _, r := range m.Revisions {
		add("IstioRevision %s %s runs %s", r.Name, r.Version, r.Istiod.Version)
	}
	for _, t := range m.Tags {
		add("IstioRevisionTag %s -> %s %s -> %s, rollout %s", t.Name, t.TargetKind, t.TargetName, t.Revision, t.Rollout)
	}
	if c := m.CNI; c != nil {
		add("IstioCNI %s runs %s", c.Version, c.DaemonSet.Version)
		add("runs IstioCNI %v", versions(c.DaemonSet))
	}
	if z := m.ZTunnel; z != nil {
		add("ZTunnel %s runs %s, %s %s, OnDelete %t, grace %d", z.Version, z.DaemonSet.Version, z.TargetKind, z.TargetName, z.OnDelete, z.GraceSeconds)
		add("runs ZTunnel %v", versions(z.DaemonSet))
	}
	for _, n := range m.Namespaces {
		add("Namespace %s %s %s", n.Name, n.Labels["istio-injection"], n.Labels["istio.io/rev"])
	}
	for _, g := range m.Gateways {
		add("Gateway %s/%s %s %s", g.Namespace, g.Name, g.Revision.Value, g.ProxyImage)
	}
	for _, x := range m.Workloads {
		if x.Role != skew.Ambient {
			add("runs %s %s/%s %s %s %s, %d pods", x.Kind, x.Namespace, x.Name, x.Label, x.Revision, x.Version, x.Pods)
		}
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return !compared(line) })
	slices.Sort(lines)
	return lines
}

// versions are those of the pods of a DaemonSet.
func versions(r skew.Rollout) []string {
	list := slices.Clone(r.PodVersions)
	slices.Sort(list)
	return slices.Compact(list)
}

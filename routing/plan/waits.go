package plan

import (
	"slices"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// allWaits are the commands that end when a step is done, with what happens by itself after it.
func (s *sim) allWaits(from, to *skew.Mesh, a action) []string {
	return append(s.doneWhen(from, a), s.waits(from, to)...)
}

// waits are the commands that end when what happens by itself between two states has happened.
func (s *sim) waits(from, to *skew.Mesh) []string {
	var list []string
	for _, r := range to.Revisions {
		if r.Origin != routing.Webhook && !r.Remote {
			list = append(list, waitForRevision(from, r)...)
		}
	}
	for _, t := range to.Tags {
		at := slices.IndexFunc(from.Tags, func(was routing.Tag) bool { return was.Name == t.Name })
		if t.Revision != "" && (at < 0 || from.Tags[at].Revision != t.Revision) {
			list = append(list, "kubectl wait --for=jsonpath='{.status.istioRevision}'="+t.Revision+" istiorevisiontag/"+t.Name+" --timeout=5m")
		}
	}
	if to.CNI != nil && !rolledTo(from.CNI.DaemonSet, to.CNI.Version) {
		list = append(list, rollsOut("daemonset/istio-cni-node", to.CNI.Namespace, to.CNI.Version)...)
	}
	if z := to.ZTunnel; z != nil && running(z) && (!z.OnDelete && !rolledTo(from.ZTunnel.DaemonSet, z.Version) || s.reconnected(from.ZTunnel, z)) {
		list = append(list, rollsOut("daemonset/ztunnel", z.Namespace, z.Version)...)
	} else if z != nil && z.OnDelete && z.Version != from.ZTunnel.Version {
		list = append(list, rollsOut("daemonset/ztunnel", z.Namespace, z.Version)[0]) // its pods wait for the nodes
	}
	list = append(list, s.waitForGateways(from, to)...)
	for _, r := range from.Revisions {
		gone := !slices.ContainsFunc(to.Revisions, func(is skew.Revision) bool { return is.Name == r.Name })
		if gone {
			list = append(list, "kubectl wait --for=delete istiorevision/"+r.Name+" --timeout=10m")
		}
	}
	return list
}

// reconnected reports whether ZTunnel rolls out for another reason than its version.
func (s *sim) reconnected(from, to *skew.ZTunnel) bool {
	return !to.OnDelete && (from.TargetName != to.TargetName || from.Revision != to.Revision || from.GraceSeconds != to.GraceSeconds)
}

// rolledTo reports whether a rollout to the version is known to be done.
func rolledTo(r skew.Rollout, version string) bool {
	if len(r.PodVersions) > 0 {
		return !slices.ContainsFunc(r.PodVersions, func(v string) bool { return !same(v, version) && !moved(v, version) })
	}
	if !r.Found {
		return false
	}
	return (same(r.Version, version) || moved(r.Version, version)) && r.Observed && r.Updated >= r.Pods
}

// moved reports whether a version may be what an alias means.
func moved(version, alias string) bool {
	a, v := skew.Parse(alias), skew.Parse(version)
	return a.Alias() && a.Known() && v.Known() && v.MinorsAhead(a) == 0
}

func waitForRevision(from *skew.Mesh, r skew.Revision) []string {
	deployment := "istiod-" + r.Name
	if r.Name == routing.DefaultRevision {
		deployment = "istiod" // chart istio-discovery: the default revision has no suffix
	}
	at := slices.IndexFunc(from.Revisions, func(was skew.Revision) bool { return was.Name == r.Name })
	if at >= 0 && rolledTo(from.Revisions[at].Istiod, r.Version) {
		return nil
	}
	if at >= 0 && from.Revisions[at].Version == r.Version && !from.Revisions[at].Istiod.Found && from.Revisions[at].Ready == skew.Ready {
		return nil // there is no Deployment to look at, and the condition says that it runs
	}
	var list []string
	if at < 0 || !from.Revisions[at].Istiod.Found {
		list = append(list, "kubectl wait --for=create deployment/"+deployment+" -n "+r.Namespace+" --timeout=5m")
	}
	return append(list, rollsOut("deployment/"+deployment, r.Namespace, r.Version)...)
}

// rollsOut waits until a Deployment or DaemonSet of Istio's is of the version, and then until its pods are. Its label
// comes first: right after a write the operator has not touched it yet, and a rollout status would be that of the old
// version. The conditions of Sail's objects would not do: they look at no generation (istiorevision_controller.go).
func rollsOut(what, namespace, version string) []string {
	const label = `{.metadata.labels.app\.kubernetes\.io/version}`
	wait := "kubectl wait --for=jsonpath='" + label + "'=" + strings.TrimPrefix(version, "v") + " " + what + " -n " + namespace + " --timeout=5m"
	if v := skew.Parse(version); v.Alias() {
		wait = "until kubectl get " + what + " -n " + namespace + " -o jsonpath='" + label + "' | grep -q '^" +
			strings.ReplaceAll(strings.TrimPrefix(v.Minor(), "v"), ".", `\.`) + `\.'; do sleep 1; done`
	}
	return []string{wait, "kubectl rollout status " + what + " -n " + namespace + " --timeout=15m"}
}

// waitForGateways is for the proxies that istiod replaces itself, which takes it a moment: before that, the rollout to wait
// for is the last one. Where the revision stays what it is, only the image tells.
func (s *sim) waitForGateways(from, to *skew.Mesh) []string {
	var list []string
	for i, w := range to.Workloads {
		was := from.Workloads[i]
		if s.deployedFor[i] < 0 || was.Revision == w.Revision && same(was.Version, w.Version) {
			continue
		}
		for _, one := range s.members([]int{i}) {
			if was.Revision != w.Revision {
				list = append(list, "kubectl wait --for=jsonpath='{.spec.template.metadata.annotations.istio\\.io/rev}'="+w.Revision+
					" deployment/"+one.Name+" -n "+one.Namespace+" --timeout=5m")
			} else if !s.silent[i] {
				list = append(list, "until kubectl get deployment/"+one.Name+" -n "+one.Namespace+
					" -o jsonpath='{.spec.template.spec.containers[*].image}' | grep -qE ':"+tagPattern(w.Version)+"'; do sleep 1; done")
			}
			list = append(list, rolledOut([]skew.Workload{one})...)
		}
	}
	return list
}

// tagPattern matches the tag of an image of a version, of whatever variant.
func tagPattern(version string) string {
	v := skew.Parse(version)
	text, end := v.String(), `([^0-9]|$)`
	if v.Alias() {
		text, end = v.Minor(), `\.`
	}
	return strings.ReplaceAll(strings.TrimPrefix(text, "v"), ".", `\.`) + end
}

// doneWhen are the commands that end when what the step itself does is done.
func (s *sim) doneWhen(m *skew.Mesh, a action) []string {
	switch a.verb {
	case restart:
		at, _, _ := s.restarts(m)
		return rolledOut(s.members(at))
	case relabelPods:
		return rolledOut(s.members(s.asking(m, a)))
	case drainZTunnel:
		path, value := "{.spec.updateStrategy.type}", "OnDelete"
		if s.request.Drain == DrainGrace {
			path, value = "{.spec.template.spec.terminationGracePeriodSeconds}", strconv.FormatInt(s.drainSeconds(), 10)
		}
		return []string{"kubectl wait --for=jsonpath='" + path + "'=" + value + " daemonset/ztunnel -n " + m.ZTunnel.Namespace + " --timeout=5m"}
	default:
		return nil
	}
}

package inventory

import (
	"cmp"
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing/skew"
)

// Rollout is one istiod Deployment, or the DaemonSet of IstioCNI or ZTunnel.
type Rollout struct {
	Component Component
	skew.Rollout
}

// DeploymentRollout reads a Deployment. ok is false for one that is no istiod.
func DeploymentRollout(o *appsv1.Deployment) (r Rollout, ok bool) {
	c, ok := componentOf(o.Namespace, o.Labels)
	if !ok || c.Part != IstiodPart {
		return Rollout{}, false
	}
	return Rollout{Component: c, Rollout: skew.Rollout{
		Found:    true,
		Version:  sail.ChartVersion(o.Labels[sail.LabelVersion]),
		Observed: o.Status.ObservedGeneration == o.Generation,
		Pods:     int(o.Status.Replicas),
		Updated:  int(o.Status.UpdatedReplicas),
		Ready:    int(o.Status.ReadyReplicas),
	}}, true
}

// DaemonSetRollout reads a DaemonSet. ok is false for one that is neither of IstioCNI nor of ZTunnel.
func DaemonSetRollout(o *appsv1.DaemonSet) (r Rollout, ok bool) {
	c, ok := componentOf(o.Namespace, o.Labels)
	if !ok || c.Part == IstiodPart {
		return Rollout{}, false
	}
	return Rollout{Component: c, Rollout: skew.Rollout{
		Found:    true,
		Version:  sail.ChartVersion(o.Labels[sail.LabelVersion]),
		Observed: o.Status.ObservedGeneration == o.Generation,
		Pods:     int(o.Status.CurrentNumberScheduled),
		Updated:  int(o.Status.UpdatedNumberScheduled),
		Ready:    int(o.Status.NumberReady),
	}}, true
}

// Running says that at least one pod of the component serves, and in which version; empty where it is not known.
type Running struct {
	Component Component
	Version   string
}

// rollouts joins what belongs to one component: its Deployments or DaemonSets, and its pods.
func rollouts(list []Rollout, running []Running) map[Component]skew.Rollout {
	joined := make(map[Component]skew.Rollout, len(list))
	for _, r := range slices.SortedFunc(slices.Values(list), compareRollouts) {
		if first, ok := joined[r.Component]; ok {
			r.Rollout = merge(first, r.Rollout)
		}
		joined[r.Component] = r.Rollout
	}
	versions, unknown := map[Component][]string{}, map[Component]bool{}
	for _, r := range running {
		versions[r.Component] = append(versions[r.Component], r.Version)
		unknown[r.Component] = unknown[r.Component] || !skew.Parse(r.Version).Known()
	}
	for c, found := range versions {
		r, ok := joined[c]
		// The pods beat everything else, so they count only where each of them tells its version.
		if ok && !unknown[c] {
			slices.Sort(found)
			r.PodVersions = slices.Compact(found)
			joined[c] = r
		}
	}
	return joined
}

func compareRollouts(a, b Rollout) int {
	return cmp.Or(cmp.Compare(a.Version, b.Version), cmp.Compare(a.Pods, b.Pods))
}

// merge joins two Deployments of one revision, which nothing but a hand-made installation has. Where their versions
// differ each counts for its own pods.
func merge(a, b skew.Rollout) skew.Rollout {
	out := skew.Rollout{
		Found: true, Version: a.Version, Observed: a.Observed && b.Observed,
		Pods: a.Pods + b.Pods, Updated: a.Updated + b.Updated, Ready: a.Ready + b.Ready,
		PodVersions: a.PodVersions,
	}
	if a.Version == b.Version {
		return out
	}
	for _, r := range []skew.Rollout{a, b} {
		if r.Pods > 0 && r.Version != "" && !slices.Contains(out.PodVersions, r.Version) {
			out.PodVersions = append(slices.Clone(out.PodVersions), r.Version)
		}
	}
	return out
}
